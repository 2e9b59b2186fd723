//! One checker of a module: its counters, and whether it is being run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::{CheckerName, Generation, ModuleName};
use crate::moment::Moment;
use crate::observation::{Observation, Status};
use crate::outbox::Outbox;
use crate::plan::{Incident, PastObservation};
use crate::policy::{CheckerKind, CheckerPolicy, EAGER};
use crate::verdict::{Judge, Verdict};

/// So many observations are told to a restart script.
const REMEMBERED: usize = 10;
/// That nothing was heard is said again after so long: a verdict is given up by several unknowns.
const MISS_AGAIN: Duration = Duration::from_secs(1);
/// Whoever is silent is begun anew at every so manieth time.
const BEGIN_AGAIN: u32 = 30;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checker {
    pub(super) policy: CheckerPolicy,
    pub(super) judge: Judge,
    pub(super) last: Option<Arc<Observation>>,
    recent: VecDeque<PastObservation>,
    watch: Option<Watch>,
    /// Whether it has been observed since it was last begun.
    spoken: bool,
    /// By when the next observation is expected.
    due: Moment,
    /// So often in a row none came.
    missed: u32,
}

/// How the checker is being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Watch {
    generation: Generation,
    eager: bool,
    /// It is to be watched anew: answers to this watch count no more.
    over: bool,
}

impl Checker {
    pub(super) fn new(policy: CheckerPolicy, now: Moment) -> Self {
        let mut judge = Judge::new(now);
        judge.begin(now, now + policy.thresholds.grace);
        Self {
            policy,
            judge,
            last: None,
            recent: VecDeque::new(),
            watch: None,
            spoken: false,
            due: now,
            missed: 0,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.judge.verdict()
    }

    pub(super) fn watched(&self) -> bool {
        self.watch.is_some()
    }

    pub(super) fn spoken(&self) -> bool {
        self.spoken
    }

    /// Whether its last run saw something that lives. Processes beyond their
    /// bounds are a fail, and live.
    pub(super) fn saw_life(&self) -> bool {
        let alive =
            |o: &Observation| matches!(o.status, Status::Pass | Status::Warn) || !o.processes.is_empty();
        self.last.as_deref().is_some_and(alive)
    }

    /// A look at the processes failed in itself: that says nothing about them.
    pub(super) fn native_could_not_tell(&self) -> bool {
        self.policy.kind == CheckerKind::Process
            && self.last.as_ref().is_some_and(|o| o.status == Status::Unknown)
    }

    /// It ran often enough, and could not tell.
    pub(super) fn cannot_tell(&self) -> bool {
        self.judge.cannot_tell(&self.policy.thresholds)
    }

    /// What it said last, for a sentence.
    pub(super) fn said(&self) -> &str {
        self.last.as_ref().map_or("not run yet", |o| o.summary.as_str())
    }

    /// Forget the verdict: it was about an application that is gone, or is to be
    /// looked at afresh. Answers that are under way are not counted either.
    pub(super) fn begin(&mut self, grace_until: Moment, out: &Outbox<'_>) {
        self.judge.begin(out.now, grace_until);
        self.spoken = false;
        self.excuse(out.now);
        self.end_watch();
    }

    /// The next watch takes a new generation. That there is one now is not
    /// forgotten: if none follows, whoever runs the checker has to be told.
    fn end_watch(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.over = true;
        }
    }

    /// Runs it, at a slow or an eager pace, or does not run it.
    pub(super) fn set_watch(
        &mut self,
        wanted: Option<bool>,
        module: &ModuleName,
        name: &CheckerName,
        out: &mut Outbox<'_>,
    ) {
        let watch = match (wanted, self.watch) {
            (None, None) => return,
            (None, Some(_)) => {
                self.watch = None;
                // Nobody looks any more, so nobody knows: a step that waits for
                // this checker must not take what was known before.
                self.judge.begin(out.now, out.now);
                out.push(Action::Unwatch { module: module.clone(), checker: name.clone() });
                return;
            }
            (Some(eager), Some(watch)) if !watch.over && watch.eager == eager => return,
            (Some(eager), Some(watch)) if !watch.over => Watch { eager, ..watch },
            (Some(eager), _) => {
                if self.missed == 0 || self.watch.is_none() {
                    self.excuse(out.now);
                }
                Watch { eager, generation: out.next_generation(), over: false }
            }
        };
        self.watch = Some(watch);
        out.push(Action::Watch {
            module: module.clone(),
            checker: name.clone(),
            generation: watch.generation,
            eager: watch.eager,
        });
    }

