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
    /// Notifications waiting for delivery.
    pub waiting: usize,
    /// Older notifications that did not fit, and are only counted.
    pub merged: u64,
    /// When one was delivered last.
    pub delivered: Option<String>,
    /// The time of the last failed attempt.
    pub failed: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Failed attempts since the last success.
    pub failing: u32,
    /// The time of the next attempt.
    pub next: Option<String>,
    /// The last notification that was abandoned; absent once one is delivered again.
    pub given_up: Option<String>,
}

/// The outcome of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestAnswer {
    /// The target.
    #[schemars(with = "String")]
    pub target: TargetName,
    /// The key by which it can be found at the target.
    pub key: String,
    /// Whether it was delivered.
    pub delivered: bool,
    /// Why not; if it was delivered, which recipients of the target did not receive it.
    pub why: Option<String>,
    /// The duration in microseconds.
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
