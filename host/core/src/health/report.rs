//! The detailed answer: `application/health+json` (draft-inadarei-api-health-check-06).

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Standing, Subject, line, serves};
use crate::counting::counted;
use crate::moment::Moment;
use crate::observation::{Observation, Status};
use crate::snapshot::{CheckerView, ModuleView, ON_PROBATION, Snapshot};
use crate::verdict::Verdict;

/// The maximum number of entries under `checks`; entries without problems are omitted first.
const MAX_CHECKS: usize = 256;
/// The maximum number of measurements of one checker.
const MAX_MEASUREMENTS: usize = 8;
/// The maximum length of any text of a component, in bytes.
const MAX_TEXT: usize = 200;
/// The maximum length of names and units of measurements, in bytes.
const MAX_NAME: usize = 64;

/// The draft's words for a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It works without any problem.
    Pass,
    /// It works, but needs attention.
    Warn,
    /// It does not work.
    Fail,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `fail` exactly when the plain answer is negative.
    pub status: Level,
    /// The subject of the document.
    pub description: String,
    /// The name of the node.
    pub service_id: String,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Further notes, such as what had to be omitted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// By `MODULE:CHECKER`. The first entry of each is the checker itself, the others are its last measurements.
    pub checks: BTreeMap<String, Vec<Check>>,
}

/// A checker, or one of its measurements.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The name of the measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_value: Option<f64>,
    /// Its unit, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_unit: Option<String>,
    /// The status of the checker.
    pub status: Level,
    /// When it was observed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What is wrong. Omitted if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

pub(super) fn report(
    snapshot: &Snapshot,
    subject: Subject<'_>,
    standing: &Standing<'_>,
    timestamp: impl Fn(Moment) -> String,
) -> Report {
    // The checks of a stalled core are outdated.
    let modules = match standing {
        Standing::Stalled => Vec::new(),
        _ => chosen(snapshot, subject),
    };
    let mut checkers: Vec<_> = modules.iter().flat_map(|m| m.checkers.iter().map(move |c| (m, c))).collect();
    let all_well = modules.iter().all(|m| serves(m)) && checkers.iter().all(|(_, c)| level(c) == Level::Pass);
    let status = match standing {
        Standing::Ready if all_well => Level::Pass,
        Standing::Ready => Level::Warn,
        _ => Level::Fail,
    };

    checkers.sort_by_key(|(_, checker)| level(checker) == Level::Pass);
    let mut checks = BTreeMap::new();
    let mut entries = 0;
    let mut left_out = 0;
    for (module, checker) in checkers {
        let entry = entry(checker, &timestamp);
        if entries + entry.len() > MAX_CHECKS {
            left_out += 1;
            continue;
        }
        entries += entry.len();
        checks.insert(format!("{}:{}", module.name, checker.name), entry);
    }

    Report {
        status,
        description: match subject {
            Subject::All => format!("all modules of node {}", snapshot.node),
            Subject::Module(name) => {
                format!("module {} of node {}", line::shown(name, MAX_NAME), snapshot.node)
            }
        },
        service_id: snapshot.node.to_string(),
        output: (status == Level::Fail).then(|| line::shown(&standing.reason(), MAX_TEXT)),
        notes: if left_out == 0 {
            Vec::new()
        } else {
            vec![format!("{} left out", counted(left_out, "more checker", "more checkers"))]
        },
        checks,
    }
}

fn chosen<'a>(snapshot: &'a Snapshot, subject: Subject<'_>) -> Vec<&'a ModuleView> {
    match subject {
        Subject::All => snapshot.modules.iter().map(AsRef::as_ref).collect(),
        Subject::Module(name) => snapshot.module(name).into_iter().collect(),
    }
}

/// The verdict decides; a warning or an unknown result with a good verdict is a warning.
fn level(checker: &CheckerView) -> Level {
    match checker.verdict {
        Verdict::Down => Level::Fail,
        Verdict::Undecided => Level::Warn,
        Verdict::Up => match checker.last.as_ref().map(|last| last.status) {
            None | Some(Status::Pass) => Level::Pass,
            Some(Status::Warn | Status::Fail | Status::Unknown) => Level::Warn,
        },
    }
}

fn entry(checker: &CheckerView, timestamp: &impl Fn(Moment) -> String) -> Vec<Check> {
    let status = level(checker);
    let last = checker.last.as_deref();
    let time = last.map(|last| timestamp(last.at));
    let mut entry = vec![Check {
        component_id: None,
        observed_value: None,
        observed_unit: None,
        status,
        time: time.clone(),
        output: (status != Level::Pass).then(|| output(checker, last)),
    }];
    let measurements = last.map(|last| last.measurements.as_slice()).unwrap_or_default();
    // JSON has no infinity.
    let finite = measurements.iter().filter(|measurement| measurement.value.is_finite());
    entry.extend(finite.take(MAX_MEASUREMENTS).map(|measurement| Check {
        component_id: Some(line::shown(&measurement.name, MAX_NAME)),
        observed_value: Some(measurement.value),
        observed_unit: Some(line::shown(&measurement.unit, MAX_NAME)).filter(|unit| !unit.is_empty()),
        status,
        time: time.clone(),
        output: None,
    }));
    entry
}

fn output(checker: &CheckerView, last: Option<&Observation>) -> String {
    let verdict = if checker.on_probation {
        format!("{}, {ON_PROBATION}", checker.verdict)
    } else {
        checker.verdict.to_string()
    };
    match last {
        Some(last) => line::shown(&format!("{verdict}: {}", last.summary), MAX_TEXT),
        None => format!("{verdict}: not observed yet"),
    }
}
