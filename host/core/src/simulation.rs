//! One module on virtual time: the real core in a world that a scenario describes.
//!
//! ```text
//!   scenario ──▶ world ──events──▶ core      there is no clock: it is as late as
//!                  ▲  ◀──actions──── │       what happens next
//!                  └──── plan ◀── question, answered from outside by the
//!                                 real restart script
//! ```
//! ```text
//!   Rehearsal ── up, or nothing more to wait for ──▶ Play ── the scenario's time is over ──▶ Over
//! ```
//! In the rehearsal the module reaches the initial state of the scenario; its events are not reported. Equal
//! scenarios, seeds and answers give equal reports.
//!
//! While nothing changes, checkers repeat the same results, which have no effect. Such runs are skipped and
//! counted, so that simulating days takes no longer than minutes.

pub mod cast;
pub mod report;
pub mod scenario;

pub mod judging;
mod queue;
mod sight;
mod stage_hands;
mod world;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::action::Action;
use crate::event::{DesiredState, Event};
use crate::id::{AttemptId, CheckerName, CommandName, RequestId};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::node::{Beginning, Node};
use crate::observation::Status;
use crate::plan::{Plan, PlanError, PlanRequest};
use crate::state::StateName;

use cast::Cast;
use queue::{Item, Queue};
use report::{EntryKind, Report, TimelineEntry};
use scenario::{Happening, Scenario, Start, What};
use sight::{ProcessChange, Sights};
use stage_hands::StageHands;
use world::World;

/// The beginning of virtual time (2026-01-01T00:00:00Z): scripts get moments, which have to be the same each time.
const BEGINNING: Moment = Moment::from_micros(1_767_225_600_000_000);
/// A module that is not up after this time will not come up later either.
const REHEARSAL: Duration = Duration::from_secs(600);
/// The simulated duration of a restart script.
const THINKING: Duration = Duration::from_millis(10);
/// The maximum number of events in one simulation.
pub const MAX_TURNS: u64 = 1_000_000;
/// The maximum number of entries of a timeline.
pub const MAX_ENTRIES: usize = 50_000;
/// The user who gives the scenario's commands.
const SOMEBODY: &str = "the scenario";

/// The scenario has more events than the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many events: after {} of the scenario there were {turns} events and {entries} lines already, \
     and a simulation has at most {MAX_TURNS} and {MAX_ENTRIES}",
    crate::moment::plain(*.at)
)]
pub struct TooMuch {
    /// How far it came, from the scenario's beginning.
    pub at: Duration,
    /// The number of events.
    pub turns: u64,
    /// The number of entries of the timeline.
    pub entries: usize,
}

/// A request to the restart script.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    attempt: AttemptId,
    pub request: PlanRequest,
    /// The running kept commands, each with its process.
    pub running: Vec<(CommandName, u32)>,
    /// The time of the request.
    pub at: Moment,
}

/// What the simulation needs to continue.
#[derive(Debug)]
pub enum Turn {
    /// The restart script's answer, to be given with [`Simulation::answer`].
    Ask(Question),
    /// Nothing, because it has ended.
    Over(Box<Report>),
}

/// A simulation in progress.
#[derive(Debug)]
pub struct Simulation {
    cast: Cast,
    scenario: Scenario,
    node: Node,
    now: Moment,
    world: World,
    sights: Sights,
    hands: StageHands,
    queue: Queue,
    questions: VecDeque<Question>,
    /// The beginning of the scenario; `None` in the rehearsal.
    zero: Option<Moment>,
    turns: u64,
    request: RequestId,
    report: Report,
    /// The input of the core, for tests of replay.
    #[cfg(test)]
    pub(crate) transcript: (crate::transcript::Transcript, Vec<crate::replay::Line>),
}

impl Simulation {
    /// Before any event. `seed` is the random seed.
    pub fn new(cast: Cast, scenario: Scenario, seed: u64) -> Self {
        let cast = cast.with_checkers_that_answer();
        let beginning = Beginning { node: cast.node.clone(), last_record: 0, seed, now: BEGINNING };
        let mut simulation = Self {
            node: Node::new(beginning),
            now: BEGINNING,
            world: World::new(&cast, &scenario, BEGINNING),
            sights: Sights::default(),
            hands: StageHands::default(),
            queue: Queue::default(),
            questions: VecDeque::new(),
            zero: None,
            turns: 0,
            request: RequestId::default(),
            report: Report::default(),
            #[cfg(test)]
            transcript: (crate::transcript::Transcript::default(), Vec::new()),
            cast,
            scenario,
        };
        simulation.load();
        simulation
    }

