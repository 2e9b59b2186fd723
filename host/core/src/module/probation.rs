//! Probation of a checker that was added or changed while its application was serving.
//!
//! ```text
//!              added, or changed in what it looks at or what follows from it
//!   (proven) ───────────────────────────────────────────────────────────────▶ On probation
//!      ▲                                                                            │
//!      └──────────── up once as it is now, or confirmed by a person ────────────────┘
//! ```
//! An edit is more often wrong than an application that serves: a wrong address fails from the first run on. So
//! such a checker runs and shows its results, but its failures neither trigger actions nor take the node out of the
//! load balancer until it has been up once. What the host itself knows, that a kept process has ended, counts at
//! any time.
//!
//! A checker that is added while the application is not up is not on probation: it decides about the start that
//! follows, and nothing that serves is at risk. One that only notifies is not either. The probation outlives the
//! daemon, and the next daemon compares the file with the previous definitions: an edit that was made while no
//! daemon ran counts as an edit.

use serde::{Deserialize, Serialize};

use crate::id::CheckerName;
use crate::observation::{Observation, Status};
use crate::outbox::Outbox;
use crate::pieces::PerChecker;
use crate::policy::{CheckerKind, CheckerPolicy, OnDown};
use crate::record::RecordKind;
use crate::verdict::Weight;

use super::checker::Checker;
use super::checkers::Keeper;
use super::{Module, State};

/// How the file was edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Edit {
    /// The checker was not there before.
    Added,
    /// The checker was there, with another definition.
    Changed,
}

impl Edit {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
        }
    }
}

/// The part of a checker's definition that the next daemon compares with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct InForce {
    definition: u64,
    on_down: OnDown,
    unknown_is_fail: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probation: Option<Edit>,
}

impl InForce {
    fn of(policy: &CheckerPolicy, probation: Option<Edit>) -> Self {
        Self {
            definition: policy.definition,
            on_down: policy.on_down,
            unknown_is_fail: policy.thresholds.unknown_is_fail,
            probation,
        }
    }

    /// As what a checker is in force.
    pub(super) fn of_checker(checker: &Checker) -> Self {
        Self::of(&checker.policy, checker.probation.map(|probation| probation.edit))
    }

    /// Whether a checker with this policy looks at something else, or does something else.
    fn differs(&self, policy: &CheckerPolicy) -> bool {
        Self { probation: None, ..*self } != Self::of(policy, None)
    }
}

/// Whether `new` observes something other than `old`, or has another effect. Thresholds make no difference.
pub(super) fn differs(old: &CheckerPolicy, new: &CheckerPolicy) -> bool {
    InForce::of(old, None).differs(new)
}

/// The progress of the probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Probation {
    edit: Edit,
    /// It was up before the edit: the application serves as before.
    stood: bool,
    /// The number of passes in a row since.
    passes: u32,
    /// It has been recorded that it would have acted.
    told: bool,
}

impl Probation {
    pub(super) fn new(edit: Edit, stood: bool) -> Self {
        Self { edit, stood, passes: 0, told: false }
    }

    /// Edited again before it was up: what was true before the first edit remains true.
    pub(super) fn again(self, stood: bool) -> Self {
        Self::new(self.edit, self.stood || stood)
    }

    pub(super) fn stood(self) -> bool {
        self.stood
    }

    /// Results from before the edit were about an application that is gone.
    pub(super) fn forget(&mut self) {
        self.stood = false;
    }

    /// The effect of a failure that would have the effect `weight` otherwise.
    pub(super) fn weigh(policy: &CheckerPolicy, seen: &Observation, weight: Weight) -> Weight {
        let ended = policy.kind == CheckerKind::Process && policy.kept && seen.is_of_an_end();
        match weight {
            Weight::Counts if !ended => Weight::Excused,
            Weight::Counts | Weight::Excused | Weight::Shown => weight,
        }
    }

    /// Counts passes. Returns whether the checker has ended its probation.
    pub(super) fn passes(&mut self, status: Status, rise: u32) -> bool {
        self.passes = match status {
            Status::Pass | Status::Warn => self.passes.saturating_add(1),
            Status::Fail | Status::Unknown => 0,
        };
        self.passes >= rise.max(1)
    }

    /// Whether one more run like the last ones may still change something.
    pub(super) fn learns(self, status: Status) -> bool {
        match status {
            Status::Pass | Status::Warn => true,
            Status::Fail | Status::Unknown => !self.told,
        }
    }
}

