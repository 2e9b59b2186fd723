//! The structure of a scenario, and its specification for a module.

mod event;
mod expect;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bellwether_core::id::{CheckerName, CommandName};
use bellwether_core::simulation::scenario::{Behaviour, Expectation, Happening, Scenario, Start, Then};
use schemars::JsonSchema;
use serde::Deserialize;

use self::event::EventTable;
use self::expect::ExpectTable;
use super::field;
use super::mistake::Findings;
use super::nearest;
use super::quantity::{DurationText, show_duration};
use super::source::{Located, Source};
use super::spec::ModuleSpec;

/// Events of one module, and the expected results. All times are relative to the beginning.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "A scenario of Bellwether")]
pub(super) struct ScenarioFile {
    /// The simulated time, from `"1s"` to `"366d"`.
    #[schemars(required, example = &"5m")]
    r#for: Option<Located<DurationText>>,
    /// The state of the module at the beginning. Default: `"running"`.
    start: Option<StartWord>,
    /// The time from the start of the application until it serves; until then its checkers fail. Default:
    /// `"1s"`.
    warm_up: Option<Located<DurationText>>,
    /// The events, one table each.
    event: Option<Vec<Located<EventTable>>>,
    /// How a command of the module behaves, one table each. Other commands succeed immediately.
    step: Option<Vec<Located<StepTable>>>,
    /// The expectations, one table each.
    expect: Option<Vec<Located<ExpectTable>>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StartWord {
    /// The application is running, and the module is up as soon as its checkers are.
    Running,
    /// An operator has stopped it.
    Stopped,
    /// The host has just booted: the application should run, but does not run yet.
    Boot,
}

/// How one command behaves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StepTable {
    /// The command of the module.
    #[schemars(required, example = &"stop")]
    command: Option<Located<String>>,
    /// The time until it has exited; for a kept command, until it has been started. Default: `"100ms"`, and
    /// `"20ms"` for a kept one.
    takes: Option<Located<DurationText>>,
    /// The error with which it fails. Default: it succeeds.
    #[schemars(example = &"exited with 1: address in use")]
    fails: Option<Located<String>>,
    /// The number of failures, after which it succeeds. Default: it fails every time.
    #[schemars(range(min = 1, max = 1_000_000))]
    times: Option<Located<u32>>,
    /// For a kept command: the time from a signal, or a `stop` command, until it has exited. SIGKILL ends it
    /// immediately. Default: `"100ms"`.
    ends_in: Option<Located<DurationText>>,
    /// The state of an application in the background afterwards. Default: a command named `start` makes it
    /// run; `stop` and `forced-stop` stop it; others change nothing.
    then: Option<Located<ThenWord>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ThenWord {
    /// The application runs afterwards.
    Running,
    /// The application is stopped afterwards.
    Stopped,
}

const SECOND: Duration = Duration::from_secs(1);
const LASTS: RangeInclusive<Duration> = SECOND..=Duration::from_hours(366 * 24);
const TAKES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(366 * 24);

/// If `for` is invalid, the scenario has no end, and no event can be after it.
const UNKNOWN: Duration = Duration::MAX;

/// The specification of the file. Errors are among the findings, and then the result must not be used.
pub(super) fn scenario(
    source: &Source,
    file: ScenarioFile,
    module: &ModuleSpec,
    findings: &mut Findings<'_>,
) -> Scenario {
    let lasts = if let Some(text) = &file.r#for {
        field::duration(findings, "for", Some(text), &LASTS, UNKNOWN)
    } else {
        field::missing(findings, 0..0, "", "the scenario", "for", "\"5m\"");
        UNKNOWN
    };
    let mut cues = Cues { module, lasts, findings };
    let commands = steps(&file.step.unwrap_or_default(), &mut cues);
    let events = file.event.unwrap_or_default();
    let happenings: Vec<Happening> = events
        .iter()
        .enumerate()
        .flat_map(|(index, table)| event::happenings(index, table, &mut cues))
        .collect();
    let expectations: Vec<Expectation> = file
        .expect
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter_map(|(index, table)| expect::expectation(source, index, table, &mut cues))
        .collect();
    Scenario {
        lasts,
        start: match file.start {
            Some(StartWord::Running) | None => Start::Running,
            Some(StartWord::Stopped) => Start::Stopped,
            Some(StartWord::Boot) => Start::Boot,
        },
        warm_up: field::duration(findings, "warm-up", file.warm_up.as_ref(), &TAKES, SECOND),
        happenings,
        commands,
        expectations,
    }
}

