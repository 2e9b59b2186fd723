//! The effective values of a module's file, and the source of each.

use bellwether_core::drain::Drain;
use bellwether_core::grant::GrantKind;
use bellwether_core::policy::{BackoffPolicy, BudgetPolicy, Thresholds};
use bellwether_core::shutdown::Shutdown;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::definition::find_text;
use super::execution::{execution_keys, resource_limit_keys};
use super::module_file::AUTO;
use super::quantity::{show_duration, show_size};
use super::source::{CheckerPlaces, Sourced, Step, locate_in};
use super::spec::{
    AgentCheckSpec, CheckerDefinition, CheckerSpec, CommandSpec, ComponentSpec, FarmSpec, Find, Grants,
    HealthSpec, ModuleSpec, NodeSpec, ProcessBounds, ProcessSpec, RestartSpec, Subject,
};

/// The source of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The file sets it.
    File,
    /// It is a default.
    Default,
}

/// One effective value of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effective {
    /// The key: `restart.budget.within`, `checker.home-page.interval`.
    pub key: String,
    /// The value, as written in a file.
    pub value: String,
    /// The source of the value.
    pub source: Origin,
}

impl Sourced<ModuleSpec> {
    /// All effective values: first those of the module, then command by command and checker by checker. Values
    /// without a default that are not in the file are omitted.
    pub fn effective(&self) -> Vec<Effective> {
        let table = self.source.table();
        let mut listing = Listing::of(table.get_ref());
        listing.module(&self.spec);
        listing.values
    }
}

impl Sourced<NodeSpec> {
    /// The effective values for operators. Secrets are not included.
    pub fn effective(&self) -> Vec<Effective> {
        let table = self.source.table();
        let mut listing = Listing::of(table.get_ref());
        listing.node(&self.spec);
        listing.values
    }
}

impl<S> Sourced<S> {
    /// The number of values that the file itself sets.
    pub fn said(&self) -> usize {
        let table = self.source.table();
        table.get_ref().values().map(|value| leaves(value.get_ref())).sum()
    }
}

/// A list of plain values counts as one value.
fn leaves(value: &DeValue<'_>) -> usize {
    match value {
        DeValue::Table(table) => table.values().map(|value| leaves(value.get_ref())).sum(),
        DeValue::Array(list) if list.iter().any(|value| matches!(value.get_ref(), DeValue::Table(_))) => {
            list.iter().map(|value| leaves(value.get_ref())).sum()
        }
        _ => 1,
    }
}

struct Listing<'t> {
    table: &'t DeTable<'t>,
    checkers: CheckerPlaces<'t>,
    values: Vec<Effective>,
}

/// A key as displayed, and its path in the file; none for values that are not in the file at all.
pub struct Table<'p> {
    title: String,
    path: Option<Vec<Step<'p>>>,
}

impl<'t> Listing<'t> {
    fn of(table: &'t DeTable<'t>) -> Self {
        Self { table, checkers: CheckerPlaces::of(table), values: Vec::new() }
    }

    fn node(&mut self, node: &NodeSpec) {
        let table = Table::of;
        self.text(&table(&[]), "name", node.name.as_str());
        self.text(&table(&["health"]), "listen", &node.health.to_string());
        for (index, AgentCheckSpec { listen, agent }) in node.agent_checks.iter().enumerate() {
            let table = Table {
                title: format!("agent-check.{}", index + 1),
                path: Some(vec![Step::Key("agent-check"), Step::Index(index)]),
            };
            self.text(&table, "listen", &listen.to_string());
            if let Some(module) = &agent.module {
                self.text(&table, "module", module.as_str());
            }
            self.add(&table, "owns", agent.owns.to_string());
        }
        self.add(&table(&["console"]), "enabled", node.console.is_some().to_string());
        if let Some(console) = &node.console {
            self.text(&table(&["console"]), "listen", &console.listen.to_string());
            self.add(&table(&["console"]), "names", Value::from(console.names.clone()).to_string());
        }
        self.farm(&node.farm);
        if let Some(metrics) = node.metrics {
            self.text(&table(&["metrics"]), "listen", &metrics.to_string());
        }
        if let Some(telemetry) = &node.telemetry {
            self.text(&table(&["telemetry"]), "endpoint", &telemetry.endpoint.to_string());
            self.text(&table(&["telemetry"]), "interval", &show_duration(telemetry.interval));
        }
        self.text(&table(&["reload"]), "rescan", &show_duration(node.rescan));
        self.text(
            &table(&["shutdown"]),
            "applications",
            match node.shutdown.applications {
                None => "leave",
                Some(Shutdown::Drain) => "drain",
                Some(Shutdown::Stop) => "stop",
            },
        );
        self.text(&table(&["shutdown"]), "within", &show_duration(node.shutdown.within));
        self.add(&table(&["trust"]), "require-signature", node.trust.require_signature.to_string());
        for target in &node.notify {
            let table = Table { title: format!("notify.{}", target.name), path: None };
            self.text(&table, "name", target.name.as_str());
        }
    }

