//! Notification targets in answers of the API.

use std::time::Duration;

use bellwether_core::id::TargetName;
use bellwether_core::notify::Target;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bellwether_os::clock::Clock;

/// The outcome of a test.
#[derive(Debug)]
pub struct Tested {
    pub target: TargetName,
    /// The key of the notification.
    pub key: String,
    /// The error if it was not delivered; otherwise an optional remark.
    pub result: Result<Option<String>, String>,
    /// The duration of the attempt.
    pub took: Duration,
}

/// The status of one notification target: in the status, and `GET /api/v1/notifications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotifyStatus {
    /// Its name in bellwether.toml.
    #[schemars(with = "String")]
    pub target: TargetName,
    /// Notifications waiting for delivery.
    pub waiting: usize,
    /// Older notifications that did not fit, and are only counted.
    pub merged: u64,
    /// The time of the last delivery.
    pub delivered: Option<String>,
    /// The time of the last failed attempt.
    pub failed: Option<String>,
    /// The error of the last failed attempt.
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
    /// The name of the target.
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