    /// The file says something else now. The verdict and its counters carry on.
    pub(super) fn redefine(&mut self, policy: CheckerPolicy) {
        if policy.definition != self.policy.definition {
            self.end_watch();
        }
        if self.missed == 0 {
            self.due = self.due - self.policy.patience + policy.patience;
        }
        self.policy = policy;
    }

    /// Takes an observation in, unless it belongs to an earlier watch. Returns
    /// the verdict before, if it changed.
    pub(super) fn observe(
        &mut self,
        generation: Generation,
        observation: Observation,
        now: Moment,
    ) -> Option<Verdict> {
        if self.watch.is_none_or(|watch| watch.over || watch.generation != generation) {
            return None;
        }
        self.excuse(now);
        self.take_in(observation, now)
    }

    /// When it will have been silent for too long; never if nobody should run it.
    pub(super) fn overdue_at(&self) -> Moment {
        if self.watch.is_some() { self.due } else { Moment::NEVER }
    }

    /// When it is run again, about: nobody tells the core when a run has begun. Nothing while that
    /// cannot be known.
    pub(super) fn next_run(&self) -> Option<Moment> {
        let watch = self.watch.filter(|watch| !watch.over && self.spoken && self.missed == 0)?;
        let interval = self.policy.interval;
        let pace = match self.policy.kind {
            CheckerKind::Component if watch.eager => interval.min(EAGER),
            CheckerKind::Component | CheckerKind::Process => interval,
        };
        let last = self.last.as_deref()?;
        Some(last.at.max(last.at - last.took + pace))
    }

    /// Its time begins anew.
    pub(super) fn excuse(&mut self, now: Moment) {
        self.missed = 0;
        self.due = now + self.policy.patience;
    }

    /// Takes note that nothing was heard in time, if that is so. Whoever runs it is begun anew
    /// now and then. Returns the verdict before, if it changed.
    pub(super) fn miss(&mut self, now: Moment) -> Option<Verdict> {
        if now < self.overdue_at() {
            return None;
        }
        let silent = self.policy.patience + MISS_AGAIN * self.missed;
        if self.missed.is_multiple_of(BEGIN_AGAIN) {
            self.end_watch();
        }
        self.missed = self.missed.saturating_add(1);
        self.due = now + MISS_AGAIN;
        let summary = format!("the checker has not answered for {}", crate::moment::plain(silent));
        self.take_in(Observation::new(Status::Unknown, summary, now), now)
    }

    fn take_in(&mut self, observation: Observation, now: Moment) -> Option<Verdict> {
        self.spoken = true;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(PastObservation {
            at: observation.at,
            status: observation.status,
            summary: observation.summary.clone(),
        });
        let status = observation.status;
        self.last = Some(Arc::new(observation));
        self.judge.observe(status, &self.policy.thresholds, now)
    }

    /// Whether one more run that saw this would change nothing that is decided
    /// by: it is said again what has been said often enough.
    pub(super) fn repeats(&self, generation: Generation, observation: &Observation) -> bool {
        let Some(last) = self.last.as_deref() else { return false };
        let watched = self.watch.is_some_and(|watch| !watch.over && watch.generation == generation);
        let same = last.status == observation.status
            && last.processes == observation.processes
            // A good word is as good as another. Any other is somebody's reason.
            && (self.verdict() == Verdict::Up || last.summary == observation.summary);
        watched && self.spoken && self.missed == 0 && same && self.judge.settled(&self.policy.thresholds)
    }

    /// The run that was the last one so often once more. Its verdict stays: it is settled.
    pub(super) fn repeat(&mut self, times: u64, last: Moment) {
        let Some(observation) = self.last.clone() else { return };
        self.excuse(last);
        self.judge.repeat(times);
        let Observation { status, summary, .. } = &*observation;
        // More than are remembered are forgotten again.
        for _ in 0..times.min(REMEMBERED as u64) {
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(PastObservation { at: last, status: *status, summary: summary.clone() });
        }
    }

    /// The checker's going down, as a restart script and the journal see it.
    pub(super) fn incident(&self, name: &CheckerName) -> Incident {
        Incident {
            at: self.judge.since(),
            checker: name.clone(),
            summary: self.said().to_owned(),
            observations: self.recent.iter().cloned().collect(),
        }
    }
}
