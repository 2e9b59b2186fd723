//! The module that a test begins with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{World, module};
use crate::event::Event;
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::node::{Beginning, Node};
use crate::policy::{
    BackoffPolicy, BudgetPolicy, CheckerKind, CheckerPolicy, CommandPolicy, ModulePolicy, OnDown, Thresholds,
};
use crate::state::StateName;
use crate::transcript::{Input, Transcript};

impl World {
    pub(in crate::module::tests) fn new() -> Self {
        let now = Moment::from_micros(1_000_000_000);
        let node = "node-1".parse().unwrap();
        let policy = ModulePolicy {
            checkers: BTreeMap::new(),
            commands: BTreeMap::from([(
                "start".parse().unwrap(),
                CommandPolicy { keep: true, timeout: Duration::from_secs(10) },
            )]),
            budget: BudgetPolicy { restarts: 3, within: Duration::from_secs(3600) },
            backoff: BackoffPolicy { first: Duration::from_secs(1), max: Duration::from_secs(60) },
            drain: Duration::from_secs(15).into(),
            degrade: false,
            start_within: Duration::from_secs(60),
            appear_within: None,
            keep_trying: Duration::ZERO,
            plan_within: Duration::from_secs(5),
        };
        let beginning = Beginning { node, last_record: 0, seed: 7, now };
        Self {
            node: Node::new(beginning.clone()),
            transcript: Transcript::default(),
            lines: vec![(now, Input::Began(beginning))],
            now,
            policy,
            memory: ModuleMemory::default(),
            watches: BTreeMap::new(),
            asked: None,
            step: None,
            kill: None,
            alive: None,
            blind: false,
            answers: Vec::new(),
            records: Vec::new(),
            last_actions: Vec::new(),
        }
    }

    fn checker(mut self, name: &str, kind: CheckerKind, on_down: OnDown, grace: u64) -> Self {
        let thresholds = Thresholds { grace: Duration::from_secs(grace), ..Thresholds::default() };
        let policy = CheckerPolicy {
            kind,
            thresholds,
            on_down,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            patience: Duration::MAX,
            kept: kind == CheckerKind::Process,
            definition: 1,
        };
        self.policy.checkers.insert(name.parse().unwrap(), policy);
        self
    }

    pub(in crate::module::tests) fn process(self, name: &str) -> Self {
        self.checker(name, CheckerKind::Process, OnDown::Restart, 0)
    }

    /// Of processes that are found by what they are.
    pub(in crate::module::tests) fn found(mut self, name: &str) -> Self {
        self = self.process(name);
        self.redefined(name, |checker| checker.kept = false)
    }

    /// Its only command ends by itself.
    pub(in crate::module::tests) fn keeps_nothing(&mut self) {
        for command in self.policy.commands.values_mut() {
            command.keep = false;
        }
    }

    fn redefined(mut self, name: &str, change: impl FnOnce(&mut CheckerPolicy)) -> Self {
        change(self.policy.checkers.get_mut(name).unwrap());
        self
    }

    pub(in crate::module::tests) fn component(self, name: &str, on_down: OnDown) -> Self {
        self.checker(name, CheckerKind::Component, on_down, 0)
    }

    /// Its fails do not count for longer than a start may take.
    pub(in crate::module::tests) fn slow_component(self, name: &str, on_down: OnDown) -> Self {
        self.checker(name, CheckerKind::Component, on_down, 600)
    }

    pub(in crate::module::tests) fn wanted_started(mut self, started: bool) -> Self {
        self.memory.desired.started = started;
        self
    }

    pub(in crate::module::tests) fn suspended(mut self) -> Self {
        self.memory.desired.suspended = true;
        self
    }

    pub(in crate::module::tests) fn remembering(mut self, memory: ModuleMemory) -> Self {
        self.memory = memory;
        self
    }

    pub(in crate::module::tests) fn load(mut self) -> Self {
        let policy = Arc::new(self.policy.clone());
        let memory = Some(Box::new(self.memory.clone()));
        self.tell(Event::ModuleLoaded { module: module(), policy, memory });
        self
    }

    /// Loaded, found running, and up.
    pub(in crate::module::tests) fn load_up(self) -> Self {
        let mut world = self.load();
        world.all_pass();
        world.all_pass();
        assert_eq!((world.state(), world.ready()), (StateName::Up, true));
        // What ends at once was not up.
        world.pass_time(Duration::from_secs(1));
        world
    }

    /// A process checker `app` and a component checker `page`, both up.
    pub(in crate::module::tests) fn up() -> Self {
        Self::new().process("app").component("page", OnDown::Restart).load_up()
    }

    pub(in crate::module::tests) fn draining_for(mut self, drain: Duration) -> Self {
        self.redefine(|policy| policy.drain = drain.into());
        self
    }
}
