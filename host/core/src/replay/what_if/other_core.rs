//! The core with the other policy, and the completions that it waits for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::recording::{Cue, Delay, Recording};
use super::{MAX_TURNS, NEAR, Story, serves};
use crate::action::Action;
use crate::event::Event;
use crate::id::{AttemptId, CheckerName, Generation, ModuleName};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::node::{Checkpoint, Node};
use crate::observation::{Observation, Status};
use crate::plan::{Plan, PlanError, StepError};
use crate::policy::{ModulePolicy, OnDown};

/// Something that the other core waits for.
#[derive(Debug)]
enum Completion {
    Plan(&'static str, AttemptId, Result<Plan, PlanError>),
    Step(String, AttemptId, usize, Result<String, StepError>),
    Delay(AttemptId, usize, Delay),
}

/// A core with the other policy, and what there is to answer it with.
pub(super) struct OtherCore<'s> {
    module: &'s ModuleName,
    policy: Arc<ModulePolicy>,
    recording: &'s Recording,
    node: Option<Node>,
    now: Moment,
    /// The watch of each checker, where it is another than in the recording.
    watches: BTreeMap<CheckerName, Option<Generation>>,
    coming: BTreeMap<(Moment, u64), Completion>,
    memory: Option<Box<ModuleMemory>>,
    planned: BTreeMap<&'static str, usize>,
    carried_out: BTreeMap<String, usize>,
    pub(super) turns: u64,
    pub(super) story: Story,
}

impl<'s> OtherCore<'s> {
    pub(super) fn new(module: &'s ModuleName, mut policy: ModulePolicy, recording: &'s Recording) -> Self {
        // What was said again and again is told only as often as could matter.
        for checker in policy.checkers.values_mut() {
            checker.patience = Duration::MAX;
        }
        Self {
            module,
            policy: Arc::new(policy),
            recording,
            node: None,
            now: Moment::default(),
            watches: BTreeMap::new(),
            coming: BTreeMap::new(),
            memory: None,
            planned: BTreeMap::new(),
            carried_out: BTreeMap::new(),
            turns: 0,
            story: Story::default(),
        }
    }

    pub(super) fn go_on_from(&mut self, checkpoint: Checkpoint) {
        let node = Node::restore(checkpoint);
        let snapshot = node.snapshot();
        self.node = Some(node);
        let at = snapshot.at;
        for other in snapshot.modules.iter().filter(|other| other.name != *self.module) {
            self.tell(at, Event::ModuleRemoved { module: other.name.clone() });
        }
        if snapshot.module(self.module.as_str()).is_some() {
            self.load(at, None);
        }
    }

    fn load(&mut self, at: Moment, memory: Option<Box<ModuleMemory>>) {
        let (module, policy) = (self.module.clone(), Arc::clone(&self.policy));
        let memory = self.memory.clone().or(memory);
        self.tell(at, Event::ModuleLoaded { module, policy, memory });
    }

    pub(super) fn take(&mut self, at: Moment, cue: &Cue) {
        match cue {
            Cue::Began(beginning) => {
                self.node = Some(Node::new(beginning.clone()));
                self.watches.clear();
                self.coming.clear();
            }
            Cue::Told(Event::ModuleLoaded { memory, .. }) => self.load(at, memory.clone()),
            Cue::Seen(checker, generation, observation, serving) => {
                self.see(at, checker, *generation, observation, *serving);
            }
            Cue::Told(event) => self.tell(at, event.clone()),
            Cue::Planned(occasion) => {
                self.complete_now(
                    at,
                    |completion| matches!(completion, Completion::Plan(own, ..) if own == occasion),
                );
            }
            Cue::Ended(action) => {
                self.complete_now(
                    at,
                    |completion| matches!(completion, Completion::Step(own, ..) if own == action),
                );
            }
        }
    }

