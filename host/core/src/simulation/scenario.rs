//! The events of a simulation, its initial state, and its expectations.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::command::Command;
use crate::id::{CheckerName, CommandName};
use crate::observation::Status;
use crate::state::StateName;

/// A scenario for a simulation. All times are relative to its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The duration of the scenario.
    pub lasts: Duration,
    /// The initial state of the module.
    pub start: Start,
    /// The time from the start of the application until it serves.
    pub warm_up: Duration,
    /// The events of the scenario.
    pub happenings: Vec<Happening>,
    /// The behaviour of commands; those not named here work.
    pub commands: BTreeMap<CommandName, Behaviour>,
    pub expectations: Vec<Expectation>,
}

/// The initial state of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is up, if its checkers pass.
    Running,
    /// A user has stopped it.
    Stopped,
    /// The host has just booted: the application should run, and does not yet.
    Boot,
}

/// An event of the scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The time since the beginning.
    pub at: Duration,
    /// The duration; without one, it is permanent.
    pub lasts: Option<Duration>,
    /// The kind of event.
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A checker has this result, whatever the state of its resource.
    Says {
        /// The name of the checker.
        checker: CheckerName,
        /// The status of its result.
        status: Status,
        /// The summary of its result.
        summary: String,
    },
    /// The application of a command ends: a kept one, or what a command left in the background. With a duration, it
    /// applies to each process that is started in this time.
    Ends {
        /// The name of the command.
        command: CommandName,
        /// How the process ends.
        how: End,
    },
    /// A user gives a command.
    Command(Command),
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is killed with SIGKILL.
    Killed,
    /// By itself, with this exit code.
    Exits(i32),
}

/// The behaviour of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// The time until a command has ended, or a kept one has been started.
    pub takes: Option<Duration>,
    /// The error with which it fails.
    pub fails: Option<String>,
    /// It fails this many times, and then works; without it, always.
    pub times: Option<u32>,
    /// From the request that a kept process end (a signal, a `stop` command) to its end.
    pub ends_in: Option<Duration>,
    /// Its effect on an application in the background, where its name does not determine it.
    pub then: Option<Then>,
}

/// The effect of a command on the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It runs, in the background.
    Running,
    /// It does not run any more.
    Stopped,
}

/// An expected result of the scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Its line in the scenario's file, from 1; 0 if it is in none.
    pub line: usize,
    /// The condition to be met.
    pub what: Expected,
}

/// The kinds of conditions.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// The module has this state, after all events of that time.
    At(Duration, Look),
    /// The module has this state at some time between the two.
    Within(Duration, Duration, Look),
    /// It is never in this state.
    Never(StateName),
    /// The total number of automatic restarts is at most this.
    RestartsAtMost(u32),
    /// The total time out of the load balancer is at most this.
    NotReadyAtMost(Duration),
}

/// The expected state of a module. Omitted parts may be anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// The expected state of the module.
    pub state: Option<StateName>,
    /// The expected health answer.
    pub ready: Option<bool>,
    /// Automatic restarts since the beginning.
    pub restarts: Option<u32>,
}