/// The data that the tables of a scenario are checked against.
struct Cues<'c, 's> {
    module: &'c ModuleSpec,
    lasts: Duration,
    findings: &'c mut Findings<'s>,
}

impl Cues<'_, '_> {
    /// The checker of that name, if the module has one.
    fn checker(&mut self, text: &Located<String>) -> Option<CheckerName> {
        let names = || self.module.checkers.keys().map(CheckerName::as_str);
        let found = self.module.checkers.get_key_value(text.get().as_str()).map(|(name, _)| name.clone());
        if found.is_none() {
            let mistake = self
                .findings
                .at(text.span(), format!("module `{}` has no checker `{}`", self.module.name, text.get()));
            mistake.expected(expected(text.get(), names()));
        }
        found
    }

    /// The command of that name, if the module has one.
    fn command(&mut self, text: &Located<String>) -> Option<CommandName> {
        let names = || self.module.commands.keys().map(CommandName::as_str);
        let found = self.module.commands.get_key_value(text.get().as_str()).map(|(name, _)| name.clone());
        if found.is_none() {
            let mistake = self
                .findings
                .at(text.span(), format!("module `{}` has no command `{}`", self.module.name, text.get()));
            mistake.expected(expected(text.get(), names()));
        }
        found
    }

    /// A time within the scenario.
    fn time(&mut self, key: &str, text: &Located<DurationText>) -> Duration {
        let at = field::duration(self.findings, key, Some(text), &TAKES, Duration::ZERO);
        if at > self.lasts {
            let end = show_duration(self.lasts);
            self.findings
                .at(text.span(), format!("`{key}` is after the end of the scenario"))
                .expected(format!("expected at most \"{end}\", which is its `for`"));
        }
        at
    }

    /// The duration of something; it may be longer than the scenario.
    fn length(&mut self, key: &str, text: &Located<DurationText>) -> Duration {
        field::duration(self.findings, key, Some(text), &TAKES, Duration::ZERO)
    }
}

/// What was probably meant, or what exists.
fn expected<'n>(word: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    nearest::did_you_mean(word, names.clone()).unwrap_or_else(|| format!("expected {}", nearest::list(names)))
}

fn steps(tables: &[Located<StepTable>], cues: &mut Cues<'_, '_>) -> BTreeMap<CommandName, Behaviour> {
    let mut commands = BTreeMap::new();
    for (index, table) in tables.iter().enumerate() {
        let StepTable { command, takes, fails, times, ends_in, then } = table.get();
        let Some(text) = command else {
            let path = format!("step[{index}]");
            field::missing(cues.findings, table.span(), &path, "`[[step]]`", "command", "\"stop\"");
            continue;
        };
        let Some(command) = cues.command(text) else { continue };
        let keep = cues.module.commands.get(&command).is_some_and(|spec| spec.keep);
        if let Some(ends_in) = ends_in.as_ref().filter(|_| !keep) {
            cues.findings
                .at(ends_in.span(), format!("`ends-in` is for kept commands, and `{command}` is not kept"))
                .expected("expected `takes`, for a command that runs to completion");
        }
        if let Some(then) = then.as_ref().filter(|_| keep) {
            cues.findings
                .at(
                    then.span(),
                    format!("`then` is for commands that run to completion; `{command}` is kept"),
                )
                .expected("expected no `then`: it is running once it has been started");
        }
        if let (Some(times), None) = (times, fails) {
            cues.findings
                .at(times.span(), "`times` without `fails`")
                .expected("expected `fails = \"…\"` beside it");
        }
        let behaviour = Behaviour {
            takes: takes.as_ref().map(|text| cues.length("takes", text)),
            fails: fails.as_ref().map(|text| text.get().clone()),
            times: times.as_ref().map(|times| *times.get()),
            ends_in: ends_in.as_ref().map(|text| cues.length("ends-in", text)),
            then: then.as_ref().map(|then| match then.get() {
                ThenWord::Running => Then::Running,
                ThenWord::Stopped => Then::Stopped,
            }),
        };
        if commands.insert(command.clone(), behaviour).is_some() {
            cues.findings
                .at(text.span(), format!("there is another `[[step]]` for `{command}`"))
                .expected("expected one for each command");
        }
    }
    commands
}
