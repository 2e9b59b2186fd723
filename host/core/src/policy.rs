//! The operator's settings, after validation.
//!
//! Files are parsed elsewhere; everything here is valid.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::drain::Drain;
use crate::id::{CheckerName, CommandName};
use crate::moment::plain;

/// The effect of a checker that goes down on its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDown {
    /// Restart the application, within the budget.
    Restart,
    /// Stop the application and wait for an operator.
    Stop,
    /// A prerequisite: stop the application, and start it again automatically when the checker is up.
    Wait,
    /// Take the node out of the load balancer while the checker is down.
    Out,
    /// Only send a notification.
    Notify,
}

impl OnDown {
    /// Whether the checker affects the health answer. One that only notifies does not.
    pub fn gates_health(self) -> bool {
        match self {
            Self::Restart | Self::Stop | Self::Wait | Self::Out => true,
            Self::Notify => false,
        }
    }

    /// The effect of an edit whose checker fails, in half a sentence.
    pub fn would(self) -> &'static str {
        match self {
            Self::Restart => "this would take the module down: the application would be restarted",
            Self::Stop | Self::Wait => "this would take the module down: the application would be stopped",
            Self::Out => "this would take the module down: the node would leave the load balancer",
            Self::Notify => "a notification would be sent",
        }
    }

    /// The word in the module file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Wait => "wait",
            Self::Out => "out",
            Self::Notify => "notify",
        }
    }
}

/// How results lead to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// The number of passes in a row for up. At least 1.
    pub rise: u32,
    /// The number of fails in a row for down. At least 1.
    pub fall: u32,
    /// A checker is also down if `fall` of this many last runs failed, in a row or not. At most
    /// [`MOST_LOOKED_BACK`](crate::verdict::MOST_LOOKED_BACK).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fall_of: Option<u32>,
    /// Fails within this time after a start are not counted.
    pub grace: Duration,
    /// Count unknown as fail. Off unless the operator enables it.
    pub unknown_is_fail: bool,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { rise: 1, fall: 1, fall_of: None, grace: Duration::ZERO, unknown_is_fail: false }
    }
}

/// The kind of a checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckerKind {
    /// Native: processes of this node.
    Process,
    /// A WebAssembly component that observes something.
    Component,
}

/// The initial interval of a component that is run eagerly, if its own interval is longer: while its result is
/// being waited for.
const EAGER: Duration = Duration::from_millis(100);
/// The interval of a component that is run eagerly is this fraction of the time that it has been so.
const EAGER_PART: u32 = 10;

/// The time from the beginning of one run of a checker to the beginning of the next, in the daemon and in a
/// simulation. `waited`: the time for which a component has been run eagerly, or since it last passed. A service
/// that comes up quickly is noticed immediately, and one that takes minutes is not checked ten times a second.
pub fn pace(kind: CheckerKind, interval: Duration, eager: bool, waited: Duration) -> Duration {
    match kind {
        CheckerKind::Component if eager => (waited / EAGER_PART).max(EAGER).min(interval),
        CheckerKind::Component | CheckerKind::Process => interval,
    }
}

/// One checker as the core knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckerPolicy {
    /// Native, or a component.
    pub kind: CheckerKind,
    /// How observations add up.
    pub thresholds: Thresholds,
    /// The effect of going down.
    pub on_down: OnDown,
    /// The time from the beginning of one run to the beginning of the next.
    #[serde(default)]
    pub interval: Duration,
    /// The time limit of one run.
    #[serde(default)]
    pub timeout: Duration,
    /// Without an observation for this long, the checker's task is stuck.
    pub patience: Duration,
    /// It observes the process of a kept command: if it finds none, there is none.
    #[serde(default)]
    pub kept: bool,
    /// Stands for everything else in the checker's definition (what it observes and how often): when it differs,
    /// the checker's watch is renewed.
    pub definition: u64,
}

/// The number of automatic restarts that are allowed within a time (`SafeKit`'s `maxloop` and `loop_interval`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetPolicy {
    /// The number of restarts.
    pub restarts: u32,
    /// The length of the sliding window.
    pub within: Duration,
}

impl BudgetPolicy {
    /// The message when none is left.
    pub fn all_spent(&self) -> String {
        let within = plain(self.within);
        match self.restarts {
            0 => "no automatic restart is allowed".to_owned(),
            1 => format!("the one automatic restart within {within} is used up"),
            many => format!("{many} automatic restarts within {within} are used up"),
        }
    }
}

/// The delay before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackoffPolicy {
    /// The first delay. An application that was up is restarted immediately the first time, and delayed from the
    /// second time on; one that did not come up is delayed from the first time on.
    pub first: Duration,
    /// The maximum: the delay doubles with each attempt up to this. An application that has been up for this long
    /// has recovered: the next delay is `first` again.
    pub max: Duration,
}

/// One module as the core knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModulePolicy {
    /// Its checkers by name.
    pub checkers: BTreeMap<CheckerName, CheckerPolicy>,
    /// The declared commands, for the restart script to choose from.
    pub commands: BTreeMap<CommandName, CommandPolicy>,
    /// The limit of automatic restarts.
    pub budget: BudgetPolicy,
    /// The delays between attempts.
    pub backoff: BackoffPolicy,
    /// How long the health check fails before a serving application is stopped.
    pub drain: Drain,
    /// Whether load balancers are told to send less traffic while a checker that only notifies is down.
    #[serde(default)]
    pub degrade: bool,
    /// From the end of the start plan until every checker must be up.
    pub start_within: Duration,
    /// From the end of the start plan until something of the application must have been seen.
    /// `None`: as long as `start_within`.
    #[serde(default)]
    pub appear_within: Option<Duration>,
    /// How long an application that does not start, or does not stay up, is retried without being counted against
    /// the budget.
    #[serde(default)]
    pub keep_trying: Duration,
    /// The time limit of the restart script.
    pub plan_within: Duration,
}

impl ModulePolicy {
    /// Whether the application is a kept command. If not, it runs in the background, and the host cannot
    /// distinguish it from a similar process.
    pub fn keeps(&self) -> bool {
        self.commands.values().any(|command| command.keep)
    }

    /// The time limit of a kept command's exit.
    pub fn kept_ends_within(&self) -> Duration {
        let kept = self.commands.values().filter(|command| command.keep);
        kept.map(|command| command.timeout).max().unwrap_or_default()
    }
}

/// A declared command as the core knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandPolicy {
    /// The long-running application itself.
    pub keep: bool,
    /// Its time limit; for a kept command, the time limit of its exit.
    pub timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eager_pace_slows_down_from_a_tenth_of_a_second_to_the_interval() {
        for (interval, waited, pace) in [
            (5000, 0, 100),
            (5000, 1000, 100),
            (5000, 10_000, 1000),
            (5000, 50_000, 5000),
            (5000, 3_600_000, 5000),
            (50, 10_000, 50),
        ] {
            let millis = Duration::from_millis;
            let of = |kind, eager| super::pace(kind, millis(interval), eager, millis(waited));
            assert_eq!(of(CheckerKind::Component, true), millis(pace), "{interval} {waited}");
            assert_eq!(of(CheckerKind::Component, false), millis(interval));
            assert_eq!(
                of(CheckerKind::Process, true),
                millis(interval),
                "its end and its start are seen at once"
            );
        }
    }
}
