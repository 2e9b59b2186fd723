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
use crate::policy::{CheckerKind, CheckerPolicy, pace};
use crate::verdict::{Judge, Verdict, Weight};

use super::blindness::Blindness;
use super::probation::{self, Edit, Probation};
use super::starting::{Starting, shows_life};

/// The number of observations in a request to a restart script.
const REMEMBERED: usize = 10;
/// The interval at which missing observations are counted again: a verdict is discarded only after several unknown
/// results.
const MISS_AGAIN: Duration = Duration::from_secs(1);
/// A silent checker is restarted each time after this many missing observations.
const BEGIN_AGAIN: u32 = 30;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checker {
    pub(super) policy: CheckerPolicy,
    pub(super) judge: Judge,
    pub(super) last: Option<Arc<Observation>>,
    recent: VecDeque<PastObservation>,
    watch: Option<Watch>,
    /// Whether it has been observed since its watch began, or since it was last asked to run.
    spoken: bool,
    /// It has to run now, regardless of its schedule.
    #[serde(default)]
    asked: bool,
    /// Its verdict is from the previous core, and it has not run since.
    #[serde(default)]
    pub(super) trusted: bool,
    /// While the application is starting.
    #[serde(default)]
    starting: Option<Starting>,
    /// It was edited while its application was serving, and has not been up since.
    #[serde(default)]
    pub(super) probation: Option<Probation>,
    /// Whether its results have been unknown, and for how long.
    #[serde(default)]
    pub(super) blindness: Blindness,
    /// When the next observation is expected.
    due: Moment,
    /// The number of missing observations in a row.
    missed: u32,
}

