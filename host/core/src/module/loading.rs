//! A module's file is activated, changed, and removed.

use std::sync::Arc;

use crate::id::{CheckerName, ModuleName};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::pieces::{PerChecker, Pieces};
use crate::policy::{ModulePolicy, OnDown};

use super::checker::Checker;
use super::found_again::Service;
use super::probation::Edit;
use super::{Module, State, resume};

impl Module {
    /// A module that is new to this core. `has_predecessor`: another daemon has run on this node before.
    pub(crate) fn new(
        name: ModuleName,
        policy: Arc<ModulePolicy>,
        memory: ModuleMemory,
        has_predecessor: bool,
        out: &mut Outbox<'_>,
    ) -> Self {
        let checkers = policy
            .checkers
            .iter()
            .map(|(name, policy)| (name.clone(), Checker::new(policy.clone(), out.now)))
            .collect();
        let remembered = Some(Box::new(memory.clone()));
        let ModuleMemory {
            desired,
            budget,
            streak,
            incidents,
            unfinished,
            readmission,
            serves,
            away,
            checkers: in_force,
            serving,
        } = memory;
        // What follows from its absence is persisted immediately: the next daemon will have a predecessor.
        let unremembered = readmission.is_none();
        let readmission = readmission.unwrap_or_else(|| resume::announced_before(has_predecessor));
        // A checker that was removed from the file while no daemon ran is not remembered as one that was up.
        let serving = serving.map(|serving| serving.without_others(&policy.checkers));
        let mut module = Self {
            name,
            policy,
            desired,
            state: State::Stopped,
            since: out.now,
            reason: "stopped by an operator".to_owned(),
            budget,
            streak,
            checkers,
            incidents,
            unremembered,
            remembered,
            overdue_at: Moment::NEVER,
            missing_at: Moment::NEVER,
            doubt: None,
            ending: false,
            readmission,
            service: Service::before(serves, away),
            probed_every: None,
            serving,
            first_look: false,
            trusted_until: None,
            paced: None,
            in_force: PerChecker::default(),
            pictures: Pieces::default(),
        };
        module.compare(in_force.as_ref());
        module.resume(unfinished, out);
        module.advance(out);
        module
    }

    /// The module's file has changed. Counters, state and verdicts are kept.
    pub(crate) fn redefine(&mut self, policy: Arc<ModulePolicy>, out: &mut Outbox<'_>) {
        let gone: Vec<CheckerName> =
            self.checkers.names().filter(|name| !policy.checkers.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(mut checker) = self.checkers.remove(&name) {
                checker.set_watch(None, &self.name, &name, out);
            }
        }
        let serves = self.is_edited_while_it_serves();
        for (name, new) in &policy.checkers {
            if let Some(mut checker) = self.checkers.get_mut(name) {
                checker.redefine(new.clone(), serves);
                continue;
            }
            let mut checker = Checker::new(new.clone(), out.now);
            checker.begin_probation(serves.then_some(Edit::Added), false);
            if self.state.is_settling() && new.on_down != OnDown::Wait {
                checker.begin_start(true, out);
            }
            self.checkers.insert(name.clone(), checker);
        }
        self.policy = policy;
        self.unremembered = true;
        self.advance(out);
    }

    /// The module's file was removed. The application is left as it is. Returns the state that is needed when the
    /// file comes back.
    pub(crate) fn retire(mut self, out: &mut Outbox<'_>) -> ModuleMemory {
        self.cancel_run(out);
        self.checkers.for_each(|name, checker| checker.set_watch(None, &self.name, name, out));
        self.note_in_force();
        // What was under way is given up with the watching.
        ModuleMemory { unfinished: None, serving: None, away: true, ..self.memory() }
    }
}
