//! The recipients of notifications, on the wire.

use std::time::Duration;

use bellwether_core::id::TargetName;
use bellwether_core::notify::Target;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bellwether_os::clock::Clock;

/// What became of a test.
#[derive(Debug)]
pub struct Tested {
    /// At which target.
    pub target: TargetName,
    /// What was told, by which key, and whether it arrived.
    pub key: String,
    /// Whether it arrived.
    pub result: Result<Option<String>, String>,
    /// How long it took.
    pub took: Duration,
}

/// One target of notifications: in the status, and `GET /api/v1/notifications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotifyStatus {
    /// Its name in bellwether.toml.
    #[schemars(with = "String")]
    pub target: TargetName,
    /// Notifications that are still to be delivered.
    pub waiting: usize,
    /// Older ones that had no room, and are only counted in those.
    pub merged: u64,
    /// When one was delivered last.
    pub delivered: Option<String>,
    /// When a try failed last.
    pub failed: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Tries that failed since the last that did not.
    pub failing: u32,
    /// When it is tried again.
    pub next: Option<String>,
    /// What was given up last; nothing once something is delivered again.
    pub given_up: Option<String>,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestAnswer {
    /// At which target.
    #[schemars(with = "String")]
    pub target: TargetName,
    /// What it can be found by there.
    pub key: String,
    /// Whether it arrived.
    pub delivered: bool,
    /// Why not; if it arrived, who of the target was not told.
    pub why: Option<String>,
    /// In microseconds.
    pub took_us: u64,
}

impl NotifyStatus {
    /// How things stand.
    pub fn new(name: &TargetName, target: &Target, clock: Clock) -> Self {
        Self {
            target: name.clone(),
            waiting: target.waiting,
            merged: target.merged,
            delivered: target.delivered.map(|at| clock.timestamp(at)),
            failed: target.failed.as_ref().map(|(at, _)| clock.timestamp(*at)),
            why: target.failed.as_ref().map(|(_, why)| why.clone()),
            failing: target.failing,
            next: target.next.map(|at| clock.timestamp(at)),
            given_up: target.given_up.clone(),
        }
    }
}

impl TestAnswer {
    /// One test.
    pub fn new(tested: &Tested) -> Self {
        Self {
            target: tested.target.clone(),
            key: tested.key.clone(),
            delivered: tested.result.is_ok(),
            why: match &tested.result {
                Ok(not_all) => not_all.clone(),
                Err(error) => Some(error.clone()),
            },
            took_us: u64::try_from(tested.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
