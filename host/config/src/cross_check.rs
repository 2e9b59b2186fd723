//! Checks that involve several files, or components.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bellwether_core::id::{ComponentName, ModuleName};
pub use bellwether_core::reload::ComponentKind;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use toml::de::DeTable;

use super::config_schema::{self, SchemaError};
use super::mistake::{self, Mistake, Mistakes};
use super::nearest;
use super::read::RootReport;
use super::source::{CheckerPlaces, Sourced, Step};
use super::spec::{ModuleSpec, NodeSpec, Subject};

/// Returns the JSON Schema of a component's config from its `describe` (empty: it has no config), or that there is
/// no such component.
pub type KnownComponents<'k> = &'k dyn Fn(ComponentKind, &ComponentName) -> Option<String>;

/// All errors between files that are valid by themselves, and between files and components, file by file.
pub fn check_root(report: &RootReport, known: KnownComponents<'_>) -> Vec<Mistakes> {
    // A module whose file has errors still exists.
    let modules: BTreeSet<ModuleName> = report
        .modules
        .iter()
        .filter_map(|(file, _)| ModuleName::new(file.strip_suffix(".toml")?).ok())
        .collect();
    let node = report.node.as_ref().ok().and_then(|node| check_node(node, &modules).err());
    let modules =
        report.modules.iter().filter_map(|(_, module)| check_module(module.as_ref().ok()?, known).err());
    node.into_iter().chain(modules).collect()
}

/// Checks the references of the node's file to modules.
pub(crate) fn check_node(node: &Sourced<NodeSpec>, modules: &BTreeSet<ModuleName>) -> Result<(), Mistakes> {
    let mut mistakes = Vec::new();
    for (index, agent_check) in node.spec.agent_checks.iter().enumerate() {
        let Some(module) = agent_check.agent.module.as_ref().filter(|module| !modules.contains(*module))
        else {
            continue;
        };
        let path = [Step::Key("agent-check"), Step::Index(index), Step::Key("module")];
        let mut mistake =
            Mistake::new(&node.source, node.source.locate(&path), format!("no module `{module}`"));
        mistake.expected(format!("expected the name of a file `modules/{module}.toml`"));
        mistake.help = nearest::did_you_mean(module.as_str(), modules.iter().map(ModuleName::as_str));
        mistakes.push(mistake);
    }
    Mistakes::new(mistakes).map_or(Ok(()), Err)
}

/// Checks a module's file against components: that they exist, and accept the given config.
pub fn check_module(module: &Sourced<ModuleSpec>, known: KnownComponents<'_>) -> Result<(), Mistakes> {
    let (table, _) = DeTable::parse_recoverable(module.source.text());
    let places = CheckerPlaces::of(table.get_ref());
    let mut check = ComponentCheck { module, known, schemas: BTreeMap::new(), mistakes: Vec::new() };
    let restart = &module.spec.restart;
    let script = [Step::Key("restart"), Step::Key("script")];
    let config = [Step::Key("restart"), Step::Key("config")];
    check.component(ComponentKind::RestartScript, &restart.script, &restart.config, &script, &config);
    for checker in module.spec.checkers.values() {
        let Subject::Component(component) = &checker.subject else { continue };
        let path = |key| places.path(checker.name.as_str(), key);
        let (name, config) = (&component.component, &component.config);
        check.component(ComponentKind::Checker, name, config, &path("component"), &path("config"));
    }
    Mistakes::new(check.mistakes).map_or(Ok(()), Err)
}

struct ComponentCheck<'m> {
    module: &'m Sourced<ModuleSpec>,
    known: KnownComponents<'m>,
    /// The components that the file has named so far: thousands of checkers may share one.
    schemas: BTreeMap<(ComponentKind, ComponentName), Rc<Known>>,
    mistakes: Vec<Mistake>,
}

/// The config of a component.
enum Known {
    /// There is no such component.
    Nothing,
    /// It has no config.
    NoConfig,
    /// It accepts configs that match this schema.
    Config(Value, Box<Validator>),
    /// Its schema cannot be used.
    BadSchema(SchemaError),
}

impl Known {
    fn of(schema: Option<String>) -> Self {
        let Some(schema) = schema else { return Self::Nothing };
        if schema.trim().is_empty() {
            return Self::NoConfig;
        }
        match config_schema::compile(&schema) {
            Ok((schema, validator)) => Self::Config(schema, Box::new(validator)),
            Err(error) => Self::BadSchema(error),
        }
    }
}