/// How the checker is being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Watch {
    generation: Generation,
    eager: bool,
    /// Since when it has had this pace, or when it has last passed.
    #[serde(default)]
    since: Moment,
    /// Its watch has to be renewed: observations of this watch no longer count.
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
            asked: false,
            trusted: false,
            starting: None,
            probation: None,
            blindness: Blindness::default(),
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

    /// Whether it was asked to run out of schedule, and has not answered yet.
    pub(super) fn asked(&self) -> bool {
        self.asked
    }

    /// Whether its last run found something alive.
    pub(super) fn saw_life(&self) -> bool {
        self.last.as_deref().is_some_and(shows_life)
    }

    /// Whether it observes processes, and has found none since the start.
    pub(super) fn has_not_appeared(&self) -> bool {
        self.policy.kind == CheckerKind::Process
            && self.judge.failing()
            && self.starting.as_ref().is_some_and(Starting::unseen)
    }

    /// Whether its last run got no answer in time.
    pub(super) fn saw_a_hang(&self) -> bool {
        self.last.as_deref().is_some_and(Observation::is_of_a_hang)
    }

    /// Whether its last run found that the kept process has ended.
    pub(super) fn saw_its_end(&self) -> bool {
        self.policy.kept && self.last.as_deref().is_some_and(Observation::is_of_an_end)
    }

    /// A scan of the processes failed: that says nothing about them.
    pub(super) fn native_could_not_tell(&self) -> bool {
        self.policy.kind == CheckerKind::Process
            && self.last.as_ref().is_some_and(|o| o.status == Status::Unknown)
    }

    /// It has run often enough, and its results were unknown.
    pub(super) fn cannot_tell(&self) -> bool {
        self.judge.cannot_tell(&self.policy.thresholds)
    }

    /// Its last summary, and how often it failed if that was not in a row.
    pub(super) fn why(&self) -> String {
        match self.judge.fails_among_others(&self.policy.thresholds) {
            Some((fails, runs)) => format!("{} ({fails} of the last {runs} runs failed)", self.said()),
            None => self.said().to_owned(),
        }
    }

    /// Its last summary, for a sentence.
    pub(super) fn said(&self) -> &str {
        self.last.as_ref().map_or("not run yet", |o| o.summary.as_str())
    }

    /// Discards the verdict: it was about an application that is gone, or has to be checked again. Pending
    /// observations do not count either.
    pub(super) fn begin(&mut self, grace_until: Moment, out: &Outbox<'_>) {
        self.judge.begin(out.now, grace_until);
        (self.trusted, self.blindness) = (false, Blindness::default());
        self.starting = None;
        self.ask_anew(out.now);
    }

    /// The same for an application that starts; `excuses`: until it is up, failures are only shown. The grace is
    /// the operator's.
    pub(super) fn begin_start(&mut self, excuses: bool, out: &Outbox<'_>) {
        self.begin(out.now + self.policy.thresholds.grace, out);
        self.starting = Some(Starting::new(excuses));
    }

    /// The start is over, successfully or not: from here on every failure counts.
    pub(super) fn end_start(&mut self) {
        self.starting = None;
    }

    /// Runs it once, now. Its verdict and its counters are kept.
    pub(super) fn ask(&mut self, out: &Outbox<'_>) {
        self.asked = true;
        self.ask_anew(out.now);
    }

    fn ask_anew(&mut self, now: Moment) {
        self.spoken = false;
        self.excuse(now);
        self.end_watch();
    }

    /// When processes that were seen in this start must be present again.
    pub(super) fn missing_until(&self) -> Moment {
        self.starting.as_ref().and_then(Starting::missing_until).unwrap_or(Moment::NEVER)
    }

    /// Checks whether processes have been missing for too long. Returns the previous verdict, if it changed.
    pub(super) fn give_up_missing(&mut self, now: Moment) -> Option<Verdict> {
        let gone = self.starting.as_mut().is_some_and(|starting| starting.give_up_missing(now));
        if !gone {
            return None;
        }
        let weight = if self.on_probation() { Weight::Excused } else { Weight::Counts };
        self.judge.observe(Status::Fail, weight, &self.policy.thresholds, now)
    }

    /// Whether an observation shows that the start makes progress.
    pub(super) fn advances(&self, generation: Generation, seen: &Observation) -> bool {
        self.hears(generation) && self.starting.as_ref().is_some_and(|starting| starting.advances(seen))
    }

    /// The next watch gets a new generation. That there is one now is not forgotten: if none follows, it has to be
    /// ended.
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
                (self.asked, self.trusted, self.blindness) = (false, false, Blindness::default());
                // It is no longer run, so its status is unknown: a step that waits for this checker must not use
                // the previous verdict.
                self.judge.begin(out.now, out.now);
                out.push(Action::Unwatch { module: module.clone(), checker: name.clone() });
                return;
            }
            (Some(eager), Some(watch)) if !watch.over && watch.eager == eager => return,
            (Some(eager), Some(watch)) if !watch.over => Watch { eager, since: out.now, ..watch },
            (Some(eager), _) => {
                if self.missed == 0 || self.watch.is_none() {
                    self.excuse(out.now);
                }
                Watch { eager, generation: out.next_generation(), since: out.now, over: false }
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

    /// The file has changed. The verdict and its counters are kept. `serves`: the application is serving, so what
    /// has changed is on probation first.
    pub(super) fn redefine(&mut self, policy: CheckerPolicy, serves: bool) {
        let changed = probation::differs(&self.policy, &policy);
        if policy.definition != self.policy.definition {
            self.end_watch();
        }
        if self.missed == 0 {
            self.due = self.due - self.policy.patience + policy.patience;
        }
        self.policy = policy;
        let edit = (self.on_probation() || (changed && serves)).then_some(Edit::Changed);
        if changed || edit.is_none() || !self.policy.on_down.gates_health() {
            self.begin_probation(edit, serves && self.verdict() == Verdict::Up);
            // The verdict of the previous core is about the checker before the change.
            self.trusted &= !self.on_probation();
        }
    }

    /// Processes an observation, unless it belongs to an earlier watch. Returns the previous verdict, if it
    /// changed.
    pub(super) fn observe(
        &mut self,
        generation: Generation,
        observation: Observation,
        now: Moment,
    ) -> Option<Verdict> {
        if !self.hears(generation) {
            return None;
        }
        self.excuse(now);
        self.asked = false;
        self.take_in(observation, now)
    }

    /// Whether an observation of this watch counts.
    fn hears(&self, generation: Generation) -> bool {
        self.watch.is_some_and(|watch| !watch.over && watch.generation == generation)
    }

    /// When an observation is overdue; never if it should not be run.
    pub(super) fn overdue_at(&self) -> Moment {
        if self.watch.is_some() { self.due } else { Moment::NEVER }
    }

    /// The approximate time of its next run: the core is not informed when a run begins. `None` while that cannot
    /// be known.
    pub(super) fn next_run(&self) -> Option<Moment> {
        let watch = self.watch.filter(|watch| !watch.over && self.spoken && self.missed == 0)?;
        let interval = self.policy.interval;
        let last = self.last.as_deref()?;
        let pace = pace(self.policy.kind, interval, watch.eager, last.at.since(watch.since));
        Some(last.at.max(last.at - last.took + pace))
    }

    /// Its time limit starts again.
    pub(super) fn excuse(&mut self, now: Moment) {
        self.missed = 0;
        self.due = now + self.policy.patience;
    }

    /// Checks whether an observation is overdue. The watch is renewed now and then. Returns the previous verdict,
    /// if it changed.
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
        (self.spoken, self.trusted) = (true, false);
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(PastObservation {
            at: observation.at,
            status: observation.status,
            summary: observation.summary.clone(),
        });
        let eager = self.watch.is_some_and(|watch| watch.eager);
        if let (Status::Pass | Status::Warn, Some(watch)) = (observation.status, &mut self.watch) {
            watch.since = now;
        }
        let weight = match &mut self.starting {
            Some(starting) => starting.weigh(&self.policy, eager, &observation, now),
            None => Weight::Counts,
        };
        let weight = match self.probation {
            Some(_) => Probation::weigh(&self.policy, &observation, weight),
            None => weight,
        };
        let status = observation.status;
        self.blindness.see(status, now);
        self.last = Some(Arc::new(observation));
        let before = self.judge.observe(status, weight, &self.policy.thresholds, now);
        let rise = self.policy.thresholds.rise;
        if self.probation.as_mut().is_some_and(|probation| probation.passes(status, rise)) {
            self.probation = None;
        }
        before
    }

    /// Whether one more run with this result would change no decision: it repeats what has been seen often enough.
    pub(super) fn repeats(&self, generation: Generation, observation: &Observation) -> bool {
        let Some(last) = self.last.as_deref() else { return false };
        let same = last.status == observation.status
            && last.processes == observation.processes
            && last.is_of_a_hang() == observation.is_of_a_hang()
            // All passes are equal. Any other summary is the reason for something.
            && (self.verdict() == Verdict::Up || last.summary == observation.summary);
        self.hears(generation)
            && self.spoken
            && self.missed == 0
            && same
            && self.judge.settled(&self.policy.thresholds)
            && !self.advances(generation, observation)
            && !self.probation.is_some_and(|probation| probation.learns(observation.status))
    }

    /// Counts one more run with the same result as the last one. Its verdict stays: it is settled.
    pub(super) fn repeat(&mut self, times: u64, last: Moment) {
        let Some(observation) = self.last.clone() else { return };
        self.excuse(last);
        self.judge.repeat(times);
        let Observation { status, summary, .. } = &*observation;
        // More than the maximum are forgotten again.
        for _ in 0..times.min(REMEMBERED as u64) {
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(PastObservation { at: last, status: *status, summary: summary.clone() });
        }
    }

    /// The checker's transition to down, for a restart script and the journal.
    pub(super) fn incident(&self, name: &CheckerName) -> Incident {
        Incident {
            at: self.judge.since(),
            checker: name.clone(),
            summary: self.why(),
            observations: self.recent.iter().cloned().collect(),
        }
    }
}