    /// Continues until an answer is needed or it has ended.
    pub fn go_on(&mut self) -> Result<Turn, TooMuch> {
        loop {
            if let Some(question) = self.questions.pop_front() {
                return Ok(Turn::Ask(question));
            }
            self.raise_the_curtain();
            self.sights.leave_out_quiet_runs(&self.cast, self.quiet_until(), &mut self.queue);
            let due = self.node.next_deadline().unwrap_or(Moment::NEVER).max(self.now);
            let next = self.queue.next().unwrap_or(Moment::NEVER);
            let end = self.end();
            if due.min(next) > end {
                if self.zero.is_some() {
                    return Ok(Turn::Over(Box::new(self.close(end))));
                }
                self.now = end;
                continue;
            }
            self.now = due.min(next);
            // An action that takes exactly its time limit is too slow.
            if due <= next {
                self.sights.unsettle();
                self.tell(Event::Tick);
            } else if let Some(item) = self.queue.pop() {
                self.perform(item);
            }
            self.check_amount()?;
        }
    }

    /// Answers a request to the restart script.
    pub fn answer(&mut self, question: &Question, plan: Result<Plan, PlanError>) {
        self.queue.push(self.now + THINKING, Item::Answer { attempt: question.attempt, plan });
    }

    fn load(&mut self) {
        let desired =
            DesiredState { started: self.scenario.start != Start::Stopped, ..DesiredState::default() };
        let (module, policy) = (self.cast.module.clone(), self.cast.policy.clone());
        if self.scenario.start == Start::Boot {
            self.begin_play();
        }
        let memory = Some(Box::new(ModuleMemory::with_desired_state(desired)));
        self.tell(Event::ModuleLoaded { module, policy, memory });
    }

    /// The scenario begins as soon as the module has reached its initial state.
    fn raise_the_curtain(&mut self) {
        if self.zero.is_some() {
            return;
        }
        let (state, ready) = self.picture();
        let over = match self.scenario.start {
            Start::Running => state == StateName::Up && ready,
            Start::Stopped | Start::Boot => true,
        };
        if over || self.now >= BEGINNING + REHEARSAL {
            self.begin_play();
        }
    }

    fn begin_play(&mut self) {
        self.zero = Some(self.now);
        self.report.begin(&self.node.snapshot(), &self.cast.module);
        for (index, happening) in self.scenario.happenings.iter().enumerate() {
            self.queue.push(self.now + happening.at, Item::Happens(index));
        }
    }

    fn end(&self) -> Moment {
        self.zero.map_or(BEGINNING + REHEARSAL, |zero| zero + self.scenario.lasts)
    }

    /// Until then only checkers run.
    fn quiet_until(&self) -> Moment {
        let due = self.node.next_deadline().unwrap_or(Moment::NEVER);
        due.min(self.queue.next_but_runs().unwrap_or(Moment::NEVER)).min(self.end())
    }

    fn check_amount(&self) -> Result<(), TooMuch> {
        let entries = self.report.timeline.len();
        if self.turns < MAX_TURNS && entries < MAX_ENTRIES {
            return Ok(());
        }
        let at = self.now.since(self.zero.unwrap_or(self.now));
        Err(TooMuch { at, turns: self.turns, entries })
    }

    fn perform(&mut self, item: Item) {
        if !matches!(item, Item::Run { .. }) {
            self.sights.unsettle();
        }
        match item {
            Item::Run { checker, serial } => self.run_checker(&checker, serial),
            Item::News { checker, serial } => self.tell_news(&checker, serial),
            Item::Answer { attempt, plan } => {
                self.tell(Event::PlanMade { module: self.cast.module.clone(), attempt, plan });
            }
            Item::StepEnds { attempt, step } => self.end_step(attempt, step),
            Item::ProcessEnds { command, pid, how } => {
                if self.world.end(&command, pid, how) {
                    self.world_has_changed(ProcessChange::Ended);
                }
            }
            Item::BackgroundEnds { pid } => {
                if self.world.end_background(pid) {
                    self.world_has_changed(ProcessChange::Ended);
                }
            }
            Item::Happens(index) => self.happen(index),
            Item::IsOver(index) => self.cease(index),
            Item::Serves => {}
        }
    }

