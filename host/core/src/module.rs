//! One module: its state, and the one function that moves it on.
//!
//! ```text
//!            start                      all checkers up
//!  Stopped ─────────▶ Starting ───────────────────────────▶ Up ────┐ a checker goes down
//!    ▲  ▲              ▲  │ failed                        ▲  │     │ and its action is restart
//!    │  │  next try    │  ▼                               │  │     ▼
//!    │  └──────────── Backoff ◀───────── failed ──────────┴──│── Restarting
//!    │                    │ budget spent                     │      ▲
//!    │                    ▼                                  │ stop, restart
//!  Stopping ◀───────── Failed                                ▼      │
//!    ▲  │                                                  Draining ┘
//!    │  └── a prerequisite is down ──▶ Waiting ── it is up ──▶ Starting
//!    └── stop, from anywhere
//! ```
//! The happy path: `Starting` first looks whether the application runs already
//! (a daemon that was restarted must not restart the application), else asks
//! the restart script for a plan and carries it out; then it settles, that is,
//! waits until the checkers are up. From `Up`, a checker that goes down leads
//! to `Restarting`: the plan for that incident, then settling, then `Up`.
//!
//! Whatever is decided is decided from the state and the verdicts as they are
//! (never from an edge that could be missed), so suspending, resuming and
//! reloading need no special case: they change what is there to be seen.

// A new state must be thought about wherever one is matched.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod blindness;
mod checker;
mod checkers;
mod command;
mod completions;
mod deadlines;
mod ending;
mod evaluate;
mod found_again;
mod loading;
mod moves;
mod observed;
mod plan_execution;
mod prerequisites;
mod probation;
mod resume;
mod starting;
mod state;
mod view;
mod watches;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Streak};
use crate::event::DesiredState;
use crate::id::{CheckerName, ModuleName};
use crate::memory::{ModuleMemory, Serving};
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::pieces::{PerChecker, Pieces};
use crate::plan::Incident;
use crate::policy::ModulePolicy;
use crate::readmission::Readmission;
use crate::snapshot::CheckerView;

use checker::Checker;
use checkers::Checkers;
#[cfg(test)]
pub(crate) use checkers::looks;
use completions::surroundings;
use found_again::Service;
use prerequisites::Doubt;
pub(crate) use probation::InForce;
pub(crate) use state::{AfterDrain, AfterStop, Phase, State};
use watches::Pace;

/// So many earlier incidents are told to a restart script.
const INCIDENTS: usize = 20;
/// How long `Starting` looks whether the application runs already, or for a prerequisite.
const LOOK_TIME: Duration = Duration::from_secs(10);
/// The next try was asked for by a person: it waits for nothing, not even for a resume.
const ASKED: Moment = Moment::from_micros(i64::MIN);
/// No event moves a module further than this many states at once.
const MAX_MOVES: usize = 16;

/// One module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Module {
    name: ModuleName,
    policy: Arc<ModulePolicy>,
    #[serde(rename = "wish")]
    desired: DesiredState,
    state: State,
    since: Moment,
    reason: String,
    budget: Budget,
    streak: Streak,
    checkers: Checkers,
    incidents: VecDeque<Incident>,
    /// What outlives the daemon may have changed since it was told.
    unremembered: bool,
    /// What was told last of it.
    #[serde(skip)]
    remembered: Option<Box<ModuleMemory>>,
    /// When the next of the checkers would have been silent for too long.
    overdue_at: Moment,
    /// By when processes that were seen in this start must be there again. Checkpoints of earlier versions do not
    /// have it: see [`Self::restored`].
    #[serde(default = "never")]
    missing_at: Moment,
    /// A checker went down, and prerequisites are asked first whether it is their doing.
    #[serde(default)]
    doubt: Option<Doubt>,
    /// The daemon ends: nothing is begun any more.
    ending: bool,
    /// What a load balancer was told and has to be taken back.
    #[serde(default)]
    readmission: Readmission,
    /// Whether the application is up, or was and nothing has been done since to end it.
    #[serde(default)]
    service: Service,
    /// How often the slowest of those asks that ask regularly.
    #[serde(default)]
    probed_every: Option<Duration>,
    /// What the application was like when it was ready last, under this core or the one before.
    #[serde(default)]
    serving: Option<Serving>,
    /// Whether this core has yet to find out whether the application runs.
    #[serde(default)]
    first_look: bool,
    /// The application was found again, and verdicts of the last core count until then at the latest.
    #[serde(default)]
    trusted_until: Option<Moment>,
    /// How the checkers that have not changed since are run.
    #[serde(skip)]
    paced: Option<Pace>,
    /// As what each of them is in force, and how it was shown last: [`Checkers`] knows which have changed since.
    #[serde(skip)]
    in_force: PerChecker<InForce>,
    #[serde(skip)]
    pictures: Pieces<CheckerView>,
}

impl Module {
    /// Load balancers ask so often now.
    pub(crate) fn probed(&mut self, every: Option<Duration>) {
        self.probed_every = every;
    }

    fn drain_lasts(&self) -> Duration {
        self.policy.drain.lasts(self.probed_every)
    }

    /// Moves on as far as the state, the verdicts and the time allow, then
    /// runs the checkers that the new state needs.
    pub(crate) fn advance(&mut self, out: &mut Outbox<'_>) {
        self.end_suspension(out);
        self.hear_the_silent(out);
        self.give_up_missing(out);
        for _ in 0..MAX_MOVES {
            let checkers = &self.checkers;
            let verdict_of = |name: &CheckerName| checkers.get(name).map(Checker::verdict);
            if let Some(run) = self.state.run_mut() {
                let around = surroundings(&self.name, &self.policy, &self.budget, &self.incidents, out.now);
                let progress = run.advance(verdict_of, &around, out);
                self.unremembered = true;
                self.take_progress(progress, out);
            }
            if !self.evaluate(out) {
                break;
            }
        }
        self.adjust_watches(out);
        self.readmit(out);
        self.keep_serving(out.now);
        self.remember(out);
    }

    /// Keeps in mind what load balancers have been told.
    fn readmit(&mut self, out: &Outbox<'_>) {
        let drains = matches!(self.state, State::Draining { .. });
        let readmission = self.readmission.follow(drains, self.is_ready(), out.now);
        self.unremembered |= readmission != self.readmission;
        self.readmission = readmission;
    }

    /// Whether a drain was announced that has not been taken back.
    pub(crate) fn owes_readmission(&self) -> bool {
        self.readmission == Readmission::Owed
    }
}

fn never() -> Moment {
    Moment::NEVER
}
