//! What the operator wants, once it is known to make sense.
//!
//! Files are parsed elsewhere; whatever is here has been validated.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::drain::Drain;
use crate::id::{CheckerName, CommandName};
use crate::moment::plain;

/// What a checker that goes down does to its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDown {
    /// Restart the application.
    Restart,
    /// Stop the application and ask for a person.
    Stop,
    /// A prerequisite: stop the application, and start it again by itself when the checker is up.
    Wait,
    /// Take the node out of the load balancer for as long as the checker is down.
    Out,
    /// Only tell somebody.
    Notify,
}

impl OnDown {
    /// Whether the checker has a say in the health answer. A notice does not.
    pub fn gates_health(self) -> bool {
        match self {
            Self::Restart | Self::Stop | Self::Wait | Self::Out => true,
            Self::Notify => false,
        }
    }

    /// What an edit would do whose checker fails, in half a sentence.
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

/// How observations add up to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// So many passes in a row turn a checker up. At least 1.
    pub rise: u32,
    /// So many fails in a row turn a checker down. At least 1.
    pub fall: u32,
    /// So many fails turn it down also where others of the last runs passed: `fall` of this many. At
    /// most [`MOST_LOOKED_BACK`](crate::verdict::MOST_LOOKED_BACK).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fall_of: Option<u32>,
    /// Fails within this time after a start are not counted.
    pub grace: Duration,
    /// Count unknown as fail. Off unless the operator asks for it.
    pub unknown_is_fail: bool,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { rise: 1, fall: 1, fall_of: None, grace: Duration::ZERO, unknown_is_fail: false }
    }
}

/// What kind of thing a checker looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckerKind {
    /// Native: processes of this node.
    Process,
    /// A component.
    Component,
}

/// How often a component that is run eagerly is run at first, if its interval is longer: while
/// something waits for what it says.
const EAGER: Duration = Duration::from_millis(100);
/// The pace of a component that is run eagerly is this part of the time that it has been so.
const EAGER_PART: u32 = 10;

/// From the beginning of one run of a checker to the beginning of the next, in the daemon and in a simulation. A component that
/// is run eagerly has been so for `waited`, or has last passed so long ago: what comes up is seen at once, and what
/// takes minutes to do so is not asked ten times a second.
pub fn pace(kind: CheckerKind, interval: Duration, eager: bool, waited: Duration) -> Duration {
    match kind {
        CheckerKind::Component if eager => (waited / EAGER_PART).max(EAGER).min(interval),
        CheckerKind::Component | CheckerKind::Process => interval,
    }
}

/// One checker as the core knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckerPolicy {
    /// Native or component.
    pub kind: CheckerKind,
    /// How observations add up.
    pub thresholds: Thresholds,
    /// What a verdict of down does.
    pub on_down: OnDown,
    /// From the beginning of one run to the beginning of the next.
    #[serde(default)]
    pub interval: Duration,
    /// How long one run may take.
    #[serde(default)]
    pub timeout: Duration,
    /// Without an observation for so long, whoever runs the checker is stuck.
    pub patience: Duration,
    /// Looks at the process of a kept command: where it sees none, there is none.
    #[serde(default)]
    pub kept: bool,
    /// Stands for everything else in the checker's definition (what it
    /// observes and how often): when it differs, the checker is watched anew.
    pub definition: u64,
}

/// How many automatic restarts are allowed within a time
/// (`SafeKit`'s `maxloop` and `loop_interval`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetPolicy {
    /// So many.
    pub restarts: u32,
    /// Within this sliding window.
    pub within: Duration,
}

impl BudgetPolicy {
    /// What is said when none is left.
    pub fn all_spent(&self) -> String {
        let within = plain(self.within);
        match self.restarts {
            0 => "no automatic restart is allowed".to_owned(),
            1 => format!("the one automatic restart within {within} is spent"),
            many => format!("{many} automatic restarts within {within} are spent"),
        }
    }
}

/// How long to wait before the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackoffPolicy {
    /// The first wait. An application that was up is restarted at once the first time, and waited
    /// for from the second time on; one that did not come up is waited for from the first time on.
    pub first: Duration,
    /// The wait doubles with each try up to this. An application that has
    /// been up for as long as this has recovered: the next wait is `first` again.
    pub max: Duration,
}

/// One module as the core knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModulePolicy {
    /// Its checkers.
    pub checkers: BTreeMap<CheckerName, CheckerPolicy>,
    /// The declared commands, for the restart script to choose from.
    pub commands: BTreeMap<CommandName, CommandPolicy>,
    /// Automatic restarts allowed.
    pub budget: BudgetPolicy,
    /// The wait between tries.
    pub backoff: BackoffPolicy,
    /// How long health says no before an application that serves is stopped.
    pub drain: Drain,
    /// Whether load balancers are told to send less while a checker that only notifies is down.
    #[serde(default)]
    pub degrade: bool,
    /// From the end of the start plan until every checker must be up.
    pub start_within: Duration,
    /// From the end of the start plan until something of the application must have been seen.
    /// `None`: as long as `start_within`.
    #[serde(default)]
    pub appear_within: Option<Duration>,
    /// For so long what does not start, or does not stay up, is tried again without being counted
    /// against the budget.
    #[serde(default)]
    pub keep_trying: Duration,
    /// How long the restart script may think about a plan.
    pub plan_within: Duration,
}

impl ModulePolicy {
    /// Whether the application is a kept command. If not, it runs in the background, and the host
    /// cannot tell it from another process of its kind.
    pub fn keeps(&self) -> bool {
        self.commands.values().any(|command| command.keep)
    }

    /// How long the end of a kept command may take.
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
    /// How long it may run; for a kept command, how long its end may take.
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
