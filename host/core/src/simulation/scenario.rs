//! What happens in a simulation, what it is made of, and what is expected of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::command::Command;
use crate::id::{CheckerName, CommandName};
use crate::observation::Status;
use crate::state::StateName;

/// A story to be played. All times are from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// How long it is.
    pub lasts: Duration,
    /// How the module is when it begins.
    pub start: Start,
    /// From the start of the application until it serves.
    pub warm_up: Duration,
    /// What happens.
    pub happenings: Vec<Happening>,
    /// How commands behave; those not named here do what they should.
    pub commands: BTreeMap<CommandName, Behaviour>,
    /// What must come of it.
    pub expectations: Vec<Expectation>,
}

/// How a module is when a scenario begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is up, if its checkers let it.
    Running,
    /// A person has stopped it.
    Stopped,
    /// The host has just booted: the application should run, and does not yet.
    Boot,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// When.
    pub at: Duration,
    /// For how long; without it, for good.
    pub lasts: Option<Duration>,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A checker says something, whatever there is to see.
    Says {
        /// Which.
        checker: CheckerName,
        /// Its outcome.
        status: Status,
        /// Its sentence.
        summary: String,
    },
    /// The application of a command ends: a kept one, or what a command left in the background.
    /// One that lasts meets each process that is started meanwhile.
    Ends {
        /// Which.
        command: CommandName,
        /// How.
        how: End,
    },
    /// A person types a command.
    Command(Command),
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By SIGKILL.
    Killed,
    /// By itself, with this exit code.
    Exits(i32),
}

/// How a command behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Until a command that is run has ended, or one that is kept has been started.
    pub takes: Option<Duration>,
    /// How it fails.
    pub fails: Option<String>,
    /// It fails so many times, and then works; without it, always.
    pub times: Option<u32>,
    /// From the request that a kept process end (a signal, a `stop` command) to its end.
    pub ends_in: Option<Duration>,
    /// What it makes of an application in the background, where its name does not say so.
    pub then: Option<Then>,
}

/// What a command that is run to its end makes of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It runs, in the background.
    Running,
    /// It runs no more.
    Stopped,
}

/// Something that must be so.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Its line in the scenario's file, from 1; 0 if it is in none.
    pub line: usize,
    /// What.
    pub what: Expected,
}

/// What can be expected.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// The module is like this, after all that happens at that time.
    At(Duration, Look),
    /// The module is like this at some time between the two.
    Within(Duration, Duration, Look),
    /// It never is in this state.
    Never(StateName),
    /// There are not more automatic restarts in all.
    RestartsAtMost(u32),
    /// It is not longer out of the load balancer in all.
    NotReadyAtMost(Duration),
}

/// How a module is to be. What is not named may be anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Its state.
    pub state: Option<StateName>,
    /// What the load balancer is told.
    pub ready: Option<bool>,
    /// Automatic restarts since the beginning.
    pub restarts: Option<u32>,
}
