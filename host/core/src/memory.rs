//! What of a module outlives the core that knew it.
//!
//! The daemon is no life line: it may be killed at any instant, and the next one
//! goes on. What follows from the application as it is, is found out by looking
//! at it again. What cannot be seen there is here: what a person wants, what is
//! counted, and what was under way.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Streak};
use crate::command::LASTS_AT_MOST;
use crate::event::Wish;
use crate::module::{InForce, State};
use crate::moment::Moment;
use crate::pieces::PerChecker;
use crate::plan::Incident;
use crate::readmission::Readmission;
use crate::verdict::Verdict;

/// What outlives the daemon of one module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModuleMemory {
    /// What a person wants.
    pub wish: Wish,
    /// The automatic restarts that count against the budget.
    pub budget: Budget,
    /// How often in a row it did not work.
    pub streak: Streak,
    /// Earlier incidents, the latest last.
    pub incidents: VecDeque<Incident>,
    /// What was under way and has to be gone on with.
    pub unfinished: Option<Unfinished>,
    /// What a load balancer was told and has to be taken back; earlier daemons did not write it down.
    pub readmission: Option<Readmission>,
    /// The application was up, and nothing was done to end it. Where it is not there any more, it has
    /// ended while nothing watched it.
    pub serves: bool,
    /// The module's file has been away since: what people did to the application meanwhile is theirs.
    pub away: bool,
    /// Which checkers were in force, and as what; earlier daemons did not write it down.
    pub(crate) checkers: Option<PerChecker<InForce>>,
    /// What the application is like that is ready. Only of use to the next daemon if that begins soon: see
    /// [`watched_since`](Self::watched_since).
    pub serving: Option<Serving>,
}

/// An application that is ready: what its checkers say, and which processes it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Since when exactly this has been so.
    pub(crate) since: Moment,
    /// What the checkers add up to.
    pub(crate) verdicts: PerChecker<Verdict>,
    /// Of the processes that each process checker saw, the lowest id.
    pub(crate) processes: PerChecker<u32>,
}

/// A state that no look at the application can bring back: a plan on its way, a
/// drain, a wait for the next try, a failure that asks for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    pub(crate) state: State,
    pub(crate) since: Moment,
    pub(crate) reason: String,
}

impl ModuleMemory {
    /// Nothing is known but what a person wants.
    pub fn wishing(wish: Wish) -> Self {
        Self { wish, ..Self::default() }
    }

    /// The machine has started anew: no application runs, and none is half-way
    /// anywhere. What should run is started, also what had failed before: who
    /// reboots a server wants to know how it is afterwards.
    #[must_use]
    pub fn after_reboot(self) -> Self {
        let (streak, unfinished) = (Streak::default(), None);
        Self { streak, unfinished, serves: false, serving: None, ..self }
    }

    /// No daemon had watched the application for some time before `watched_since`: that it was ready before
    /// then says nothing about now.
    #[must_use]
    pub fn watched_since(mut self, watched_since: Moment) -> Self {
        self.serving.take_if(|serving| serving.since < watched_since);
        self
    }

    /// A clock that was set back between two daemons must not make what is
    /// counted last for longer: nothing has happened later than now.
    #[must_use]
    pub fn no_later_than(mut self, now: Moment) -> Self {
        self.wish.suspended_until = self.wish.suspended_until.map(|until| until.min(now + LASTS_AT_MOST));
        self.budget.no_later_than(now);
        self.streak.no_later_than(now);
        for incident in &mut self.incidents {
            incident.at = incident.at.min(now);
        }
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.since = unfinished.since.min(now);
        }
        if let Some(serving) = &mut self.serving {
            serving.since = serving.since.min(now);
        }
        self.readmission = self.readmission.map(|readmission| readmission.no_later_than(now));
        self
    }
}
