//! The checkers of a module, worst first.

use std::time::Duration;

use bellwether_core::moment::plain;
use bellwether_core::policy::{CheckerKind, OnDown};
use bellwether_core::snapshot::{CheckerView, ModuleView, ON_PROBATION};
use bellwether_core::verdict::Verdict;

use super::took;
use crate::console::frame::{Time, Times};
use crate::console::look::Look;

/// A checker with a longer interval shows the time of its next run.
const WORTH_WAITING: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct CheckerRow {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) verdict: Look,
    pub(super) since: Time,
    pub(super) on_down: &'static str,
    pub(super) last: Option<Last>,
    /// The interval: `5s`, for example.
    pub(super) every: String,
    /// Empty for a checker that runs soon anyway.
    pub(super) next: Option<Time>,
    pub(super) runs: bool,
    /// Why its results have no effect.
    pub(super) probation: Option<&'static str>,
}

#[derive(Debug)]
pub(super) struct Last {
    pub(super) status: Look,
    pub(super) summary: String,
    pub(super) at: Time,
    pub(super) took: String,
    pub(super) measurements: Vec<String>,
}

pub(super) fn checkers(module: &ModuleView, times: &Times) -> Vec<CheckerRow> {
    let mut views: Vec<&CheckerView> = module.checkers.iter().collect();
    views.sort_by_key(|checker| match checker.verdict {
        _ if !checker.watched => 3,
        Verdict::Down => 0,
        Verdict::Undecided => 1,
        Verdict::Up => 2,
    });
    views.into_iter().map(|checker| row(checker, times)).collect()
}

fn row(checker: &CheckerView, times: &Times) -> CheckerRow {
    let last = checker.last.as_ref().map(|seen| Last {
        status: Look::status(seen.status),
        summary: seen.summary.clone(),
        at: times.of(seen.at),
        took: took(seen.took),
        measurements: seen
            .measurements
            .iter()
            .map(|m| {
                let (factor, unit) = unit_for(m.value, &m.unit);
                format!("{} {} {unit}", m.name, rounded(m.value * factor)).trim_end().to_owned()
            })
            .collect(),
    });
    CheckerRow {
        name: checker.name.to_string(),
        kind: match checker.kind {
            CheckerKind::Process => "process",
            CheckerKind::Component => "component",
        },
        verdict: Look::verdict(checker),
        since: times.of(checker.since),
        on_down: on_down(checker.on_down),
        every: plain(checker.interval),
        next: checker.next.filter(|_| checker.interval >= WORTH_WAITING).map(|next| times.due(next)),
        runs: checker.kind == CheckerKind::Component,
        probation: checker.on_probation.then_some(ON_PROBATION),
        last,
    }
}

/// Three digits suffice for reading, and an integer needs no decimal places.
pub(super) fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        whole if whole.fract() == 0.0 => 0,
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        small if small >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// A unit in which values up to `most` are neither tiny nor huge, and the factor.
pub(super) fn unit_for(most: f64, unit: &str) -> (f64, &str) {
    match unit {
        "ms" if most > 0.0 && most < 1.0 => (1e3, "µs"),
        "ms" if most >= 10_000.0 => (1e-3, "s"),
        "s" if most > 0.0 && most < 1.0 => (1e3, "ms"),
        "s" if most >= 2.0 * 86_400.0 => (1.0 / 86_400.0, "d"),
        "s" if most >= 2.0 * 3_600.0 => (1.0 / 3_600.0, "h"),
        "bytes" if most >= 10_000_000.0 => (1e-6, "MB"),
        "bytes" if most >= 10_000.0 => (1e-3, "kB"),
        other => (1.0, other),
    }
}

fn on_down(on_down: OnDown) -> &'static str {
    match on_down {
        OnDown::Restart => "restart the application",
        OnDown::Stop => "stop, and wait for an operator",
        OnDown::Wait => "stop, and start again when it is up",
        OnDown::Out => "out of the load balancer",
        OnDown::Notify => "only notify",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown = [0.0, 0.1234, 1.0, 1.234, 12.34, 123.4, 123_456.0].map(rounded);
        assert_eq!(shown, ["0", "0.123", "1", "1.23", "12.3", "123", "123456"]);
    }
}
