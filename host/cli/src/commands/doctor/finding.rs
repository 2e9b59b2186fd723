//! The result of one check.

use serde::Serialize;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// It cannot be determined from here.
    Unknown,
    Advice,
    Problem,
}

/// What was found, and what to do about it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub(super) topic: &'static str,
    pub(super) level: Level,
    pub(super) what: String,
    pub(super) next: Option<String>,
}

pub(super) fn ok(topic: &'static str, what: impl Into<String>) -> Finding {
    Finding { topic, level: Level::Ok, what: what.into(), next: None }
}

pub(super) fn unknown(topic: &'static str, what: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { topic, level: Level::Unknown, what: what.into(), next: Some(next.into()) }
}

pub(super) fn advice(topic: &'static str, what: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { topic, level: Level::Advice, what: what.into(), next: Some(next.into()) }
}

pub(super) fn problem(topic: &'static str, what: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { topic, level: Level::Problem, what: what.into(), next: Some(next.into()) }
}