    fn tell(&mut self, event: Event) {
        self.turns += 1;
        #[cfg(test)]
        for input in self.transcript.0.take(&self.node, &event, self.now) {
            self.transcript.1.push(crate::replay::Line { at: self.now, input });
        }
        let actions = self.node.handle(event, self.now);
        for action in actions {
            self.take(action);
        }
        self.look();
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Watch { checker, generation, eager, .. } => {
                let now = self.now;
                self.sights.watch(&self.cast, checker, generation, eager, now, &mut self.queue);
            }
            Action::Unwatch { checker, .. } => self.sights.unwatch(&checker),
            Action::MakePlan { attempt, request, .. } => {
                let pid = |command: CommandName| Some((command.clone(), self.world.pid(&command)?));
                let running = self.world.running().into_iter().filter_map(pid).collect();
                self.questions.push_back(Question { attempt, request, running, at: self.now });
            }
            Action::RunStep { attempt, step, action, timeout, .. } => {
                self.begin_step(attempt, step, action, timeout);
            }
            Action::CancelStep { attempt, step, .. } => self.hands.cancel(attempt, step),
            Action::KillKept { attempt, .. } => self.kill_kept(attempt),
            Action::LookStopped { attempt, within, .. } => self.look_stopped(attempt, within),
            Action::Record(record) => self.note(EntryKind::Record(record.kind)),
            Action::Remember { .. } | Action::Answer { .. } => {}
        }
    }

    fn run_checker(&mut self, checker: &CheckerName, serial: u64) {
        let seen = self.world.observe(&self.cast, checker, self.now);
        let passes = matches!(seen.status, Status::Pass | Status::Warn);
        if self.sights.begin_run(&self.cast, checker, serial, passes, self.now, &mut self.queue) {
            self.observe(checker);
        }
    }

    fn tell_news(&mut self, checker: &CheckerName, serial: u64) {
        let observation = self.world.observe(&self.cast, checker, self.now);
        if self.sights.is_news(checker, serial, &observation) {
            self.observe(checker);
        }
    }

    fn observe(&mut self, checker: &CheckerName) {
        let observation = self.world.observe(&self.cast, checker, self.now);
        let Some(generation) = self.sights.saw(checker, &observation) else { return };
        self.report.summary.runs += 1;
        let (module, checker) = (self.cast.module.clone(), checker.clone());
        self.tell(Event::Observed { module, checker, generation, observation });
    }

    /// Processes have started or ended.
    fn world_has_changed(&mut self, change: ProcessChange) {
        if let Some(at) = self.world.serves_from().filter(|at| *at > self.now) {
            self.queue.push(at, Item::Serves);
        }
        self.sights.unsettle();
        let cast = &self.cast;
        let of_it = |checker: &CheckerName| cast.is_of_application(checker).then_some(change);
        self.sights.wake(cast, self.now, of_it, &mut self.queue);
        self.tell_who_waits();
    }

    fn happen(&mut self, index: usize) {
        let Some(Happening { what, lasts, .. }) = self.scenario.happenings.get(index).cloned() else {
            return;
        };
        if let Some(lasts) = lasts {
            self.queue.push(self.now + lasts, Item::IsOver(index));
        }
        match what {
            What::Says { checker, status, summary } => {
                self.note(EntryKind::Scenario(format!(
                    "checker `{checker}` says {status} from now on: {summary}"
                )));
                self.world.say(&checker, index, status, summary);
                self.wake(&checker);
            }
            What::Ends { command, how } => {
                self.note(EntryKind::Scenario(self.world.sentence_of_end(&command, how, lasts)));
                if lasts.is_some() {
                    self.world.doom(&command, index, how);
                }
                if self.world.strike(&command, how) {
                    self.world_has_changed(ProcessChange::Ended);
                }
            }
            What::Command(command) => {
                self.request = self.request.next();
                let (request, module, by) = (self.request, self.cast.module.clone(), SOMEBODY.to_owned());
                self.tell(Event::Commanded { request, module, command, lasts: None, by, reason: None });
            }
        }
    }

    fn cease(&mut self, index: usize) {
        let Some(Happening { what, .. }) = self.scenario.happenings.get(index).cloned() else { return };
        match what {
            What::Says { checker, .. } => {
                if self.world.hush(&checker, index) {
                    self.note(EntryKind::Scenario(format!("checker `{checker}` has its own result again")));
                    self.wake(&checker);
                }
            }
            What::Ends { command, .. } => {
                if self.world.spare(&command, index) {
                    self.note(EntryKind::Scenario(format!("`{command}` no longer ends when it is started")));
                }
            }
            What::Command(_) => {}
        }
    }

    /// A process checker immediately has another result.
    fn wake(&mut self, checker: &CheckerName) {
        let change = |name: &CheckerName| (name == checker).then_some(ProcessChange::Ended);
        self.sights.wake(&self.cast, self.now, change, &mut self.queue);
    }

    fn picture(&self) -> (StateName, bool) {
        let snapshot = self.node.snapshot();
        let module = snapshot.module(self.cast.module.as_str());
        module.map_or((StateName::Stopped, false), |module| (module.state, module.ready))
    }

    /// Records changes that are visible from outside.
    fn look(&mut self) {
        let Some(zero) = self.zero else { return };
        let snapshot = self.node.snapshot();
        if let Some(module) = snapshot.module(self.cast.module.as_str()) {
            self.report.look(module, self.now.since(zero));
        }
    }

    fn note(&mut self, kind: EntryKind) {
        if let Some(zero) = self.zero {
            self.report.push(TimelineEntry { at: self.now.since(zero), kind });
        }
    }

    fn close(&mut self, end: Moment) -> Report {
        self.now = end;
        let mut report = std::mem::take(&mut self.report);
        report.summary.runs += self.sights.left_out();
        report.close(self.scenario.lasts, &self.scenario.expectations);
        report
    }
}