    fn farm(&mut self, FarmSpec { listen, address, zone }: &FarmSpec) {
        let table = Table::of(&["farm"]);
        self.text(&table, "listen", &listen.to_string());
        for (key, value) in [("address", address), ("zone", zone)] {
            if let Some(value) = value {
                self.text(&table, key, value);
            }
        }
    }

    fn module(&mut self, module: &ModuleSpec) {
        let ModuleSpec { name: _, restart, health, commands, checkers } = module;
        self.restart(restart);
        self.health(health);
        for (name, command) in commands {
            self.command(name.as_str(), command);
        }
        for checker in checkers.values() {
            self.checker(checker);
        }
    }

    fn restart(&mut self, restart: &RestartSpec) {
        let RestartSpec {
            script,
            config,
            grants,
            limits,
            budget: BudgetPolicy { restarts, within },
            backoff: BackoffPolicy { first, max },
            start_within,
            // Follows from `start-within`.
            appear_within: _,
            keep_trying,
        } = restart;
        let table = Table::of(&["restart"]);
        self.text(&table, "script", script.as_str());
        self.add(&table, "config", config.to_string());
        self.grants(&table.inner("grant"), grants);
        for (key, value) in limits.list() {
            self.add(&table.inner("limits"), key, value);
        }
        self.add(&table.inner("budget"), "restarts", restarts.to_string());
        self.text(&table.inner("budget"), "within", &show_duration(*within));
        self.text(&table.inner("backoff"), "first", &show_duration(*first));
        self.text(&table.inner("backoff"), "max", &show_duration(*max));
        self.text(&table, "start-within", &show_duration(*start_within));
        self.text(&table, "keep-trying", &show_duration(*keep_trying));
    }

    fn health(&mut self, health: &HealthSpec) {
        let HealthSpec { drain, degrade, on_yes, on_no } = health;
        let table = Table::of(&["health"]);
        let drain = match drain {
            Drain::For(time) => show_duration(*time),
            Drain::UntilHeard => AUTO.to_owned(),
        };
        self.text(&table, "drain", &drain);
        self.add(&table, "degrade", degrade.to_string());
        for (key, command) in [("on-yes", on_yes), ("on-no", on_no)] {
            if let Some(command) = command {
                self.text(&table, key, command.as_str());
            }
        }
    }

    fn command(&mut self, name: &str, command: &CommandSpec) {
        let CommandSpec { run, keep, timeout, leftovers, env, dir, arguments, execution } = command;
        let table = Table {
            title: format!("commands.{name}"),
            path: Some(vec![Step::Key("commands"), Step::Key(name)]),
        };
        self.add(&table, "run", Value::from(run.clone()).to_string());
        self.add(&table, "keep", keep.to_string());
        self.text(&table, "timeout", &show_duration(*timeout));
        if *keep || name == "start" {
            self.text(&table, "leftovers", &show_duration(*leftovers));
        }
        let env = env.iter().map(|(key, value)| format!("{key:?} = {value:?}")).collect::<Vec<_>>();
        if !env.is_empty() {
            self.add(&table, "env", format!("{{ {} }}", env.join(", ")));
        }
        match dir {
            Some(dir) => self.text(&table, "dir", &dir.display().to_string()),
            None => self.text(&table, "dir", "."),
        }
        if let Some(pattern) = arguments {
            self.add(&table, "arguments", format!("{:?}", pattern.as_str()));
        }
        for (key, value) in execution_keys(execution) {
            self.add(&table, key, value);
        }
        for (key, value) in resource_limit_keys(&execution.limits) {
            self.add(&table.inner("limits"), key, value);
        }
    }

