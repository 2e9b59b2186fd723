//! `inspect`: describes a component, and checks whether it runs here.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bellwether_config as config;
use bellwether_config::spec::LimitsSpec;
use bellwether_config::{ComponentKind, ComponentUse};
use bellwether_core::grant::GrantRequest;
use bellwether_core::id::ModuleName;
use bellwether_os::file::create_private_dir_all;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::compile::Compiler;
use bellwether_sandbox::component::{Component, Kind, MAX_SIZE};
use clap::Args;
use serde_json::{Value, json};

use super::grants;
use super::simulate::refuse_unknown;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::standard::STANDARD;

/// Show a component, its requested grants, what is granted, and whether it runs here
///
/// Loads the file in the sandbox as the daemon does, without installing it. Compares its requested
/// grants with what the modules of a root grant the component of this file's name.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The component: a file, or the name of a built-in one, such as http
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// Only the grants of this module
    #[arg(long, value_name = "MODULE")]
    module: Option<ModuleName>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &InspectArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let bytes = read_component(&args.file)?;
    let mut sandbox = Sandbox::new(&LimitsSpec::default(), Compiler::Own)?;
    keep_compiled(&mut sandbox);
    let component = load(&sandbox, &args.file, &bytes)?;
    let uses = uses(args, root, component.kind())?;
    if args.json {
        output.json(&document(&component, uses.as_deref()))?;
    } else {
        print(&component, uses.as_deref(), output)?;
    }
    Ok(Exit::Done)
}

/// The uses of a component with this file's name in the modules of the root. Empty without a root.
fn uses(args: &InspectArgs, root: &RootArg, kind: Kind) -> Result<Option<Vec<ComponentUse>>, Failure> {
    let is_meant = root.given().is_some() || args.module.is_some();
    let root = match root.find() {
        Ok(root) => root,
        Err(_) if !is_meant => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let kind = match kind {
        Kind::Checker => ComponentKind::Checker,
        Kind::RestartScript => ComponentKind::RestartScript,
    };
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut uses = grants::uses(&config::read_root(&root));
    uses.retain(|of| of.kind == kind && of.component.as_str() == name);
    if let Some(module) = &args.module {
        uses.retain(|of| of.module == *module);
        if uses.is_empty() {
            refuse_unknown(&root, module)?;
            let what = format!("module `{module}` uses no {kind} `{name}`, or its file has errors");
            let next =
                format!("see its file: {}", root.join("modules").join(format!("{module}.toml")).display());
            return Err(Failure::new(Exit::Error, what, next));
        }
    }
    Ok(Some(uses))
}

/// Caches compiled code in the user's cache folder, so that the next call is fast. Without such a folder, or if
/// other users can write to it, everything is compiled each time.
pub(super) fn keep_compiled(sandbox: &mut Sandbox) {
    let given = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")));
    let Some(folder) = caches.map(|caches| caches.join("bellwether")) else { return };
    let made = create_private_dir_all(&folder);
    let opened =
        made.map_err(anyhow::Error::from).and_then(|()| Ok(sandbox.cache_in(&folder.join("compiled"))?));
    if let Err(error) = opened {
        tracing::debug!(%error, "compiled code is not kept");
    }
}

/// A component of at least this size, in bytes, takes a moment to compile.
const TAKES_A_MOMENT: usize = 1 << 20;

/// The bytes of a component, if the file can be one, or of the standard one with this name.
pub(super) fn read_component(file: &Path) -> Result<Vec<u8>, Failure> {
    if let Some(bytes) = standard(file) {
        return Ok(bytes);
    }
    let unreadable = |error: &io::Error| {
        let what = format!("{} cannot be read: {error}", file.display());
        let names: Vec<&str> = STANDARD.iter().map(|(_, name, _)| *name).collect();
        let next = format!("name the .wasm file of a component, or a standard one: {}", names.join(", "));
        Failure::new(Exit::Error, what, next)
    };
    let size = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if size > MAX_SIZE as u64 {
        let what = format!("{} has {size} bytes; a component has at most {MAX_SIZE}", file.display());
        return Err(Failure::new(Exit::Error, what, "optimise for size: opt-level = \"s\", strip = true"));
    }
    std::fs::read(file).map_err(|error| unreadable(&error))
}

/// The standard component with this name, unless there is a file with the name.
fn standard(name: &Path) -> Option<Vec<u8>> {
    let (_, _, bytes) = STANDARD.iter().find(|(_, own, _)| Path::new(own) == name)?;
    (!name.exists()).then(|| bytes.to_vec())
}

/// The component, or why it does not run here.
pub(super) fn load(sandbox: &Sandbox, file: &Path, bytes: &[u8]) -> Result<Component, Failure> {
    if bytes.len() >= TAKES_A_MOMENT && !sandbox.has_compiled(bytes) {
        let size = bytes.len() >> 20;
        eprintln!("compiling {} ({size} MiB): this takes a while the first time", file.display());
    }
    sandbox.load(bytes).map_err(|error| {
        let what = format!("{} does not run here: {error}", file.display());
        Failure::new(
            Exit::Error,
            what,
            "build it against the WIT package bellwether:guest@1.1.0, for wasm32-wasip2",
        )
    })
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Checker => "checker",
        Kind::RestartScript => "restart-script",
    }
}

