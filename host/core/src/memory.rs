//! The state of a module that outlives its core.
//!
//! The daemon may be killed at any instant, and the next one continues. Everything that follows from the present
//! state of the application is found out by observing it again. The rest is here: the desired state, counters, and
//! work in progress.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Streak};
use crate::command::LASTS_AT_MOST;
use crate::event::DesiredState;
use crate::id::CheckerName;
use crate::module::{InForce, State};
use crate::moment::Moment;
use crate::pieces::PerChecker;
use crate::plan::Incident;
use crate::readmission::Readmission;
use crate::verdict::Verdict;

/// The state of one module that outlives the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModuleMemory {
    /// What a person wants.
    #[serde(rename = "wish")]
    pub desired: DesiredState,
    /// The automatic restarts that count against the budget.
    pub budget: Budget,
    /// The failures in a row.
    pub streak: Streak,
    /// Earlier incidents, the latest last.
    pub incidents: VecDeque<Incident>,
    /// Work in progress that has to be continued.
    pub unfinished: Option<Unfinished>,
    /// An announced drain that has to be cancelled; earlier daemons did not store it.
    pub readmission: Option<Readmission>,
    /// The application was up, and nothing was done to end it. If it no longer runs, it has ended while it was not
    /// monitored.
    pub serves: bool,
    /// The module's file has been absent since: operators are responsible for changes of the application in the
    /// meantime.
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

impl Serving {
    /// Without checkers that are not among these.
    pub(crate) fn without_others<P>(mut self, checkers: &BTreeMap<CheckerName, P>) -> Self {
        let others =
            self.verdicts.iter().map(|(name, _)| name).chain(self.processes.iter().map(|(name, _)| name));
        let others: Vec<CheckerName> = others.filter(|name| !checkers.contains_key(*name)).cloned().collect();
        for name in others {
            self.verdicts.set(&name, None);
            self.processes.set(&name, None);
        }
        self
    }
}

/// A state that cannot be derived from observations: a plan in progress, a drain, a delay before the next attempt,
/// a failure that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    pub(crate) state: State,
    pub(crate) since: Moment,
    pub(crate) reason: String,
}

impl ModuleMemory {
    /// Nothing is known but what a person wants.
    pub fn with_desired_state(desired: DesiredState) -> Self {
        Self { desired, ..Self::default() }
    }

    /// The machine has been rebooted: no application runs, and no plan is in progress. Every module that should run
    /// is started, even if it had failed before: an operator who reboots a server expects that.
    #[must_use]
    pub fn after_reboot(self) -> Self {
        let (streak, unfinished) = (Streak::default(), None);
        Self { streak, unfinished, serves: false, serving: None, ..self }
    }

    /// No daemon had monitored the application for some time before `watched_since`: that it was ready before then
    /// says nothing about now.
    #[must_use]
    pub fn watched_since(mut self, watched_since: Moment) -> Self {
        self.serving.take_if(|serving| serving.since < watched_since);
        self
    }

    /// Limits all times to now: a clock that was set back between two daemons must not prolong the effect of
    /// counters.
    #[must_use]
    pub fn no_later_than(mut self, now: Moment) -> Self {
        self.desired.suspended_until =
            self.desired.suspended_until.map(|until| until.min(now + LASTS_AT_MOST));
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
