//! A checker that cannot tell any more: it watches nothing, which nobody sees by looking at the health answer.

use crate::id::CheckerName;
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::record::RecordKind;
use crate::verdict::{Judge, Verdict};

use super::Module;
use super::checker::Checker;

impl Module {
    /// Tells, once, that none of a checker's last runs could tell.
    pub(super) fn tell_of_blindness(&mut self, name: &CheckerName, out: &mut Outbox<'_>) {
        let Some(checker) = self.checkers.get_mut(name) else { return };
        if let Some(runs) = checker.goes_blind(out.now) {
            let summary = checker.said().to_owned();
            let kind = RecordKind::CannotTell { checker: name.clone(), runs, summary };
            out.record(Some(&self.name), kind);
        }
    }
}

impl Checker {
    /// Takes note that it cannot tell any more. Returns after how many runs, the first time since it
    /// was up or down.
    fn goes_blind(&mut self, now: Moment) -> Option<u32> {
        let before = self.blind;
        let cannot_tell = self.cannot_tell().then_some(now);
        self.blind = before.or(cannot_tell).filter(|_| self.verdict() == Verdict::Undecided);
        let begins = self.blind.is_some() && before.is_none();
        begins.then(|| Judge::unknowns_to_tell(&self.policy.thresholds))
    }

    /// What it said last, and how often it failed if that was not in a row.
    pub(super) fn why(&self) -> String {
        match self.judge.fails_among_others(&self.policy.thresholds) {
            Some((fails, runs)) => format!("{} ({fails} of the last {runs} runs failed)", self.said()),
            None => self.said().to_owned(),
        }
    }
}