    fn see(
        &mut self,
        at: Moment,
        checker: &CheckerName,
        generation: Generation,
        observation: &Observation,
        serving: bool,
    ) {
        let Some(generation) = self.watches.get(checker).copied().unwrap_or(Some(generation)) else { return };
        // What failed while it was being restarted is nothing to a core that would not have done that.
        let own = self.policy.checkers.get(checker).is_some_and(|checker| checker.on_down != OnDown::Wait);
        let failed = matches!(observation.status, Status::Fail | Status::Unknown);
        if own && failed && !serving && self.node.as_ref().is_some_and(|node| serves(node, self.module)) {
            return;
        }
        let (module, checker) = (self.module.clone(), checker.clone());
        self.tell(at, Event::Observed { module, checker, generation, observation: observation.clone() });
    }

    /// While both do the same, what ends at the same time ends in the same order.
    fn complete_now(&mut self, at: Moment, is_it: impl Fn(&Completion) -> bool) {
        let near = |due: Moment| due.since(at).max(at.since(due)) <= NEAR;
        let found = self.coming.iter().find(|((due, _), completion)| near(*due) && is_it(completion));
        let Some(key) = found.map(|(key, _)| *key) else { return };
        if let Some(completion) = self.coming.remove(&key) {
            self.deliver(at, completion);
        }
    }

    fn deliver(&mut self, at: Moment, completion: Completion) {
        let module = self.module.clone();
        let event = match completion {
            Completion::Plan(_, attempt, plan) => Event::PlanMade { module, attempt, plan },
            Completion::Step(_, attempt, step, result) => Event::StepEnded { module, attempt, step, result },
            Completion::Delay(attempt, step, (reason, within)) => {
                Event::StepDelayed { module, attempt, step, reason, within }
            }
        };
        self.tell(at, event);
    }

    /// Whatever happens by itself until then, and is so much overdue.
    pub(super) fn run_until(&mut self, until: Moment, slack: Duration) {
        while self.turns < MAX_TURNS {
            let due = self.node.as_ref().and_then(Node::next_deadline).unwrap_or(Moment::NEVER).max(self.now);
            let next = self.coming.keys().next().map_or(Moment::NEVER, |(at, _)| *at);
            if due.min(next) + slack >= until {
                return;
            }
            if due <= next {
                self.tell(due, Event::Tick);
            } else if let Some(((at, _), completion)) = self.coming.pop_first() {
                self.deliver(at, completion);
            }
        }
    }

    fn tell(&mut self, at: Moment, event: Event) {
        self.turns += 1;
        self.now = self.now.max(at);
        let Some(node) = &mut self.node else { return };
        let actions = node.handle(event, self.now);
        self.story.take(self.module, &actions);
        self.story.look(node, self.module, self.now);
        for action in actions {
            self.follow(action);
        }
    }

    fn follow(&mut self, action: Action) {
        match action {
            Action::Watch { checker, generation, .. } => {
                self.watches.insert(checker, Some(generation));
            }
            Action::Unwatch { checker, .. } => {
                self.watches.insert(checker, None);
            }
            Action::MakePlan { attempt, request, .. } => {
                let occasion = request.occasion.word();
                let time = self.planned.entry(occasion).or_default();
                let (plan, took) = self.recording.plan(occasion, *time);
                *time += 1;
                self.complete(took, Completion::Plan(occasion, attempt, plan));
            }
            Action::RunStep { attempt, step, action, .. } => {
                let action = action.to_string();
                let time = self.carried_out.entry(action.clone()).or_default();
                let (result, took, delay) = self.recording.step(&action, *time);
                *time += 1;
                if let Some(delay) = delay {
                    self.complete(Duration::ZERO, Completion::Delay(attempt, step, delay));
                }
                self.complete(took, Completion::Step(action, attempt, step, result));
            }
            Action::KillKept { attempt, .. } => {
                let result = Ok("taken to work".to_owned());
                self.complete(Duration::ZERO, Completion::Step(String::new(), attempt, 0, result));
            }
            Action::LookStopped { attempt, .. } => {
                let result = Ok("taken to have ended".to_owned());
                self.complete(Duration::ZERO, Completion::Step(String::new(), attempt, 0, result));
            }
            Action::Remember { memory, .. } => self.memory = Some(memory),
            Action::CancelStep { .. } | Action::Record(_) | Action::Answer { .. } => {}
        }
    }

    fn complete(&mut self, took: Duration, completion: Completion) {
        self.turns += 1;
        self.coming.insert((self.now + took, self.turns), completion);
    }
}