impl ComponentCheck<'_> {
    fn component(
        &mut self,
        kind: ComponentKind,
        name: &ComponentName,
        config: &Value,
        name_path: &[Step<'_>],
        config_path: &[Step<'_>],
    ) {
        let known = self.known;
        let schema = self.schemas.entry((kind, name.clone()));
        let schema = Rc::clone(schema.or_insert_with(|| Rc::new(Known::of(known(kind, name)))));
        match &*schema {
            Known::Nothing => {
                self.at(name_path, format!("no {kind} `{name}`"))
                    .expected("expected the name of a component")
                    .help(format!(
                        "there is no file {}/{name}.wasm, and no built-in {kind} of this name",
                        kind.folder()
                    ));
            }
            Known::NoConfig => {
                let nothing_given = config.as_object().is_some_and(serde_json::Map::is_empty);
                if !nothing_given {
                    self.at(config_path, format!("`{name}` takes no config"))
                        .expected("expected no `config`");
                }
            }
            Known::Config(schema, validator) => {
                for error in validator.iter_errors(config).take(mistake::MAX_MISTAKES) {
                    self.config_error(name, config_path, schema, &error);
                }
            }
            Known::BadSchema(reason) => {
                self.at(name_path, format!("the {kind} `{name}` has an invalid config schema: {reason}"))
                    .help("report this to the component's author");
            }
        }
    }

    fn config_error(
        &mut self,
        component: &ComponentName,
        config_path: &[Step<'_>],
        schema: &Value,
        error: &ValidationError<'_>,
    ) {
        let mut path = config_path.to_vec();
        let mut shown = "config".to_owned();
        let segments: Vec<_> = error.instance_path().into_iter().collect();
        for segment in &segments {
            match segment {
                LocationSegment::Property(key) => {
                    shown = format!("{shown}.{key}");
                    path.push(Step::Key(key.as_ref()));
                }
                LocationSegment::Index(index) => {
                    shown = format!("{shown}[{index}]");
                    path.push(Step::Index(*index));
                }
            }
        }
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let keys = known_keys(schema, error);
                for key in unexpected {
                    let mut path = path.clone();
                    path.push(Step::Key(key));
                    let span = self.module.source.locate_key(&path);
                    let near = nearest::did_you_mean(key, keys.iter().copied());
                    let message = format!("`{component}` takes no `{key}` in `{shown}`");
                    let mut mistake = Mistake::new(&self.module.source, span, message);
                    let known = || format!("expected {}", nearest::list(keys.iter().copied()));
                    mistake.expected(near.unwrap_or_else(known));
                    self.mistakes.push(mistake);
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let why = condition(schema, error);
                let mistake = self.at(&path, format!("`{component}` needs `{key}` in `{shown}`"));
                mistake.expected(format!("expected `{key}`"));
                if let Some(why) = why {
                    mistake.help(why);
                }
            }
            _ => {
                let reason = error.masked_with(format!("`{shown}`")).to_string();
                self.at(&path, format!("`{component}` cannot take this config"))
                    .expected(reason.replace('"', "`"));
            }
        }
    }

    fn at(&mut self, path: &[Step<'_>], message: String) -> &mut Mistake {
        let source = &self.module.source;
        let index = self.mistakes.len();
        self.mistakes.push(Mistake::new(source, source.locate(path), message));
        &mut self.mistakes[index]
    }
}

/// The schema's text for a key that is required only under a condition: the description of its `then`.
fn condition<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Option<&'s str> {
    let then = error.schema_path().as_str().strip_suffix("/required")?;
    if !then.ends_with("/then") && !then.ends_with("/else") {
        return None;
    }
    schema.pointer(then)?.get("description")?.as_str()
}

/// The keys in the part of the schema that an unexpected key violates.
fn known_keys<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Vec<&'s str> {
    let keyword = error.schema_path().as_str();
    let around = keyword.rsplit_once('/').map_or("", |(around, _)| around);
    let properties = schema.pointer(&format!("{around}/properties")).and_then(Value::as_object);
    properties.into_iter().flat_map(|keys| keys.keys()).map(String::as_str).collect()
}
