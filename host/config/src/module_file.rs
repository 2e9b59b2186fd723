//! The structure of `modules/NAME.toml`, and its specification.

mod checker;
mod command;
mod execution;
mod fall;
pub(super) mod grant;
mod health;
mod process;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::{CheckerName, CommandName, ComponentName, ModuleName};
use bellwether_core::policy::{BackoffPolicy, BudgetPolicy};
use schemars::JsonSchema;
use serde::Deserialize;

use self::checker::CheckerTable;
use self::command::CommandTable;
use self::grant::GrantTable;
use self::health::HealthTable;
use super::field;
use super::host_files::HostFiles;
use super::limits::LimitsTable;
use super::mistake::Findings;
use super::quantity::DurationText;
use super::source::Located;
use super::spec::{CheckerSpec, CommandSpec, ModuleSpec, RestartSpec};

pub(super) use self::checker::json_of;
pub(super) use self::health::AUTO;

/// One application: how it is started and stopped, what is monitored, and what happens after a failure. The
/// name of the file without `.toml` is the name of the module.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "modules/NAME.toml")]
pub(super) struct ModuleFile {
    /// How the application is started, stopped and restarted.
    restart: Option<RestartTable>,
    /// The only programs that this module's components may run, each with its own name.
    commands: Option<BTreeMap<Located<String>, CommandTable>>,
    /// The answers to load balancers.
    health: Option<HealthTable>,
    /// The checkers, one table each.
    checker: Option<Vec<Located<CheckerTable>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RestartTable {
    /// The restart script: `restart-scripts/NAME.wasm`, or a built-in one. Default: `"command"`, which runs
    /// the declared commands `start` and `stop`.
    script: Option<Located<String>>,
    /// The settings of the script. `bellwether inspect` lists them.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    config: Option<toml::Table>,
    /// The permissions of the script. Nothing is allowed without a grant.
    grant: Option<GrantTable>,
    /// The limits of one of its runs, if they differ from `[limits]` in bellwether.toml.
    limits: Option<LimitsTable>,
    /// How many automatic restarts are allowed within a time. After that the module has failed, and waits for
    /// an operator.
    budget: Option<BudgetTable>,
    /// How long to wait before the next attempt.
    backoff: Option<BackoffTable>,
    /// The time from the end of the start plan until every checker must be up; otherwise the start has
    /// failed. Until then only an exit of the application ends the start, whatever its checkers say. A
    /// checker that measures `progress` extends the time. Default: `"15m"`, or the longest `grace` of its
    /// checkers; without this key, a start that leaves no process behind has failed after 90 s.
    start_within: Option<Located<DurationText>>,
    /// An application that does not start, or does not stay up after a restart, is retried for this long,
    /// with the increasing delays of `backoff`, before each attempt counts against the budget. From `"0s"` to
    /// `"30d"`. Default: `"24h"`; `"0s"` if the file has its own `budget`.
    keep_trying: Option<Located<DurationText>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BudgetTable {
    /// The number of automatic restarts. 0: no automatic restarts. Default: 3.
    #[schemars(range(min = 0, max = 1000))]
    restarts: Option<u32>,
    /// The sliding time window, from `"1s"` to `"30d"`. Default: `"24h"`.
    within: Option<Located<DurationText>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BackoffTable {
    /// The first delay. An application that was up is restarted immediately the first time; for one that did
    /// not come up, the delay applies from the first time on. Default: `"1s"`.
    first: Option<Located<DurationText>>,
    /// The delay doubles with each attempt up to this, and is never longer than 15 s or a tenth of the time
    /// for which the application has been failing, whichever is longer. Default: `"60s"`.
    max: Option<Located<DurationText>>,
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const KEPT_IS_WATCHED: &str = "a kept command is monitored automatically: \
    `[commands]` and `start = { run = [\"/path/to/app\"], keep = true }`";
const DEFAULT_SCRIPT: &str = "command";
const START_WITHIN: RangeInclusive<Duration> = SECOND..=DAY;
/// Long enough for a database that has to recover.
const DEFAULT_START_WITHIN: Duration = Duration::from_mins(15);
/// An application without any trace after this time has not been started, if the file does not set the duration of
/// a start.
const DEFAULT_APPEAR_WITHIN: Duration = Duration::from_secs(90);
const KEEP_TRYING: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(30 * 24);
const BUDGET_WITHIN: RangeInclusive<Duration> = SECOND..=Duration::from_hours(30 * 24);
const BACKOFF: RangeInclusive<Duration> = Duration::from_millis(10)..=DAY;
/// The specification of the file. Errors are among the findings, and then the result must not be used.
pub(super) fn module_spec(
    name: ModuleName,
    file: ModuleFile,
    host: &dyn HostFiles,
    findings: &mut Findings<'_>,
) -> ModuleSpec {
    let commands = command::command_specs(file.commands.unwrap_or_default(), host, findings);
    let says_start_within = file.restart.as_ref().is_some_and(|restart| restart.start_within.is_some());
    let mut restart = restart_spec(file.restart.unwrap_or_default(), &commands, findings);
    let health = health::health_spec(file.health.unwrap_or_default(), &commands, findings);

    let mut checkers = BTreeMap::new();
    for (index, table) in file.checker.unwrap_or_default().iter().enumerate() {
        let Some(checker) = checker::checker_spec(index, table, &commands, findings) else { continue };
        add_checker(&mut checkers, checker, table, findings);
    }
    checker::add_kept_commands(&commands, &mut checkers);
    if !says_start_within {
        let graces = checkers.values().map(|checker| checker.thresholds.grace);
        restart.start_within = graces.fold(restart.start_within, Duration::max);
    }
    if checkers.is_empty() && findings.as_slice().is_empty() {
        findings
            .at(0..0, "nothing would be monitored: the module has no checker")
            .expected("expected a `[[checker]]`, or a command with `keep = true`")
            .help(KEPT_IS_WATCHED);
    }
    ModuleSpec { name, restart, commands, health, checkers }
}

fn add_checker(
    checkers: &mut BTreeMap<CheckerName, CheckerSpec>,
    checker: CheckerSpec,
    table: &Located<CheckerTable>,
    findings: &mut Findings<'_>,
) {
    if checkers.contains_key(&checker.name) {
        let span = table.get().name_span().unwrap_or_else(|| table.span());
        findings
            .at(span, format!("another checker is named `{}`", checker.name))
            .expected("expected a unique name");
        return;
    }
    checkers.insert(checker.name.clone(), checker);
}

fn restart_spec(
    table: RestartTable,
    commands: &BTreeMap<CommandName, CommandSpec>,
    findings: &mut Findings<'_>,
) -> RestartSpec {
    let script = table.script.and_then(|script| field::name(findings, &script, ComponentName::new));
    let default_keep_trying = if table.budget.is_some() { Duration::ZERO } else { DAY };
    let budget = table.budget.unwrap_or_default();
    let backoff = table.backoff.unwrap_or_default();
    let within = field::duration(findings, "within", budget.within.as_ref(), &BUDGET_WITHIN, DAY);
    let first = field::duration(findings, "first", backoff.first.as_ref(), &BACKOFF, SECOND);
    let default_max = Duration::from_mins(1).max(first);
    let max = field::duration(findings, "max", backoff.max.as_ref(), &BACKOFF, default_max);
    if let Some(text) = &backoff.max
        && max < first
    {
        findings
            .at(text.span(), "`max` is shorter than `first`")
            .expected("expected the longest delay")
            .help("the delay begins with `first` and doubles with each attempt up to `max`");
    }
    let start_within = table.start_within.as_ref();
    let keep_trying = table.keep_trying.as_ref();
    let appear_within = if start_within.is_some() { DAY } else { DEFAULT_APPEAR_WITHIN };
    let start_within =
        field::duration(findings, "start-within", start_within, &START_WITHIN, DEFAULT_START_WITHIN);
    RestartSpec {
        script: script.unwrap_or_else(|| {
            ComponentName::new(DEFAULT_SCRIPT).expect("the default script's name is a name")
        }),
        config: json_of(table.config.unwrap_or_default()),
        grants: Arc::new(table.grant.unwrap_or_default().grants(commands, findings)),
        limits: table.limits.unwrap_or_default().own_of_component(findings),
        budget: BudgetPolicy { restarts: budget.restarts.unwrap_or(3), within },
        backoff: BackoffPolicy { first, max },
        appear_within: appear_within.min(start_within),
        start_within,
        keep_trying: field::duration(findings, "keep-trying", keep_trying, &KEEP_TRYING, default_keep_trying),
    }
}
