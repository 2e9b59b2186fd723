//! Checks that involve several files, or components.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bellwether_core::id::{ComponentName, ModuleName};
pub use bellwether_core::reload::ComponentKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use toml::de::DeTable;

use super::config_complaint::{ConfigStep, complaints};
use super::config_schema::{self, SchemaError};
use super::mistake::{self, Findings, Mistake, Mistakes};
use super::nearest;
use super::read::RootReport;
use super::source::{CheckerPlaces, Sourced, Step, locate_in, locate_key_in};
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
    let table = node.source.table();
    let mut findings = Findings::new(&node.source);
    for (index, agent_check) in node.spec.agent_checks.iter().enumerate() {
        let Some(module) = agent_check.agent.module.as_ref().filter(|module| !modules.contains(*module))
        else {
            continue;
        };
        if findings.is_full() {
            findings.count();
            continue;
        }
        let path = [Step::Key("agent-check"), Step::Index(index), Step::Key("module")];
        let span = locate_in(table.get_ref(), &path).1.unwrap_or(0..0);
        let mistake = findings.at(span, format!("no module `{module}`"));
        mistake.expected(format!("expected the name of a file `modules/{module}.toml`"));
        mistake.help = nearest::did_you_mean(module.as_str(), modules.iter().map(ModuleName::as_str));
    }
    findings.finish(())
}

/// Checks a module's file against components: that they exist, and accept the given config.
pub fn check_module(module: &Sourced<ModuleSpec>, known: KnownComponents<'_>) -> Result<(), Mistakes> {
    let table = module.source.table();
    let places = CheckerPlaces::of(table.get_ref());
    let findings = Findings::new(&module.source);
    let mut check = ComponentCheck { table: table.get_ref(), known, schemas: BTreeMap::new(), findings };
    let restart = &module.spec.restart;
    let script = [Step::Key("restart"), Step::Key("script")];
    let config = [Step::Key("restart"), Step::Key("config")];
    check.component(ComponentKind::RestartScript, &restart.script, &restart.config, &script, &config);
    for checker in module.spec.checkers.values() {
        let Subject::Component(component) = &checker.definition.subject else { continue };
        let path = |key| places.path(checker.name.as_str(), key);
        let (name, config) = (&component.component, &component.config);
        check.component(ComponentKind::Checker, name, config, &path("component"), &path("config"));
    }
    check.findings.finish(())
}

struct ComponentCheck<'m> {
    table: &'m DeTable<'m>,
    known: KnownComponents<'m>,
    /// The components that the file has named so far: thousands of checkers may share one.
    schemas: BTreeMap<(ComponentKind, ComponentName), Rc<ConfigSchema>>,
    findings: Findings<'m>,
}

/// The config of a component.
enum ConfigSchema {
    /// There is no such component.
    Nothing,
    /// It has no config.
    NoConfig,
    /// It accepts configs that match this schema.
    Config(Value, Box<Validator>),
    /// Its schema cannot be used.
    BadSchema(SchemaError),
}

impl ConfigSchema {
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
        let schema = Rc::clone(schema.or_insert_with(|| Rc::new(ConfigSchema::of(known(kind, name)))));
        match &*schema {
            ConfigSchema::Nothing => {
                self.at(name_path, format!("no {kind} `{name}`"))
                    .expected("expected the name of a component")
                    .help(format!(
                        "there is no file {}/{name}.wasm, and no built-in {kind} of this name",
                        kind.folder()
                    ));
            }
            ConfigSchema::NoConfig => {
                let nothing_given = config.as_object().is_some_and(serde_json::Map::is_empty);
                if !nothing_given {
                    self.at(config_path, format!("`{name}` takes no config"))
                        .expected("expected no `config`");
                }
            }
            ConfigSchema::Config(schema, validator) => {
                for error in validator.iter_errors(config).take(mistake::MAX_MISTAKES) {
                    self.config_error(name, config_path, schema, &error);
                }
            }
            ConfigSchema::BadSchema(reason) => {
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
        for complaint in complaints(component.as_str(), schema, error) {
            if self.findings.is_full() {
                self.findings.count();
                continue;
            }
            let below = complaint.at.iter().map(|place| match place {
                ConfigStep::Key(key) => Step::Key(key),
                ConfigStep::Index(index) => Step::Index(*index),
            });
            let path: Vec<Step<'_>> = config_path.iter().copied().chain(below).collect();
            let span = if complaint.is_key {
                locate_key_in(self.table, &path)
            } else {
                locate_in(self.table, &path).1.unwrap_or(0..0)
            };
            let mistake = self.findings.at(span, complaint.message);
            mistake.expected(complaint.expected);
            if let Some(help) = complaint.help {
                mistake.help(help);
            }
        }
    }

    fn at(&mut self, path: &[Step<'_>], message: String) -> &mut Mistake {
        self.findings.at(locate_in(self.table, path).1.unwrap_or(0..0), message)
    }
}
