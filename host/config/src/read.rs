//! Reads files into specifications. Only this part of [`super`] reads files.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use bellwether_core::id::ModuleName;
use bellwether_core::simulation::scenario::Scenario;
use bellwether_os::host;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::host_files::{AnyHost, HostFiles, ThisHost};
use super::http;
use super::mistake::{Findings, Mistake, Mistakes};
use super::module_file;
use super::node_file::{self, NodeFile};
use super::pair;
use super::scenario_file::{self, ScenarioFile};
use super::schema::{module_schema, node_schema, scenario_schema};
use super::source::{Source, Sourced};
use super::spec::{ModuleSpec, NodeSpec};
use super::structure;

/// The node's file, relative to the root.
pub const NODE_FILE: &str = "bellwether.toml";
/// The folder of the modules' files, relative to the root.
pub const MODULES_FOLDER: &str = "modules";
/// The maximum size of an operator's file, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The maximum number of files in the folder of modules.
const MAX_MODULES: usize = 4096;
/// The maximum number of entries of any kind there.
const MAX_ENTRIES: usize = 1 << 18;

/// All files of a root, each read separately.
#[derive(Debug, Clone)]
pub struct RootReport {
    /// The specification of this node.
    pub node: Result<Sourced<NodeSpec>, Mistakes>,
    /// By file name (`web.toml`), sorted.
    pub modules: Vec<(String, Result<Sourced<ModuleSpec>, Mistakes>)>,
}

/// The specification of this node from `bellwether.toml` in the root. Without the file: all defaults.
pub fn read_node(root: &Path) -> Result<NodeSpec, Mistakes> {
    read_node_file(root).map(|node| node.spec)
}

/// The module of a file, which is `modules/NAME.toml` in the root (or any path; a relative one
/// is relative to the root).
pub fn read_module(root: &Path, file: &Path) -> Result<ModuleSpec, Mistakes> {
    read_module_file(root, file).map(|module| module.spec)
}

/// All files of a root. Other files beside the `.toml` files of modules, and hidden files, are ignored.
pub fn read_root(root: &Path) -> RootReport {
    let folder = root.join(MODULES_FOLDER);
    let modules = match module_files(&folder) {
        Ok(names) => names
            .into_iter()
            .map(|name| {
                let module = read_module_file(root, &Path::new(MODULES_FOLDER).join(&name));
                (name, module)
            })
            .collect(),
        Err(error) => vec![(MODULES_FOLDER.to_owned(), Err(unreadable(MODULES_FOLDER, &error).into()))],
    };
    RootReport { node: read_node_file(root), modules }
}

/// [`read_node`], including the text.
pub(crate) fn read_node_file(root: &Path) -> Result<Sourced<NodeSpec>, Mistakes> {
    let host_name = host::name();
    match read_text(&root.join(NODE_FILE), NODE_FILE) {
        Ok(text) => parse_node(&text, &host_name)
            .and_then(|node| http::with_bundle(root, node))
            .and_then(|node| pair::with_pairs(root, node)),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => parse_node("", &host_name),
        Err(error) => Err(error.into_mistake(NODE_FILE).into()),
    }
}

/// [`read_module`], including the text.
pub fn read_module_file(root: &Path, file: &Path) -> Result<Sourced<ModuleSpec>, Mistakes> {
    let path = root.join(file);
    let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = ModuleName::new(&stem).map_err(|error| {
        let mut mistake = Mistake::of_file(&shown, format!("`{stem}` is not a name for a module: {error}"));
        mistake.help("the file's name without `.toml` is the module's: rename the file");
        mistake
    })?;
    let text = read_text(&path, &shown).map_err(|error| error.into_mistake(&shown))?;
    let mut module = parse_module(name, &shown, &text, &ThisHost::new(root))?;
    module.spec.place_under(root);
    Ok(module)
}

/// The module of any file, whatever the file's name is, for a host that has every program: for a simulation. A
/// relative path is relative to the root.
pub fn read_module_as(root: &Path, name: ModuleName, file: &Path) -> Result<Sourced<ModuleSpec>, Mistakes> {
    let path = root.join(file);
    let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
    let text = read_text(&path, &shown).map_err(|error| error.into_mistake(&shown))?;
    parse_module_of_any_host(root, name, &shown, &text)
}

/// The module of a text, for a host that has every program; `file` is its path in errors. For a text that was good
/// when it was stored, whatever this host lacks now.
pub fn parse_module_of_any_host(
    root: &Path,
    name: ModuleName,
    file: &str,
    text: &str,
) -> Result<Sourced<ModuleSpec>, Mistakes> {
    let mut module = parse_module(name, file, text, &AnyHost)?;
    module.spec.place_under(root);
    Ok(module)
}