impl Module {
    /// Puts the checkers on probation that were on it, and those that were edited while nothing watched
    /// an application that was up.
    pub(super) fn compare(&mut self, before: Option<&PerChecker<InForce>>) {
        // An earlier daemon did not write down what was in force.
        let Some(before) = before else { return };
        let serves = self.service.lasts();
        // It is known if a kept process has ended. An application in the background may have ended in the meantime.
        let lives = serves && self.policy.keeps();
        self.checkers.for_each(|name, checker| {
            let edit = match before.get(name) {
                Some(known) if known.probation.is_some() => known.probation,
                Some(known) => (serves && known.differs(&checker.policy)).then_some(Edit::Changed),
                None => serves.then_some(Edit::Added),
            };
            checker.begin_probation(edit, lives && edit == Some(Edit::Changed));
        });
    }

    /// Takes note as what each checker is in force, for the next daemon.
    pub(super) fn note_in_force(&mut self) {
        for name in self.checkers.changed(Keeper::InForce) {
            self.in_force.set(name, self.checkers.get(name).map(InForce::of_checker));
        }
        self.checkers.known(Keeper::InForce);
    }

    /// Whether an edit is made while the application is up, so that it must not harm it.
    pub(super) fn is_edited_while_it_serves(&self) -> bool {
        match self.state {
            State::Up | State::Draining { .. } => true,
            State::Starting(_) | State::Restarting(_) => self.service.lasts(),
            State::Stopped
            | State::Backoff { .. }
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => false,
        }
    }

    /// A user confirms that checkers are correct. Returns those that had to be confirmed.
    pub(super) fn confirm(&mut self, out: &Outbox<'_>) {
        for name in self.checkers.such(|c| c.on_probation) {
            if let Some(mut checker) = self.checkers.get_mut(&name) {
                checker.confirm(out);
            }
        }
        self.unremembered = true;
    }

    /// Those that are on probation, as a list.
    pub(super) fn on_probation(&self) -> Option<String> {
        let names: Vec<String> =
            self.checkers.such(|c| c.on_probation).iter().map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Records once what an edit would have caused, and when the probation ends.
    pub(super) fn tell_of_probation(&mut self, name: &CheckerName, before: bool, out: &mut Outbox<'_>) {
        let Some(mut checker) = self.checkers.get_mut(name).filter(|c| before || c.on_probation()) else {
            return;
        };
        if !checker.on_probation() {
            self.unremembered = true;
            let decision = format!("act on checker `{name}` from now on");
            let reason = "it has been up as the file has it now: its probation is over".to_owned();
            out.record(Some(&self.name), RecordKind::Decision { decision, reason });
            return;
        }
        let Some(edit) = checker.would_have_acted() else { return };
        let would = checker.policy.on_down.would();
        let said = checker.said().to_owned();
        let decision = format!("do nothing about checker `{name}`, which is on probation");
        let reason = format!("it was {} and has not been up yet: {said}; {would}", edit.word());
        out.record(Some(&self.name), RecordKind::Decision { decision, reason });
    }
}

impl Checker {
    pub(super) fn on_probation(&self) -> bool {
        self.probation.is_some()
    }

    /// Whether it was up before the edit that put it on probation.
    pub(super) fn stood(&self) -> bool {
        self.probation.is_some_and(Probation::stood)
    }

    /// `edit`: the reason; `None` ends a probation. A checker that only notifies cannot do harm.
    pub(super) fn begin_probation(&mut self, edit: Option<Edit>, stood: bool) {
        let edit = edit.filter(|_| self.policy.on_down.gates_health());
        self.probation = match (edit, self.probation) {
            (None, _) => None,
            (Some(_), Some(before)) => Some(before.again(stood)),
            (Some(edit), None) => Some(Probation::new(edit, stood)),
        };
    }

    /// A user confirms that it is correct. Its results count from its next run on, which is immediate.
    fn confirm(&mut self, out: &Outbox<'_>) {
        if self.probation.take().is_some() {
            self.ask(out);
        }
    }

    /// How it was edited, if it has just failed so often that it would be down. Only once.
    fn would_have_acted(&mut self) -> Option<Edit> {
        let down = self.judge.has_failed_enough(&self.policy.thresholds);
        let probation = self.probation.as_mut().filter(|probation| down && !probation.told)?;
        probation.told = true;
        Some(probation.edit)
    }
}
