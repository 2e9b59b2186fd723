//! Tables `[[event]]` of a scenario.

use std::time::Duration;

use bellwether_core::command::Command;
use bellwether_core::observation::Status;
use bellwether_core::simulation::scenario::{End, Happening, What};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Cues, UNKNOWN};
use crate::field;
use crate::quantity::{DurationText, show_duration};
use crate::source::Located;

/// An event: a checker returns a result, a process ends, or an operator gives a command.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct EventTable {
    /// The time of the event.
    #[schemars(required, example = &"30s")]
    at: Option<Located<DurationText>>,
    /// How long it lasts. Default: until the next result; a process ends once. With `kill` and `exit`, new
    /// processes of the command end in the same way during this time.
    #[schemars(example = &"90s")]
    lasts: Option<Located<DurationText>>,
    /// The interval at which the event repeats.
    every: Option<Located<DurationText>>,
    /// The total number of times, with `every`. Default: to the end of the scenario.
    #[schemars(range(min = 1, max = 10_000))]
    times: Option<Located<u32>>,
    /// The checker of the module whose result changes. Needs `says`.
    checker: Option<Located<String>>,
    /// The result of the checker.
    says: Option<Located<StatusWord>>,
    /// The summary of the result. Default: `"as the scenario says"`.
    summary: Option<Located<String>>,
    /// The command of the module whose application is killed (SIGKILL).
    kill: Option<Located<String>>,
    /// The command of the module whose application exits.
    exit: Option<Located<String>>,
    /// Its exit code, with `exit`. Default: 1.
    #[schemars(range(min = 0, max = 255))]
    code: Option<Located<i32>>,
    /// The command of an operator.
    command: Option<Located<CommandWord>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StatusWord {
    /// The resource is healthy.
    Pass,
    /// It works, but needs attention.
    Warn,
    /// The resource is unhealthy.
    Fail,
    /// The checker could not tell.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum CommandWord {
    /// The command `bellwether start`.
    Start,
    /// The command `bellwether stop`.
    Stop,
    /// The command `bellwether restart`.
    Restart,
    /// The command `bellwether suspend`.
    Suspend,
    /// The command `bellwether resume`.
    Resume,
    /// The command `bellwether reset`.
    Reset,
    /// The command `bellwether confirm`.
    Confirm,
}

impl From<StatusWord> for Status {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Pass => Self::Pass,
            StatusWord::Warn => Self::Warn,
            StatusWord::Fail => Self::Fail,
            StatusWord::Unknown => Self::Unknown,
        }
    }
}

impl From<CommandWord> for Command {
    fn from(word: CommandWord) -> Self {
        match word {
            CommandWord::Start => Self::Start,
            CommandWord::Stop => Self::Stop,
            CommandWord::Restart => Self::Restart,
            CommandWord::Suspend => Self::Suspend,
            CommandWord::Resume => Self::Resume,
            CommandWord::Reset => Self::Reset,
            CommandWord::Confirm => Self::Confirm,
        }
    }
}

/// The maximum number of repetitions.
const MOST_TIMES: u128 = 10_000;

/// The specification of an entry of `[[event]]`: one event, or each repetition.
pub(super) fn happenings(
    index: usize,
    table: &Located<EventTable>,
    cues: &mut Cues<'_, '_>,
) -> Vec<Happening> {
    let event = table.get();
    let Some(text) = &event.at else {
        let path = format!("event[{index}]");
        field::missing(cues.findings, table.span(), &path, "`[[event]]`", "at", "\"30s\"");
        return Vec::new();
    };
    let at = cues.time("at", text);
    let lasts = event.lasts.as_ref().map(|text| cues.length("lasts", text));
    let Some(what) = what(index, table, cues) else { return Vec::new() };
    if let (Some(text), What::Command(_)) = (&event.lasts, &what) {
        cues.findings.at(text.span(), "a command has no duration").expected("expected no `lasts`");
    }
    let once = Happening { at, lasts, what };
    if let Some(every) = &event.every {
        return repeated(&once, event, every, cues);
    }
    if let Some(times) = &event.times {
        let mistake = cues.findings.at(times.span(), "`times` without `every`");
        mistake.expected("expected `every = \"1m\"` beside it");
    }
    vec![once]
}

fn repeated(
    once: &Happening,
    event: &EventTable,
    text: &Located<DurationText>,
    cues: &mut Cues<'_, '_>,
) -> Vec<Happening> {
    let every = cues.length("every", text).max(Duration::from_millis(1));
    if cues.lasts == UNKNOWN {
        return Vec::new();
    }
    let fit = cues.lasts.saturating_sub(once.at).as_millis() / every.as_millis() + 1;
    let times = event.times.as_ref().map_or(fit, |times| u128::from(*times.get()).min(fit));
    if times > MOST_TIMES {
        let message = format!("every {} is {times} times to the end of the scenario", show_duration(every));
        cues.findings.at(text.span(), message).expected(format!("expected at most {MOST_TIMES} times"));
        return Vec::new();
    }
    let times = u32::try_from(times).unwrap_or(0);
    (0..times).map(|n| Happening { at: once.at + every * n, ..once.clone() }).collect()
}

fn what(index: usize, table: &Located<EventTable>, cues: &mut Cues<'_, '_>) -> Option<What> {
    let EventTable { checker, says, summary, kill, exit, code, command, .. } = table.get();
    let subjects = [
        checker.as_ref().map(Located::span),
        kill.as_ref().map(Located::span),
        exit.as_ref().map(Located::span),
        command.as_ref().map(Located::span),
    ];
    let mut given = subjects.into_iter().flatten();
    if let (Some(_), Some(second)) = (given.next(), given.next()) {
        cues.findings
            .at(second, "an event has only one kind, and this is a second one")
            .expected("expected only one of `checker`, `kill`, `exit` and `command`");
        return None;
    }
    let alone = [
        (says.as_ref().map(Located::span), "says", "checker", checker.is_some()),
        (summary.as_ref().map(Located::span), "summary", "checker", checker.is_some()),
        (code.as_ref().map(Located::span), "code", "exit", exit.is_some()),
    ];
    for (span, key, with, is_there) in alone {
        if let Some(span) = span.filter(|_| !is_there) {
            cues.findings
                .at(span, format!("`{key}` without `{with}`"))
                .expected(format!("expected `{with} = \"…\"` beside it"));
            return None;
        }
    }
    if let Some(text) = checker {
        let checker = cues.checker(text);
        let Some(says) = says else {
            let path = format!("event[{index}]");
            field::missing(
                cues.findings,
                table.span(),
                &path,
                "`[[event]]` with a `checker`",
                "says",
                "\"fail\"",
            );
            return None;
        };
        let summary = summary.as_ref().map_or("as the scenario says", |text| text.get().as_str()).to_owned();
        return Some(What::Says { checker: checker?, status: (*says.get()).into(), summary });
    }
    if let Some(text) = kill {
        return Some(What::Ends { command: cues.command(text)?, how: End::Killed });
    }
    if let Some(text) = exit {
        let code = code.as_ref().map_or(1, |code| *code.get());
        return Some(What::Ends { command: cues.command(text)?, how: End::Exits(code) });
    }
    if let Some(command) = command {
        return Some(What::Command((*command.get()).into()));
    }
    if !cues.findings.is_incomplete(&format!("event[{index}]")) {
        cues.findings
            .at(table.span(), "this event has no effect")
            .expected("expected `checker` and `says`, or `kill`, `exit` or `command`");
    }
    None
}
