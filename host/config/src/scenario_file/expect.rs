//! Tables `[[expect]]` of a scenario.

use std::ops::Range;
use std::time::Duration;

use bellwether_core::simulation::scenario::{Expectation, Expected, Look};
use bellwether_core::state::StateName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Cues;
use crate::quantity::DurationText;
use crate::source::{Located, Source};

/// An expectation: at a time (`at`), within a time (`within`), or for the whole scenario.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ExpectTable {
    /// At this time, after all events of this time. With `state`, `ready` or `restarts`.
    #[schemars(example = &"2m10s")]
    at: Option<Located<DurationText>>,
    /// At some point within this time. With `state`, `ready` or `restarts`.
    #[schemars(example = &"30s")]
    within: Option<Located<DurationText>>,
    /// The start of `within`. Default: `"0s"`, the beginning.
    after: Option<Located<DurationText>>,
    /// The state of the module.
    state: Option<Located<StateWord>>,
    /// The answer to the health check.
    ready: Option<Located<bool>>,
    /// Automatic restarts since the beginning.
    #[schemars(range(min = 0, max = 1_000_000))]
    restarts: Option<Located<u32>>,
    /// The module is never in this state.
    never: Option<Located<StateWord>>,
    /// There are at most this many automatic restarts.
    #[schemars(range(min = 0, max = 1_000_000))]
    restarts_at_most: Option<Located<u32>>,
    /// The health check fails for no longer than this in total.
    not_ready_at_most: Option<Located<DurationText>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StateWord {
    /// Stopped by an operator.
    Stopped,
    /// Being started, or not yet found healthy.
    Starting,
    /// The application is serving.
    Up,
    /// The application is being restarted.
    Restarting,
    /// Waiting for the next attempt.
    Backoff,
    /// It has failed and waits for an operator.
    Failed,
    /// The health check fails, the application still serves.
    Draining,
    /// The application is being stopped.
    Stopping,
    /// A prerequisite is down.
    Waiting,
}

impl From<StateWord> for StateName {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Stopped => Self::Stopped,
            StateWord::Starting => Self::Starting,
            StateWord::Up => Self::Up,
            StateWord::Restarting => Self::Restarting,
            StateWord::Backoff => Self::Backoff,
            StateWord::Failed => Self::Failed,
            StateWord::Draining => Self::Draining,
            StateWord::Stopping => Self::Stopping,
            StateWord::Waiting => Self::Waiting,
        }
    }
}

/// The specification of an entry of `[[expect]]`.
pub(super) fn expectation(
    source: &Source,
    index: usize,
    table: &Located<ExpectTable>,
    cues: &mut Cues<'_, '_>,
) -> Option<Expectation> {
    let line = source.place(&table.span()).line;
    let what = expected(index, table, cues)?;
    Some(Expectation { line, what })
}

fn expected(index: usize, table: &Located<ExpectTable>, cues: &mut Cues<'_, '_>) -> Option<Expected> {
    let ExpectTable { at, within, never, restarts_at_most, not_ready_at_most, .. } = table.get();
    let kinds: [Option<Range<usize>>; 5] = [
        at.as_ref().map(Located::span),
        within.as_ref().map(Located::span),
        never.as_ref().map(Located::span),
        restarts_at_most.as_ref().map(Located::span),
        not_ready_at_most.as_ref().map(Located::span),
    ];
    let mut given = kinds.into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    if let (Some(_), Some(second)) = (&first, second) {
        cues.findings
            .at(second, "an expectation has only one kind, and this is a second one")
            .expected("expected another `[[expect]]` for it");
        return None;
    }
    if first.is_none() {
        if !cues.findings.is_incomplete(&format!("expect[{index}]")) {
            cues.findings.at(table.span(), "the time of this expectation is missing").expected(
                "expected `at` or `within` with `state`, `ready` or `restarts`, or one of `never`, \
                 `restarts-at-most` and `not-ready-at-most`",
            );
        }
        return None;
    }
    timed(index, table, cues).or_else(|| over_all(table.get(), cues))
}

/// An expectation with `at` or `within`.
fn timed(index: usize, table: &Located<ExpectTable>, cues: &mut Cues<'_, '_>) -> Option<Expected> {
    let ExpectTable { at, within, after, .. } = table.get();
    if let (Some(after), None) = (after, within) {
        cues.findings
            .at(after.span(), "`after` without `within`")
            .expected("expected `within = \"…\"` beside it");
    }
    let look = look(index, table, cues, at.is_some() || within.is_some());
    if let Some(at) = at {
        return Some(Expected::At(cues.time("at", at), look));
    }
    let within = within.as_ref()?;
    let from = after.as_ref().map_or(Duration::ZERO, |after| cues.time("after", after));
    Some(Expected::Within(from, from + cues.time("within", within), look))
}

fn look(index: usize, table: &Located<ExpectTable>, cues: &mut Cues<'_, '_>, is_timed: bool) -> Look {
    let ExpectTable { state, ready, restarts, .. } = table.get();
    let spans = [
        state.as_ref().map(Located::span),
        ready.as_ref().map(Located::span),
        restarts.as_ref().map(Located::span),
    ];
    match (is_timed, spans.into_iter().flatten().next()) {
        (true, None) if !cues.findings.is_incomplete(&format!("expect[{index}]")) => {
            cues.findings
                .at(table.span(), "nothing is expected at this time")
                .expected("expected `state`, `ready` or `restarts`");
        }
        (false, Some(span)) => {
            cues.findings
                .at(span, "the time of this expectation is missing")
                .expected("expected it with `at` or `within`");
        }
        (true, _) | (false, None) => {}
    }
    Look {
        state: state.as_ref().map(|state| (*state.get()).into()),
        ready: ready.as_ref().map(|ready| *ready.get()),
        restarts: restarts.as_ref().map(|restarts| *restarts.get()),
    }
}

fn over_all(table: &ExpectTable, cues: &mut Cues<'_, '_>) -> Option<Expected> {
    let ExpectTable { never, restarts_at_most, not_ready_at_most, .. } = table;
    let never = never.as_ref().map(|state| Expected::Never((*state.get()).into()));
    let restarts = restarts_at_most.as_ref().map(|most| Expected::RestartsAtMost(*most.get()));
    let not_ready = not_ready_at_most
        .as_ref()
        .map(|most| Expected::NotReadyAtMost(cues.length("not-ready-at-most", most)));
    never.or(restarts).or(not_ready)
}
