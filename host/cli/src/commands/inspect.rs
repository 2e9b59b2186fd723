//! `inspect`: what a component is, and whether it runs here.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bellwether_daemon::config::spec::LimitsSpec;
use bellwether_daemon::sandbox::Sandbox;
use bellwether_daemon::sandbox::compile::Compiler;
use bellwether_daemon::sandbox::component::{Component, Kind, MAX_SIZE};
use clap::Args;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};

/// Show what a component is, what it asks for, and whether it runs here
///
/// The file is loaded in the sandbox as the daemon would, and describes itself. It is not installed.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// For programs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &InspectArgs, output: &mut Output) -> Outcome {
    let bytes = read_component(&args.file)?;
    let sandbox = Sandbox::new(&LimitsSpec::default(), Compiler::Own)?;
    let component = load(&sandbox, &args.file, &bytes)?;
    if args.json {
        output.json(&document(&component))?;
    } else {
        print(&component, output)?;
    }
    Ok(Exit::Done)
}

/// The bytes of a component, if the file can be one.
pub(super) fn read_component(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: &io::Error| {
        let what = format!("{} cannot be read: {error}", file.display());
        Failure::new(Exit::Error, what, "name the .wasm file of a component")
    };
    let size = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if size > MAX_SIZE as u64 {
        let what = format!("{} has {size} bytes; a component has at most {MAX_SIZE}", file.display());
        return Err(Failure::new(Exit::Error, what, "build it for size: opt-level = \"s\", strip = true"));
    }
    std::fs::read(file).map_err(|error| unreadable(&error))
}

/// The component, or why it does not run here.
pub(super) fn load(sandbox: &Sandbox, file: &Path, bytes: &[u8]) -> Result<Component, Failure> {
    sandbox.load(bytes).map_err(|error| {
        let what = format!("{} does not run here: {error}", file.display());
        Failure::new(
            Exit::Error,
            what,
            "build it against the WIT package bellwether:guest@1.0.0, for wasm32-wasip2",
        )
    })
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Checker => "checker",
        Kind::RestartScript => "restart-script",
    }
}

fn document(component: &Component) -> Value {
    let about = component.about();
    json!({
        "kind": word(component.kind()),
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "digest": component.digest(),
        "size": component.size(),
        "grants": about.grants,
        "imports": component.imports(),
        "exports": component.exports(),
        // As JSON if it is; a guest may say anything.
        "config_schema": serde_json::from_str::<Value>(&about.config_schema).unwrap_or(Value::Null),
    })
}

fn print(component: &Component, output: &mut Output) -> io::Result<()> {
    let about = component.about();
    let title = format!("{} {}", about.name, about.version);
    writeln!(output, "{}  {}", output.paint(Tone::Title, &title), word(component.kind()))?;
    writeln!(output, "{}\n", about.summary)?;
    writeln!(output, "digest   {}", component.digest())?;
    writeln!(output, "size     {} bytes", component.size())?;
    if about.grants.is_empty() {
        writeln!(output, "grants   it asks for none")?;
    }
    for grant in &about.grants {
        let value = if grant.value.is_empty() { "as its configuration needs" } else { &grant.value };
        writeln!(output, "grants   {} ({value}): {}", grant.kind, grant.reason)?;
    }
    for import in component.imports() {
        writeln!(output, "imports  {import}")?;
    }
    if let Ok(schema) = serde_json::from_str::<Value>(&about.config_schema) {
        writeln!(output, "\nIts configuration (JSON Schema):\n{schema:#}")?;
    }
    writeln!(output, "\n{}", output.paint(Tone::Good, "✓ It runs here."))
}
