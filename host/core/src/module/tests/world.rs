//! A simulated world around one module, in which the test controls the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::command::{Command, CommandOutcome, Order};
use crate::event::{Event, Wish};
use crate::id::{AttemptId, CheckerName, Generation, ModuleName, RequestId};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::node::{Beginning, Node};
use crate::observation::{Measurement, Observation, ProcessFact, Status};
use crate::plan::{Occasion, OnFailure, Plan, PlanRequest, Step, StepAction, StepError};
use crate::policy::{
    BackoffPolicy, BudgetPolicy, CheckerKind, CheckerPolicy, CommandPolicy, ModulePolicy, OnDown, Thresholds,
};
use crate::record::{Record, RecordKind};
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
    pub(super) fn new() -> Self {
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

    pub(super) fn process(self, name: &str) -> Self {
        self.checker(name, CheckerKind::Process, OnDown::Restart, 0)
    }

    /// With processes that are found by their properties.
    pub(super) fn found(mut self, name: &str) -> Self {
        self = self.process(name);
        self.redefined(name, |checker| checker.kept = false)
    }

    /// Its only command runs to completion.
    pub(super) fn keeps_nothing(&mut self) {
        for command in self.policy.commands.values_mut() {
            command.keep = false;
        }
    }

    fn redefined(mut self, name: &str, change: impl FnOnce(&mut CheckerPolicy)) -> Self {
        change(self.policy.checkers.get_mut(name).unwrap());
        self
    }

    pub(super) fn component(self, name: &str, on_down: OnDown) -> Self {
        self.checker(name, CheckerKind::Component, on_down, 0)
    }

    /// Its failures do not count for longer than a start may take.
    pub(super) fn slow_component(self, name: &str, on_down: OnDown) -> Self {
        self.checker(name, CheckerKind::Component, on_down, 600)
    }

    pub(super) fn wishing(mut self, started: bool) -> Self {
        self.memory.wish.started = started;
        self
    }

    pub(super) fn suspended(mut self) -> Self {
        self.memory.wish.suspended = true;
        self
    }

    /// The shell passes the default desired state with the next load.
    pub(super) fn forget_all(&mut self) {
        self.memory = ModuleMemory::default();
    }

    pub(super) fn remembering(mut self, memory: ModuleMemory) -> Self {
        self.memory = memory;
        self
    }

    pub(super) fn load(mut self) -> Self {
        let policy = Arc::new(self.policy.clone());
        let memory = Some(Box::new(self.memory.clone()));
        self.tell(Event::ModuleLoaded { module: module(), policy, memory });
        self
    }

    /// Loaded, found running, and up.
    pub(super) fn load_up(self) -> Self {
        let mut world = self.load();
        world.all_pass();
        world.all_pass();
        assert_eq!((world.state(), world.ready()), (StateName::Up, true));
        // An application that ends immediately was not up.
        world.pass_time(Duration::from_secs(1));
        world
    }

    /// A process checker `app` and a component checker `page`, both up.
    pub(super) fn up() -> Self {
        Self::new().process("app").component("page", OnDown::Restart).load_up()
    }

    pub(super) fn draining_for(mut self, drain: Duration) -> Self {
        self.redefine(|policy| policy.drain = drain.into());
        self
    }

    pub(super) fn redefine(&mut self, change: impl FnOnce(&mut ModulePolicy)) {
        change(&mut self.policy);
        let policy = Arc::new(self.policy.clone());
        let memory = Some(Box::new(self.memory.clone()));
        self.tell(Event::ModuleLoaded { module: module(), policy, memory });
    }

    /// The daemon is killed, and the next one continues with the last stored state.
    pub(super) fn kill_daemon(&mut self) {
        self.stop_daemon();
        self.redefine(|_| ());
    }

    /// The daemon shuts down. The next one starts with the next file.
    pub(super) fn stop_daemon(&mut self) {
        if let Some(line) = self.transcript.finish() {
            self.lines.push((self.now, line));
        }
        let last_record = self.records.last().map_or(0, |record| record.seq);
        let node = "node-1".parse().unwrap();
        let beginning = Beginning { node, last_record, seed: 11, now: self.now };
        self.lines.push((self.now, Input::Began(beginning.clone())));
        self.node = Node::new(beginning);
        (self.watches, self.asked, self.step, self.kill) = (BTreeMap::new(), None, None, None);
        self.tell(Event::Noted { module: None, kind: RecordKind::Daemon { message: "begun".to_owned() } });
    }

    /// The same, and its file has changed by then.
    pub(super) fn kill_daemon_with(&mut self, change: impl FnOnce(Self) -> Self) {
        let taken = std::mem::replace(self, Self::new());
        *self = change(taken);
        self.kill_daemon();
    }

    /// The next daemon starts long after the last one ended.
    pub(super) fn watched_since_now(&mut self) {
        self.memory = self.memory.clone().watched_since(self.now);
    }

    /// The machine is rebooted.
    pub(super) fn reboot(&mut self) {
        self.memory = self.memory.clone().after_reboot();
        self.kill_daemon();
    }

    /// The input of the core.
    pub(super) fn lines(&mut self) -> &[(Moment, Input)] {
        if let Some(line) = self.transcript.finish() {
            self.lines.push((self.now, line));
        }
        &self.lines
    }

    pub(super) fn memory(&self) -> &ModuleMemory {
        &self.memory
    }

    pub(super) fn remove(&mut self) {
        self.tell(Event::ModuleRemoved { module: module() });
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

    /// From now on a check after a stop finds that this still runs, or nothing.
    pub(super) fn lives_on(&mut self, what: Option<&str>) {
        self.alive = what.map(str::to_owned);
        self.blind = false;
    }

    /// A check after a stop does not return.
    pub(super) fn host_is_blind(&mut self) {
        self.blind = true;
    }

    pub(super) fn see(&mut self, checker: &str, status: Status) {
        let generation = self.generation(checker);
        self.see_as(checker, generation, status);
    }

    pub(super) fn see_as(&mut self, checker: &str, generation: Generation, status: Status) {
        let observation = Observation::new(status, format!("{checker} says {status}"), self.now);
        let checker = checker.parse().unwrap();
        self.tell(Event::Observed { module: module(), checker, generation, observation });
    }

    /// The kept process has ended.
    pub(super) fn see_end(&mut self, checker: &str) {
        let seen = Observation::new(Status::Fail, format!("{checker} exited with 1"), self.now).of_an_end();
        self.see_this(checker, seen);
    }

    /// A process with this id and age.
    pub(super) fn see_process(&mut self, checker: &str, pid: u32, uptime: Duration) {
        let measured =
            Measurement { name: "uptime".into(), value: uptime.as_secs_f64(), unit: "s".to_owned() };
        let observation = Observation {
            measurements: vec![measured],
            processes: vec![ProcessFact { pid, name: checker.to_owned() }],
            ..Observation::new(Status::Pass, "1 process runs".to_owned(), self.now)
        };
        self.see_this(checker, observation);
    }

    fn see_this(&mut self, checker: &str, observation: Observation) {
        let (generation, checker) = (self.generation(checker), checker.parse().unwrap());
        self.tell(Event::Observed { module: module(), checker, generation, observation });
    }

    /// A fail with the progress of the start.
    pub(super) fn see_progress(&mut self, checker: &str, value: f64) {
        let measured = Measurement { name: "progress".into(), value, unit: String::new() };
        let summary = format!("{checker} says fail");
        let observation =
            Observation { measurements: vec![measured], ..Observation::new(Status::Fail, summary, self.now) };
        let (generation, checker) = (self.generation(checker), checker.parse().unwrap());
        self.tell(Event::Observed { module: module(), checker, generation, observation });
    }

    /// Every checker that is being run passes.
    pub(super) fn all_pass(&mut self) {
        for (checker, generation) in self.watches.clone() {
            self.see_as(checker.as_str(), generation, Status::Pass);
        }
    }

    pub(super) fn plan(&mut self, steps: Vec<Step>) {
        let (attempt, _) = self.asked.take().expect("a plan was asked for");
        let plan = Ok(Plan { summary: "a plan".to_owned(), steps });
        self.tell(Event::PlanMade { module: module(), attempt, plan });
    }

    pub(super) fn no_plan(&mut self, reason: &str) {
        let (attempt, _) = self.asked.take().expect("a plan was asked for");
        self.tell(Event::PlanMade { module: module(), attempt, plan: Err(reason.to_owned().into()) });
    }

    pub(super) fn step_ok(&mut self) {
        self.end_step(Ok("done".to_owned()));
    }

    pub(super) fn step_failed(&mut self, reason: &str) {
        self.end_step(Err(reason.to_owned().into()));
    }

    fn end_step(&mut self, result: Result<String, StepError>) {
        let (attempt, step) = match self.kill.take() {
            Some(attempt) => (attempt, 0),
            None => match self.step.take() {
                Some((attempt, step, _)) => (attempt, step),
                None => panic!("no step is at work in {}", self.state()),
            },
        };
        self.step_ended_as(attempt, step, result);
    }

    pub(super) fn step_ended_as(
        &mut self,
        attempt: AttemptId,
        step: usize,
        result: Result<String, StepError>,
    ) {
        self.tell(Event::StepEnded { module: module(), attempt, step, result });
    }

    pub(super) fn command(&mut self, command: Command) -> CommandOutcome {
        self.command_for(command, None)
    }

    pub(super) fn command_for(&mut self, command: Command, lasts: Option<Duration>) -> CommandOutcome {
        self.command_as(Order { command, lasts, reason: None })
    }

    pub(super) fn command_as(&mut self, order: Order) -> CommandOutcome {
        self.answers.clear();
        let (Order { command, lasts, reason }, by) = (order, "somebody".to_owned());
        self.tell(Event::Commanded { request: RequestId(1), module: module(), command, lasts, by, reason });
        assert_eq!(self.answers.len(), 1, "every command gets one answer");
        self.answers[0].clone()
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

    /// Every plan is carried out, every checker passes, until `done`.
    pub(super) fn serve_plans_until(&mut self, done: impl Fn(&Self) -> bool) {
        for _ in 0..200 {
            if done(self) {
                return;
            }
            if self.asked.is_some() {
                let stop = matches!(self.occasion(), Some(Occasion::Stop | Occasion::ForcedStop(_)));
                self.plan(if stop { Vec::new() } else { vec![keep("start")] });
            } else if self.step.is_some() || self.kill.is_some() {
                self.step_ok();
            } else if self.state() == StateName::Backoff {
                let due = self.node.next_deadline().expect("a next try");
                self.pass_time(due.since(self.now));
            } else {
                self.all_pass();
            }
        }
        panic!("still {} after 200 events: {}", self.state(), self.view().reason);
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

    pub(super) fn wish(&self) -> Wish {
        self.memory.wish
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
