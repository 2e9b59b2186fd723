//! Tables `[[checker]]` of a module.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::{CheckerName, CommandName, ComponentName};
use bellwether_core::policy::{OnDown, Thresholds};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::fall::{FallText, fall};
use super::grant::GrantTable;
use super::process::{self, ProcessTable};
use crate::field;
use crate::limits::LimitsTable;
use crate::mistake::Findings;
use crate::quantity::DurationText;
use crate::source::Located;
use crate::spec::{CheckerDefinition, CheckerSpec, ComponentSpec, ProcessBounds, ProcessSpec, Subject};
use bellwether_os::process::find::{Find, Of};
use bellwether_os::spawn::command::CommandSpec;

/// A checker of processes, or of whatever a component examines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["process"] }, { "required": ["component"] }]))]
pub(super) struct CheckerTable {
    /// The name of the checker, unique within the module.
    #[schemars(required, example = &"home")]
    name: Option<Located<String>>,
    /// Check processes of this host. Either this or `component`.
    process: Option<Located<ProcessTable>>,
    /// Check with a component: `checkers/NAME.wasm`, or a built-in one. Either this or `process`.
    #[schemars(example = &"http")]
    component: Option<Located<String>>,
    /// The time between two runs, from `"100ms"` to `"1h"`. Default: `"2s"` for processes (an exit is always
    /// detected immediately), `"5s"` for components.
    interval: Option<Located<DurationText>>,
    /// The time limit of one run, at most `"60s"`. Default: `"1s"` for processes, `"2s"` for components.
    timeout: Option<Located<DurationText>>,
    /// The number of passes in a row that bring it up. Default: 1 for processes, 2 for components.
    #[schemars(range(min = 1, max = 100))]
    rise: Option<u32>,
    /// The number of fails in a row that take it down; `"3 of 10"`: 3 fails among the last 10 runs, in a row
    /// or not. Default: 1 for processes, 3 for components.
    fall: Option<Located<FallText>>,
    /// Fails within this time after a start are not counted. Default: `"0s"` for processes,
    /// `"30s"` for components.
    grace: Option<Located<DurationText>>,
    /// How an unknown result counts. Default: `"ignore"`. If all of the last runs are unknown (as many as
    /// `fall`, at least three), a notification is sent in any case.
    unknown: Option<UnknownWord>,
    /// The action when it goes down. Default: `"restart"`.
    on_down: Option<OnDownWord>,
    /// The settings of the component. `bellwether inspect` lists them.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    config: Option<Located<toml::Table>>,
    /// The permissions of the component. Nothing is allowed without a grant.
    grant: Option<Located<GrantTable>>,
    /// The limits of one run of the component, if they differ from `[limits]` in bellwether.toml.
    limits: Option<Located<LimitsTable>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum UnknownWord {
    /// It is shown, and counts neither as a pass nor as a fail.
    Ignore,
    /// It counts as a fail.
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OnDownWord {
    /// Restart the application, within the budget.
    Restart,
    /// Stop the application and wait for an operator.
    Stop,
    /// A prerequisite: stop the application, and start it again automatically when the checker is up.
    Wait,
    /// Take the node out of the load balancer while the checker is down.
    Out,
    /// Only send a notification.
    Notify,
}

impl From<OnDownWord> for OnDown {
    fn from(word: OnDownWord) -> Self {
        match word {
            OnDownWord::Restart => Self::Restart,
            OnDownWord::Stop => Self::Stop,
            OnDownWord::Wait => Self::Wait,
            OnDownWord::Out => Self::Out,
            OnDownWord::Notify => Self::Notify,
        }
    }
}

impl CheckerTable {
    pub(super) fn name_span(&self) -> Option<Range<usize>> {
        self.name.as_ref().map(Located::span)
    }
}

const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(1);
const GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

/// The defaults of a checker.
struct Defaults {
    interval: Duration,
    timeout: Duration,
    thresholds: Thresholds,
}

const PROCESS: Defaults = Defaults {
    interval: Duration::from_secs(2),
    timeout: Duration::from_secs(1),
    thresholds: Thresholds { rise: 1, fall: 1, fall_of: None, grace: Duration::ZERO, unknown_is_fail: false },
};
const COMPONENT: Defaults = Defaults {
    interval: Duration::from_secs(5),
    timeout: Duration::from_secs(2),
    thresholds: Thresholds {
        rise: 2,
        fall: 3,
        fall_of: None,
        grace: Duration::from_secs(30),
        unknown_is_fail: false,
    },
};

/// The checker at `index` of the file, if it is valid enough to continue.
pub(super) fn checker_spec(
    index: usize,
    table: &Located<CheckerTable>,
    commands: &BTreeMap<CommandName, CommandSpec>,
    findings: &mut Findings<'_>,
) -> Option<CheckerSpec> {
    let path = format!("checker[{index}]");
    let CheckerTable { name, interval, timeout, rise, fall: fails, grace, unknown, on_down, .. } =
        table.get();
    if name.is_none() {
        field::missing(findings, table.span(), &path, "`[[checker]]`", "name", "\"home-page\"");
    }
    let name = name.as_ref().and_then(|name| field::name(findings, name, CheckerName::new));
    let on_down = on_down.map_or(OnDown::Restart, OnDown::from);
    let subject = subject(&path, table, commands, on_down, findings);
    let defaults = match &subject {
        Some(Subject::Process(_)) => PROCESS,
        Some(Subject::Component(_)) | None => COMPONENT,
    };
    let interval = field::duration(findings, "interval", interval.as_ref(), &INTERVAL, defaults.interval);
    let timeout = field::duration(findings, "timeout", timeout.as_ref(), &TIMEOUT, defaults.timeout);
    let fails = fall(fails.as_ref(), defaults.thresholds.fall, findings);
    let thresholds = Thresholds {
        rise: rise.unwrap_or(defaults.thresholds.rise),
        fall: fails.fails,
        fall_of: fails.of,
        grace: field::duration(findings, "grace", grace.as_ref(), &GRACE, defaults.thresholds.grace),
        unknown_is_fail: *unknown == Some(UnknownWord::Fail),
    };
    let definition = CheckerDefinition { interval, timeout, subject: subject? };
    Some(CheckerSpec { name: name?, definition, thresholds, on_down })
}

fn subject(
    path: &str,
    table: &Located<CheckerTable>,
    commands: &BTreeMap<CommandName, CommandSpec>,
    on_down: OnDown,
    findings: &mut Findings<'_>,
) -> Option<Subject> {
    let CheckerTable { process, component, config, grant, limits, .. } = table.get();
    match (process, component) {
        (Some(process), Some(component)) => {
            let later = process.span().start.max(component.span().start);
            let span = if later == component.span().start { component.span() } else { process.span() };
            findings
                .at(span, "both `process` and `component`")
                .expected("expected only one of them")
                .help("a checker has one subject: split it into two checkers");
            None
        }
        (None, None) => {
            let left_out =
                ["process", "component"].map(|key| findings.is_incomplete(&format!("{path}.{key}")));
            if !left_out.contains(&true) {
                findings
                    .at(table.span(), "this checker has no subject")
                    .expected("expected `process = { … }` or `component = \"NAME\"`");
            }
            None
        }
        (Some(process), None) => {
            let keys = [
                ("config", config.as_ref().map(Located::span)),
                ("grant", grant.as_ref().map(Located::span)),
                ("limits", limits.as_ref().map(Located::span)),
            ];
            for (key, span) in keys {
                if let Some(span) = span {
                    findings
                        .at(span, format!("a process checker takes no `{key}`"))
                        .expected("expected only with `component`");
                }
            }
            process::process_spec(&format!("{path}.process"), process, commands, on_down, findings)
                .map(Subject::Process)
        }
        (None, Some(component)) => {
            let component = field::name(findings, component, ComponentName::new);
            let grants =
                grant.as_ref().map(|grant| grant.get().grants(commands, findings)).unwrap_or_default();
            let config = json_of(config.as_ref().map(|config| config.get().clone()).unwrap_or_default());
            let grants = Arc::new(grants);
            let limits = limits.as_ref().map(|limits| limits.get().own_of_component(findings));
            let limits = limits.unwrap_or_default();
            Some(Subject::Component(ComponentSpec { component: component?, config, grants, limits }))
        }
    }
}

/// A kept command without any checker is monitored all the same, by a process checker with its name.
pub(super) fn add_kept_commands(
    commands: &BTreeMap<CommandName, CommandSpec>,
    checkers: &mut BTreeMap<CheckerName, CheckerSpec>,
) {
    let watched: BTreeSet<CommandName> = checkers
        .values()
        .filter_map(|checker| match &checker.definition.subject {
            Subject::Process(ProcessSpec { find: Find::Kept(command), .. }) => Some(command.clone()),
            _ => None,
        })
        .collect();
    for (command, _) in commands.iter().filter(|(name, spec)| spec.keep && !watched.contains(*name)) {
        let Some(name) = free_name(command, checkers) else { continue };
        let find = Find::Kept(command.clone());
        let process = ProcessSpec {
            find,
            at_least: 1,
            at_most: None,
            containers: false,
            of: Of::Host,
            bounds: ProcessBounds::default(),
        };
        checkers.insert(
            name.clone(),
            CheckerSpec {
                name,
                definition: CheckerDefinition {
                    interval: PROCESS.interval,
                    timeout: PROCESS.timeout,
                    subject: Subject::Process(process),
                },
                thresholds: PROCESS.thresholds,
                on_down: OnDown::Restart,
            },
        );
    }
}

/// The command's own name; `None` if the operator has a process checker with that name; another name if a component
/// has it.
fn free_name(command: &CommandName, checkers: &BTreeMap<CheckerName, CheckerSpec>) -> Option<CheckerName> {
    let name = CheckerName::new(command.as_str()).ok()?;
    match checkers.get(&name).map(|checker| &checker.definition.subject) {
        None => Some(name),
        Some(Subject::Process(_)) => None,
        Some(Subject::Component(_)) => {
            let name = CheckerName::new(&format!("{command}-process")).ok()?;
            (!checkers.contains_key(&name)).then_some(name)
        }
    }
}

/// A component's settings as JSON. JSON has no dates (they become texts) and no infinities (they become null).
pub(crate) fn json_of(table: toml::Table) -> Value {
    fn json(value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(truth) => truth.into(),
            toml::Value::Datetime(moment) => moment.to_string().into(),
            toml::Value::Array(items) => items.into_iter().map(json).collect(),
            toml::Value::Table(table) => json_of(table),
        }
    }
    Value::Object(table.into_iter().map(|(key, inner)| (key, json(inner))).collect())
}