fn document(component: &Component, uses: Option<&[ComponentUse]>) -> Value {
    let about = component.about();
    let of_use = |of: &ComponentUse| grants::document(of, &about.grants);
    json!({
        "kind": word(component.kind()),
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "digest": component.digest(),
        "size": component.size(),
        "grants": about.grants,
        "uses": uses.map(|uses| uses.iter().map(of_use).collect::<Vec<_>>()),
        "imports": component.imports(),
        "exports": component.exports(),
        // As JSON if it is valid; a guest may return any text.
        "config_schema": serde_json::from_str::<Value>(&about.config_schema).unwrap_or(Value::Null),
    })
}

fn print(component: &Component, uses: Option<&[ComponentUse]>, output: &mut Output) -> io::Result<()> {
    let about = component.about();
    let title = format!("{} {}", about.name, about.version);
    writeln!(output, "{}  {}", output.paint(Tone::Title, &title), word(component.kind()))?;
    writeln!(output, "{}\n", about.summary)?;
    writeln!(output, "digest   {}", component.digest())?;
    writeln!(output, "size     {} bytes", component.size())?;
    if about.grants.is_empty() {
        writeln!(output, "grants   requests none")?;
    }
    for grant in &about.grants {
        writeln!(output, "grants   requests {}: {}", asked(grant), grant.reason)?;
    }
    for of in uses.unwrap_or_default() {
        print_use(of, &about.grants, output)?;
    }
    if uses.is_some_and(<[_]>::is_empty) {
        writeln!(output, "used     by no module of this root")?;
    }
    for import in component.imports() {
        writeln!(output, "imports  {import}")?;
    }
    if let Ok(schema) = serde_json::from_str::<Value>(&about.config_schema) {
        writeln!(output, "\nIts configuration (JSON Schema):\n{schema:#}")?;
    }
    writeln!(output, "\n{}", output.paint(Tone::Good, "✓ It runs here."))
}

/// ``connect `127.0.0.1:80` ``, `connect (depends on its configuration)`.
pub(super) fn asked(request: &GrantRequest) -> String {
    match request.value.as_str() {
        "" => format!("{} (depends on its configuration)", request.kind),
        value => format!("{} `{value}`", request.kind),
    }
}

fn print_use(of: &ComponentUse, asks: &[GrantRequest], output: &mut Output) -> io::Result<()> {
    writeln!(output, "used     {}:{}: {}", of.file, of.line, of.title())?;
    let granted = of.grants.list();
    if granted.is_empty() {
        writeln!(output, "  granted  nothing")?;
    }
    let unasked = of.unasked(asks);
    for grant in granted {
        let more = if unasked.contains(&grant) { ", which it does not request" } else { "" };
        let (tone, line) = (
            if more.is_empty() { Tone::Good } else { Tone::Busy },
            format!("{} `{}`{more}", grant.0, grant.1),
        );
        writeln!(output, "  granted  {}", output.paint(tone, &line))?;
    }
    for request in of.missing(asks) {
        let line = format!("{}; to allow it: {}", asked(&request), request.to_add());
        writeln!(output, "  missing  {}", output.paint(Tone::Busy, &line))?;
    }
    Ok(())
}
