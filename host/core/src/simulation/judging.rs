//! Compares the results with the expectations.

use std::time::Duration;

use crate::moment::plain;
use crate::record::RecordKind;

use super::report::{EntryKind, Outcome, Report, Sample};
use super::scenario::{Expectation, Expected, Look};

/// The outcome of one expectation.
pub(super) fn judge(report: &Report, expectation: &Expectation) -> Outcome {
    let (expected, instead) = match &expectation.what {
        Expected::At(at, look) => {
            (format!("at {}: {}", offset(*at), words(look)), at_time(report, *at, look))
        }
        Expected::Within(after, until, look) => {
            let between = format!("between {} and {}: {}", offset(*after), offset(*until), words(look));
            (between, within(report, *after, *until, look))
        }
        Expected::Never(state) => {
            let was = report.entered.iter().find(|(_, entered)| entered == state);
            (format!("never {state}"), was.map(|(at, _)| never(report, *at, *state)))
        }
        Expected::RestartsAtMost(most) => {
            let expected = format!("at most {}", restarts(*most));
            (expected, too_many_restarts(report, *most))
        }
        Expected::NotReadyAtMost(most) => {
            let was = report.summary.not_ready;
            let instead = (was > *most).then(|| format!("it was not ready for {}", plain(was)));
            (format!("not ready for at most {}", plain(*most)), instead)
        }
    };
    Outcome { line: expectation.line, expected, instead }
}

/// A time of the scenario in a readable form: `+1m 30s`.
pub fn offset(at: Duration) -> String {
    format!("+{}", if at.is_zero() { "0s".to_owned() } else { plain(at) })
}

fn words(look: &Look) -> String {
    let ready = |ready| if ready { "ready" } else { "not ready" };
    let words = [
        look.state.map(|state| state.to_string()),
        look.ready.map(|is| ready(is).to_owned()),
        look.restarts.map(restarts),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn restarts(count: u32) -> String {
    if count == 1 { "1 automatic restart".to_owned() } else { format!("{count} automatic restarts") }
}

/// The actual state, in the words of the expectation.
fn was(sample: &Sample, look: &Look) -> String {
    let was = Look {
        state: look.state.map(|_| sample.state),
        ready: look.ready.map(|_| sample.ready),
        restarts: look.restarts.map(|_| sample.restarts),
    };
    format!("{} (since {}: {})", words(&was), offset(sample.at), sample.reason)
}

fn at_time(report: &Report, at: Duration, look: &Look) -> Option<String> {
    let sample = report.samples.iter().rev().find(|sample| sample.at <= at)?;
    (!sample.is(look)).then(|| format!("it was {}", was(sample, look)))
}

fn within(report: &Report, after: Duration, until: Duration, look: &Look) -> Option<String> {
    let before = report.samples.iter().rev().find(|sample| sample.at <= after);
    let between = report.samples.iter().filter(|sample| sample.at > after && sample.at <= until);
    let mut last = None;
    for sample in before.into_iter().chain(between) {
        if sample.is(look) {
            return None;
        }
        last = Some(sample);
    }
    last.map(|last| format!("it never was; at {} it was {}", offset(until), was(last, look)))
}

fn never(report: &Report, at: Duration, state: crate::state::StateName) -> String {
    let why = report.timeline.iter().find_map(|entry| match &entry.kind {
        EntryKind::Record(RecordKind::State { to, reason, .. }) if *to == state && entry.at == at => {
            Some(format!(": {reason}"))
        }
        _ => None,
    });
    format!("it was at {}{}", offset(at), why.unwrap_or_default())
}

fn too_many_restarts(report: &Report, most: u32) -> Option<String> {
    let first = report.samples.iter().find(|sample| sample.restarts > most)?;
    let total = report.summary.restarts;
    Some(format!("there were {total}, number {} at {}", most.saturating_add(1), offset(first.at)))
}