    /// The given grants: there are none by default.
    fn grants(&mut self, table: &Table<'_>, grants: &Grants) {
        let list = grants.list();
        for kind in GrantKind::ALL {
            let values: Vec<&str> =
                list.iter().filter(|(of, _)| *of == kind).map(|(_, value)| value.as_str()).collect();
            match (kind, values.as_slice()) {
                (_, []) => {}
                (GrantKind::Processes, _) => self.add(table, kind.word(), "true".to_owned()),
                (_, values) => self.add(table, kind.word(), Value::from(values).to_string()),
            }
        }
    }

    fn checker(&mut self, checker: &CheckerSpec) {
        let CheckerSpec { name, definition, thresholds, on_down } = checker;
        let CheckerDefinition { interval, timeout, subject } = definition;
        let index = self.checkers.index(name.as_str());
        let path = index.map(|index| vec![Step::Key("checker"), Step::Index(index)]);
        let table = Table { title: format!("checker.{name}"), path };
        match subject {
            Subject::Process(process) => self.process(&table.inner("process"), process),
            Subject::Component(component) => self.component(&table, component),
        }
        let Thresholds { rise, fall, fall_of, grace, unknown_is_fail } = thresholds;
        self.text(&table, "interval", &show_duration(*interval));
        self.text(&table, "timeout", &show_duration(*timeout));
        self.add(&table, "rise", rise.to_string());
        match fall_of {
            Some(runs) => self.text(&table, "fall", &format!("{fall} of {runs}")),
            None => self.add(&table, "fall", fall.to_string()),
        }
        self.text(&table, "grace", &show_duration(*grace));
        self.text(&table, "unknown", if *unknown_is_fail { "fail" } else { "ignore" });
        self.text(&table, "on-down", on_down.word());
    }

    fn component(&mut self, table: &Table<'_>, component: &ComponentSpec) {
        let ComponentSpec { component, config, grants, limits } = component;
        self.text(table, "component", component.as_str());
        self.add(table, "config", config.to_string());
        self.grants(&table.inner("grant"), grants);
        for (key, value) in limits.list() {
            self.add(&table.inner("limits"), key, value);
        }
    }

    fn process(&mut self, table: &Table<'_>, process: &ProcessSpec) {
        let ProcessSpec { find, at_least, at_most, containers, of, bounds } = process;
        let ProcessBounds { memory, cpu, open_files, threads } = bounds;
        let (way, what) = find_text(find);
        self.text(table, way, &what);
        self.add(table, "at-least", at_least.to_string());
        if matches!(find, Find::Name(_) | Find::Arguments(_)) {
            self.add(table, "containers", containers.to_string());
            self.text(table, "of", of.word());
        }
        let bounds = [
            ("at-most", at_most.map(|count| count.to_string())),
            ("max-memory", memory.map(|bytes| format!("\"{}\"", show_size(bytes)))),
            ("max-cpu", cpu.map(|percent| percent.to_string())),
            ("max-open-files", open_files.map(|count| count.to_string())),
            ("max-threads", threads.map(|count| count.to_string())),
        ];
        for (key, bound) in bounds {
            if let Some(bound) = bound {
                self.add(table, key, bound);
            }
        }
    }

    fn text(&mut self, table: &Table<'_>, key: &'static str, value: &str) {
        self.add(table, key, Value::from(value).to_string());
    }

    fn add(&mut self, table: &Table<'_>, key: &'static str, value: String) {
        let is_in_file = table.inner(key).path.is_some_and(|path| locate_in(self.table, &path).0.is_some());
        let source = if is_in_file { Origin::File } else { Origin::Default };
        let title = if table.title.is_empty() { key.to_owned() } else { format!("{}.{key}", table.title) };
        self.values.push(Effective { key: title, value, source });
    }
}

impl<'p> Table<'p> {
    /// A table that has a place of its own in the file.
    fn of(keys: &[&'p str]) -> Self {
        Self { title: keys.join("."), path: Some(keys.iter().map(|key| Step::Key(key)).collect()) }
    }

    fn inner(&self, key: &'p str) -> Self {
        let mut path = self.path.clone();
        if let Some(path) = &mut path {
            path.push(Step::Key(key));
        }
        Table { title: format!("{}.{key}", self.title), path }
    }
}
