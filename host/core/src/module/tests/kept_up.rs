//! What a module keeps up to date step by step, so that an event costs the same however many checkers there are.

use crate::id::{CheckerName, NodeName};
use crate::module::checkers::Keeper;
use crate::module::probation::InForce;
use crate::module::view::checker_view;
use crate::module::{Module, PerChecker};
use crate::moment::Moment;
use crate::outbox::{Counters, Outbox};

impl Module {
    /// Whether it is what it would be if it were made anew.
    pub(crate) fn is_kept_up(&self, now: Moment, node: &NodeName) -> bool {
        let all = || self.checkers.iter();
        let is_known = |keeper, name: &CheckerName| !self.checkers.changed(keeper).contains(name);
        let are_drawn = || {
            all()
                .filter(|(name, _)| is_known(Keeper::Picture, name))
                .all(|(name, checker)| self.pictures.get(name) == Some(&checker_view(name, checker)))
        };
        let are_in_force = || {
            all()
                .filter(|(name, _)| is_known(Keeper::InForce, name))
                .all(|(name, checker)| self.in_force.get(name) == Some(&InForce::of_checker(checker)))
        };
        let none_gone =
            |kept: &PerChecker<InForce>| kept.iter().all(|(name, _)| self.checkers.get(name).is_some());
        let times = [self.checkers.overdue_at(), self.checkers.missing_until()];
        self.checkers.is_noted()
            && are_drawn()
            && are_in_force()
            && (none_gone(&self.in_force) || !self.checkers.changed(Keeper::InForce).is_empty())
            && [self.overdue_at, self.missing_at] == times
            && self.is_paced(now, node)
    }

    /// Whether a look at every checker changes how none of them is run.
    fn is_paced(&self, now: Moment, node: &NodeName) -> bool {
        let mut counters = Counters::new(0, 1);
        let mut out = Outbox::new(now, node, &mut counters);
        let mut anew = self.clone();
        anew.paced = None;
        anew.adjust_watches(&mut out);
        out.into_actions().is_empty()
    }
}
