//! A simulated world around one module, in which the test controls the time.

mod daemon;
mod host;
mod observed;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::command::CommandOutcome;
use crate::event::{DesiredState, Event};
use crate::id::{AttemptId, CheckerName, Generation, ModuleName};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::node::Node;
use crate::plan::{Occasion, OnFailure, PlanRequest, Step, StepAction};
use crate::policy::ModulePolicy;
use crate::record::Record;
use crate::snapshot::{ModuleView, Snapshot};
use crate::state::StateName;
use crate::transcript::{Input, Transcript};

pub(super) struct World {
    node: Node,
    now: Moment,
    policy: ModulePolicy,
    memory: ModuleMemory,
    transcript: Transcript,
    lines: Vec<(Moment, Input)>,
    watches: BTreeMap<CheckerName, Generation>,
    asked: Option<(AttemptId, PlanRequest)>,
    step: Option<(AttemptId, usize, StepAction)>,
    kill: Option<AttemptId>,
    /// The processes of a stopped application that have not ended, as the host reports them.
    alive: Option<String>,
    /// The host's check does not return.
    blind: bool,
    answers: Vec<CommandOutcome>,
    records: Vec<Record>,
    last_actions: Vec<Action>,
}

pub(super) fn step(action: StepAction) -> Step {
    Step { action, timeout: Duration::from_secs(10), on_failure: OnFailure::Fail }
}

pub(super) fn keep(command: &str) -> Step {
    step(StepAction::Keep(command.parse().unwrap()))
}

pub(super) fn run(command: &str, on_failure: OnFailure) -> Step {
    let action = StepAction::Run { command: command.parse().unwrap(), arguments: Vec::new() };
    Step { on_failure, ..step(action) }
}

pub(super) fn module() -> ModuleName {
    "web".parse().unwrap()
}

impl World {
    /// What the core was told.
    pub(super) fn lines(&mut self) -> &[(Moment, Input)] {
        if let Some(line) = self.transcript.finish() {
            self.lines.push((self.now, line));
        }
        &self.lines
    }

    /// Whether what is kept up to date step by step is what it would be if it were made anew.
    pub(super) fn is_kept_up(&self) -> bool {
        self.node.is_kept_up()
    }

    pub(super) fn memory(&self) -> &ModuleMemory {
        &self.memory
    }

    pub(super) fn tell(&mut self, event: Event) {
        for line in self.transcript.take(&self.node, &event, self.now) {
            self.lines.push((self.now, line));
        }
        let mut actions = self.node.handle(event, self.now);
        let mut looks = Vec::new();
        for action in &actions {
            match action {
                Action::Watch { checker, generation, .. } => {
                    self.watches.insert(checker.clone(), *generation);
                }
                Action::Unwatch { checker, .. } => {
                    self.watches.remove(checker);
                }
                Action::MakePlan { attempt, request, .. } => {
                    self.asked = Some((*attempt, request.clone()));
                    self.step = None;
                }
                Action::RunStep { attempt, step, action, .. } => {
                    self.step = Some((*attempt, *step, action.clone()));
                }
                Action::CancelStep { .. } => self.step = None,
                Action::KillKept { attempt, .. } => self.kill = Some(*attempt),
                Action::LookStopped { attempt, .. } => looks.push(*attempt),
                Action::Remember { memory, .. } => self.memory = ModuleMemory::clone(memory),
                Action::Record(record) => self.records.push(record.clone()),
                Action::Answer { outcome, .. } => self.answers.push(outcome.clone()),
            }
        }
        // The host checks immediately.
        if self.blind {
            looks.clear();
        }
        for attempt in looks {
            let result =
                self.alive.clone().map_or_else(|| Ok("all has ended".to_owned()), |left| Err(left.into()));
            self.step_ended_as(attempt, 0, result);
            actions.append(&mut self.last_actions);
        }
        self.last_actions = actions;
    }

    /// Lets time pass, waking the core when it wants to be woken.
    pub(super) fn pass_time(&mut self, duration: Duration) {
        let end = self.now + duration;
        let (mut seen, mut turns) = (Vec::new(), 0);
        while let Some(due) = self.node.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.tell(Event::Tick);
            seen.append(&mut self.last_actions);
            turns += 1;
            assert!(turns < 10_000, "the core never comes to rest");
        }
        self.now = end;
        self.tell(Event::Tick);
        seen.append(&mut self.last_actions);
        self.last_actions = seen;
    }

    /// Time passes without a call of the core: the machine was suspended.
    pub(super) fn sleep(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.tell(Event::Tick);
    }

    pub(super) fn now(&self) -> Moment {
        self.now
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.node.next_deadline()
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.node.snapshot()
    }

    pub(super) fn view(&self) -> ModuleView {
        self.snapshot().module("web").expect("the module is there").clone()
    }

    pub(super) fn state(&self) -> StateName {
        self.view().state
    }

    pub(super) fn ready(&self) -> bool {
        self.view().ready
    }

    pub(super) fn desired(&self) -> DesiredState {
        self.memory.desired
    }

    pub(super) fn watched(&self) -> Vec<&CheckerName> {
        self.watches.keys().collect()
    }

    pub(super) fn generation(&self, checker: &str) -> Generation {
        self.watches.get(checker).copied().unwrap_or_else(|| panic!("`{checker}` is not watched"))
    }

    /// The occasion of the plan that is being requested.
    pub(super) fn occasion(&self) -> Option<Occasion> {
        self.asked.as_ref().map(|(_, request)| request.occasion.clone())
    }

    /// The earlier incidents in the request to the script.
    pub(super) fn history(&self) -> Vec<crate::plan::Incident> {
        self.asked.as_ref().map(|(_, request)| request.history.clone()).unwrap_or_default()
    }

    pub(super) fn step_at_work(&self) -> Option<(AttemptId, usize, StepAction)> {
        self.step.clone()
    }

    pub(super) fn killing(&self) -> bool {
        self.kill.is_some()
    }

    pub(super) fn actions(&self) -> &[Action] {
        &self.last_actions
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn told(&self, text: &str) -> bool {
        self.records.iter().any(|record| record.kind.sentence().contains(text))
    }
}