/// The scenario of a file, for this module. Errors name the file as it is given.
pub fn read_scenario(file: &Path, module: &ModuleSpec) -> Result<Scenario, Mistakes> {
    let shown = file.display().to_string();
    let text = read_text(file, &shown).map_err(|error| error.into_mistake(&shown))?;
    parse_scenario(&shown, &text, module).map(|scenario| scenario.spec)
}

/// The text of a scenario, for this module; `file` is its path in errors.
pub(crate) fn parse_scenario(
    file: &str,
    text: &str,
    module: &ModuleSpec,
) -> Result<Sourced<Scenario>, Mistakes> {
    let source = Source::new(file, text);
    parse(file, text, scenario_schema(), |shape: ScenarioFile, findings| {
        scenario_file::scenario(&source, shape, module, findings)
    })
}

/// Parses the text of a `bellwether.toml`. `host_name` is the name of the node if the file sets none.
pub fn parse_node(text: &str, host_name: &str) -> Result<Sourced<NodeSpec>, Mistakes> {
    parse(NODE_FILE, text, node_schema(), |file: NodeFile, findings| {
        node_file::node_spec(file, host_name, findings)
    })
}

/// Parses the text of a module's file; `file` is its path in errors.
pub fn parse_module(
    name: ModuleName,
    file: &str,
    text: &str,
    host: &dyn HostFiles,
) -> Result<Sourced<ModuleSpec>, Mistakes> {
    parse(file, text, module_schema(), |file, findings| module_file::module_spec(name, file, host, findings))
}

/// Both passes over a text.
fn parse<F: DeserializeOwned, S>(
    file: &str,
    text: &str,
    schema: &Value,
    convert: impl FnOnce(F, &mut Findings<'_>) -> S,
) -> Result<Sourced<S>, Mistakes> {
    let source = Source::new(file, text);
    let mut findings = Findings::new(&source);
    let shape = structure::check(&source, schema, &mut findings)
        .map(|table| F::deserialize(toml::de::Deserializer::from(table)));
    let spec = match shape {
        Some(Ok(shape)) => Some(convert(shape, &mut findings)),
        Some(Err(error)) => {
            findings.at(error.span().unwrap_or(0..0), error.message());
            None
        }
        None => None,
    };
    let spec = findings.finish(spec)?;
    // Without a specification there is an error.
    let spec = spec.ok_or_else(|| Mistake::of_file(file, "the file cannot be understood"))?;
    Ok(Sourced { spec, source })
}

/// The names of the files in the folder of modules, sorted. Without the folder, there are no modules.
fn module_files(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries.take(MAX_ENTRIES) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_toml = Path::new(&name).extension().is_some_and(|extension| extension == "toml");
        if is_toml && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    // Backup files and the like are not modules, and do not count towards the maximum.
    names.truncate(MAX_MODULES);
    Ok(names)
}

/// Why there is no text.
enum ReadError {
    Io(io::Error),
    NotAFile,
    TooLarge,
    NotUtf8(Box<Mistake>),
}

impl ReadError {
    fn into_mistake(self, file: &str) -> Mistake {
        match self {
            Self::Io(error) => unreadable(file, &error),
            Self::NotAFile => Mistake::of_file(file, "not a regular file"),
            Self::TooLarge => {
                let mut mistake = Mistake::of_file(file, "the file is too large");
                mistake.expected(format!("expected at most {MAX_FILE} bytes"));
                mistake
            }
            Self::NotUtf8(mistake) => *mistake,
        }
    }
}

fn unreadable(file: &str, error: &io::Error) -> Mistake {
    if error.kind() == io::ErrorKind::NotFound {
        return Mistake::of_file(file, "there is no such file");
    }
    let mut mistake = Mistake::of_file(file, format!("cannot be read: {error}"));
    if error.kind() == io::ErrorKind::PermissionDenied {
        mistake.help("the user the daemon runs as must be able to read it");
    }
    mistake
}

fn read_text(path: &Path, shown: &str) -> Result<String, ReadError> {
    // Opening a pipe would wait for a writer.
    if !fs::metadata(path).map_err(ReadError::Io)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(ReadError::Io)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let source = Source::new(shown, String::from_utf8_lossy(error.as_bytes()));
        let span = start..start + char::REPLACEMENT_CHARACTER.len_utf8();
        let mut mistake = Mistake::new(&source, span, "the file is not UTF-8 text");
        mistake
            .expected("expected UTF-8 from here on")
            .help("save the file as UTF-8, without a byte-order mark");
        ReadError::NotUtf8(Box::new(mistake))
    })
}
