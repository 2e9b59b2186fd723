//! What would have been different with another policy.
//!
//! ```text
//!   the recording ──observations, commands──▶ a core with the other policy
//!        │                                       │ plans, steps: answered as
//!        │                                       ▼ they were then
//!        └──records──▶ set against each other ◀──records
//! ```
//! After the first difference it is an estimate: the application would have
//! behaved otherwise, and what checkers would have seen then nobody knows. Until
//! then it is exact but for chance (the jitter of the backoff).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::event::Event;
use crate::id::{AttemptId, CheckerName, Generation, ModuleName};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::node::{Beginning, Checkpoint, Node};
use crate::observation::{Observation, Status};
use crate::plan::{Plan, PlanError, StepError};
use crate::policy::{ModulePolicy, OnDown};
use crate::record::{Record, RecordKind};
use crate::state::StateName;
use crate::transcript::{Input, Repetition};

use super::{Line, Replay, gist};

/// More repetitions of an observation than any threshold counts.
const REPETITIONS: u64 = 120;
/// The core is told at most so much.
const MAX_TURNS: u64 = 2_000_000;
/// How long a restart script seems to think where nothing is recorded.
const THINKING: Duration = Duration::from_millis(10);
/// Timers and processes are late now and then: what the recording has as late as this is awaited, so
/// that things happen in the order in which they did.
const SLACK: Duration = Duration::from_millis(500);
/// Records that are as near as this to each other are at the same time.
const NEAR: Duration = Duration::from_secs(1);
/// Of a longer story only the beginning is set against the other.
const MAX_COMPARED: usize = 2000;

/// How it was, and how it would have been.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// How it was.
    pub was: Story,
    /// How it would have been.
    pub would: Story,
    /// The two, in the order of time.
    pub lines: Vec<Change>,
    /// Checkers that the recording knows nothing of: they say nothing.
    pub silent: Vec<CheckerName>,
    /// There was too much to come to the end.
    pub broken_off: bool,
}

impl WhatIf {
    /// When it begins to differ, if it does.
    pub fn differs_at(&self) -> Option<Moment> {
        self.lines.iter().find_map(|line| match line {
            Change::Same(_) => None,
            Change::Was(record) | Change::Would(record) => Some(record.at),
        })
    }
}

/// What became of the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    /// What was written.
    pub records: Vec<Record>,
    /// Automatic restarts.
    pub restarts: u32,
    /// How long the load balancer was told no.
    pub not_ready: Duration,
    /// Since when it is as it is, and whether it is ready.
    seen: Option<(Moment, bool)>,
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is in both.
    Same(Record),
    /// It was so, and would not have been.
    Was(Record),
    /// It would have been so.
    Would(Record),
}

/// A recording, and what it is played with.
#[derive(Debug)]
pub struct Question<'q> {
    /// Which module.
    pub module: &'q ModuleName,
    /// What its file says instead.
    pub policy: ModulePolicy,
    /// The core as it was at the beginning; else the lines begin with a beginning.
    pub checkpoint: Option<Checkpoint>,
    /// What the core was told.
    pub lines: &'q [Line],
}

/// Plays a recording with another policy.
pub fn what_if(question: Question<'_>) -> WhatIf {
    let Question { module, policy, checkpoint, lines } = question;
    let recording = Recording::new(module, checkpoint.clone(), lines);
    let silent =
        policy.checkers.keys().filter(|name| !recording.heard.contains_key(*name)).cloned().collect();
    let end = lines.last().map_or(Moment::default(), |line| line.at);
    let mut stage = Stage::new(module, policy, &recording);
    if let Some(checkpoint) = checkpoint {
        stage.go_on_from(checkpoint);
    }
    for (at, cue) in &recording.cues {
        stage.run_until(*at, SLACK);
        stage.take(*at, cue);
    }
    stage.run_until(end, Duration::ZERO);
    stage.story.close(end);
    let lines = align(&recording.story.records, &stage.story.records);
    WhatIf { silent, broken_off: stage.turns >= MAX_TURNS, lines, would: stage.story, was: recording.story }
}

impl Story {
    fn take(&mut self, module: &ModuleName, actions: &[Action]) {
        for action in actions {
            let Action::Record(record) = action else { continue };
            if record.module.as_ref() != Some(module) {
                continue;
            }
            if let RecordKind::Decision { decision, .. } = &record.kind
                && decision.starts_with("restart")
            {
                self.restarts += 1;
            }
            self.records.push(record.clone());
        }
    }

    fn look(&mut self, node: &Node, module: &ModuleName, at: Moment) {
        let ready = node.snapshot().module(module.as_str()).is_some_and(|module| module.ready);
        match self.seen {
            Some((_, was)) if was == ready => {}
            Some(_) | None => {
                self.close(at);
                self.seen = Some((at, ready));
            }
        }
    }

    fn close(&mut self, at: Moment) {
        if let Some((since, ready)) = &mut self.seen {
            if !*ready {
                self.not_ready += at.since(*since);
            }
            *since = at;
        }
    }
}

/// What is told to the other core, too.
#[derive(Debug)]
enum Cue {
    Began(Beginning),
    Told(Event),
    /// A run of a checker, and whether the application was meant to serve then.
    Seen(CheckerName, Generation, Observation, bool),
    /// The restart script answered on this occasion.
    Planned(&'static str),
    /// This step ended.
    Ended(String),
}

type Answer = (Result<Plan, PlanError>, Duration);
type Ended = (Result<String, StepError>, Duration, Option<Delay>);

/// What a step waited for at its beginning, and for how long at most.
type Delay = (String, Duration);

/// What there is to play with.
struct Recording {
    cues: Vec<(Moment, Cue)>,
    plans: BTreeMap<&'static str, Vec<Answer>>,
    steps: BTreeMap<String, Vec<Ended>>,
    /// What each checker said last.
    heard: BTreeMap<CheckerName, (Moment, Generation, Arc<Observation>)>,
    /// The last watch of each checker.
    watched: BTreeMap<CheckerName, Generation>,
    story: Story,
    /// Whether the application is meant to serve.
    serving: bool,
    asked: BTreeMap<AttemptId, (&'static str, Moment)>,
    at_work: BTreeMap<(AttemptId, usize), (String, Moment)>,
    delays: BTreeMap<(AttemptId, usize), Delay>,
}

impl Recording {
    fn new(module: &ModuleName, checkpoint: Option<Checkpoint>, lines: &[Line]) -> Self {
        let mut replay = Replay::new(checkpoint);
        let mut recording = Self {
            cues: Vec::new(),
            plans: BTreeMap::new(),
            steps: BTreeMap::new(),
            heard: BTreeMap::new(),
            watched: BTreeMap::new(),
            story: Story::default(),
            serving: false,
            asked: BTreeMap::new(),
            at_work: BTreeMap::new(),
            delays: BTreeMap::new(),
        };
        if let Some(view) = replay.node().map(Node::snapshot) {
            for checker in view.module(module.as_str()).iter().flat_map(|module| &module.checkers) {
                if let Some(last) = &checker.last {
                    let heard = (last.at, Generation::default(), Arc::clone(last));
                    recording.heard.insert(checker.name.clone(), heard);
                }
            }
        }
        recording.serving = replay.node().is_some_and(|node| serves(node, module));
        for line in lines {
            recording.take(module, line);
            let actions = replay.tell(line);
            recording.serving = replay.node().is_some_and(|node| serves(node, module));
            recording.note(module, &actions, line.at);
            if let Some(node) = replay.node() {
                recording.story.look(node, module, line.at);
            }
        }
        recording.story.close(lines.last().map_or(Moment::default(), |line| line.at));
        recording
    }

    fn take(&mut self, module: &ModuleName, line: &Line) {
        match &line.input {
            Input::Began(beginning) => self.cues.push((line.at, Cue::Began(beginning.clone()))),
            Input::Repeated(repetitions) => {
                let own = repetitions.iter().filter(|repetition| repetition.module == *module);
                let mut said: Vec<(Moment, Cue)> =
                    own.flat_map(|repetition| self.said_again(repetition)).collect();
                said.sort_by_key(|(at, _)| *at);
                self.cues.extend(said);
            }
            Input::Told(event) => self.take_event(module, event, line.at),
        }
    }

    fn take_event(&mut self, module: &ModuleName, event: &Event, at: Moment) {
        match event {
            Event::PlanMade { attempt, plan, .. } => {
                if let Some((occasion, asked)) = self.asked.remove(attempt) {
                    self.cues.push((at, Cue::Planned(occasion)));
                    self.plans.entry(occasion).or_default().push((plan.clone(), at.since(asked)));
                }
            }
            Event::StepEnded { attempt, step, result, .. } => {
                let delay = self.delays.remove(&(*attempt, *step));
                if let Some((action, begun)) = self.at_work.remove(&(*attempt, *step)) {
                    self.cues.push((at, Cue::Ended(action.clone())));
                    self.steps.entry(action).or_default().push((result.clone(), at.since(begun), delay));
                }
            }
            Event::StepDelayed { attempt, step, reason, within, .. } => {
                if self.at_work.contains_key(&(*attempt, *step)) {
                    self.delays.insert((*attempt, *step), (reason.clone(), *within));
                }
            }
            // Of a watch that had ended: the core did not count it.
            Event::Observed { module: of, checker, generation, .. }
                if of == module && self.watched.get(checker).is_some_and(|watched| watched != generation) => {
            }
            Event::Observed { module: of, checker, generation, observation } if of == module => {
                let heard = (at, *generation, Arc::new(observation.clone()));
                self.heard.insert(checker.clone(), heard);
                let seen = Cue::Seen(checker.clone(), *generation, observation.clone(), self.serving);
                self.cues.push((at, seen));
            }
            Event::Ending(_) | Event::Tick => self.cues.push((at, Cue::Told(event.clone()))),
            Event::ModuleLoaded { module: of, .. }
            | Event::ModuleRemoved { module: of }
            | Event::Commanded { module: of, .. }
            | Event::Probed { module: of, .. }
                if of == module =>
            {
                self.cues.push((at, Cue::Told(event.clone())));
            }
            Event::ModuleLoaded { .. }
            | Event::ModuleRemoved { .. }
            | Event::Observed { .. }
            | Event::Commanded { .. }
            | Event::Starved { .. }
            | Event::Noted { .. }
            | Event::Probed { .. } => {}
        }
    }

    /// The last words of a checker once more, as often as could matter: another policy may
    /// still have counted them.
    fn said_again(&mut self, repetition: &Repetition) -> Vec<(Moment, Cue)> {
        let Repetition { checker, times, last, .. } = repetition;
        let serving = self.serving;
        let Some((from, generation, observation)) = self.heard.get_mut(checker) else { return Vec::new() };
        let length = last.since(*from);
        let times = u32::try_from(*times).unwrap_or(u32::MAX).max(1);
        let pace = length / times;
        let (begun, generation) = (*from, *generation);
        *from = *last;
        let again = |n: u32| {
            let at = begun + pace.saturating_mul(n);
            let observation = Observation { at, ..Observation::clone(observation) };
            (at, Cue::Seen(checker.clone(), generation, observation, serving))
        };
        let counted = u32::try_from(REPETITIONS).unwrap_or(u32::MAX);
        (1..=times).filter(|n| *n <= counted || *n == times).map(again).collect()
    }

    fn note(&mut self, module: &ModuleName, actions: &[Action], at: Moment) {
        self.story.take(module, actions);
        for action in actions {
            match action {
                Action::MakePlan { module: of, attempt, request, .. } if of == module => {
                    self.asked.insert(*attempt, (request.occasion.word(), at));
                }
                Action::Watch { module: of, checker, generation, .. } if of == module => {
                    self.watched.insert(checker.clone(), *generation);
                }
                Action::RunStep { module: of, attempt, step, action, .. } if of == module => {
                    self.at_work.insert((*attempt, *step), (action.to_string(), at));
                }
                _ => {}
            }
        }
    }

    /// What was answered on this occasion the last time before now, or else the first time.
    fn plan(&self, occasion: &'static str, time: usize) -> Answer {
        let like = match occasion {
            "incident" => "restart",
            "restart" => "incident",
            other => other,
        };
        let answers = self.plans.get(occasion).or_else(|| self.plans.get(like));
        let answer = answers.and_then(|answers| answers.get(time).or(answers.last())).cloned();
        let nothing = || Plan { summary: format!("no plan for {occasion} is recorded"), steps: Vec::new() };
        answer.unwrap_or_else(|| (Ok(nothing()), THINKING))
    }

    fn step(&self, action: &str, time: usize) -> Ended {
        let ended = self.steps.get(action).and_then(|ended| ended.get(time).or(ended.last())).cloned();
        ended.unwrap_or_else(|| {
            (Ok("taken to work: none like it is recorded".to_owned()), Duration::ZERO, None)
        })
    }
}

/// Whether the application is meant to serve, and nothing is being done about it.
fn serves(node: &Node, module: &ModuleName) -> bool {
    let snapshot = node.snapshot();
    let state = snapshot.module(module.as_str()).map(|module| module.state);
    matches!(state, Some(StateName::Up | StateName::Draining))
}

/// Something that the other core waits for.
#[derive(Debug)]
enum Completion {
    Plan(&'static str, AttemptId, Result<Plan, PlanError>),
    Step(String, AttemptId, usize, Result<String, StepError>),
    Delay(AttemptId, usize, Delay),
}

/// The other core.
struct Stage<'s> {
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
    turns: u64,
    story: Story,
}

impl<'s> Stage<'s> {
    fn new(module: &'s ModuleName, mut policy: ModulePolicy, recording: &'s Recording) -> Self {
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

    fn go_on_from(&mut self, checkpoint: Checkpoint) {
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

    fn take(&mut self, at: Moment, cue: &Cue) {
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
    fn run_until(&mut self, until: Moment, slack: Duration) {
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

/// Equal records at about the same time are the same; chance is not compared.
fn matches(was: &Record, would: &Record) -> bool {
    let apart = was.at.since(would.at).max(would.at.since(was.at));
    let word = |kind: &RecordKind| match kind {
        RecordKind::Decision { decision, .. } => decision.split(' ').next().unwrap_or_default().to_owned(),
        other => gist(other),
    };
    apart <= NEAR && word(&was.kind) == word(&would.kind)
}

/// The longest common story, and what is only in one of the two.
fn align(was: &[Record], would: &[Record]) -> Vec<Change> {
    let told = |record: &&Record| {
        matches!(
            record.kind,
            RecordKind::Verdict { .. }
                | RecordKind::Incident { .. }
                | RecordKind::CannotTell { .. }
                | RecordKind::Decision { .. }
                | RecordKind::State { .. }
                | RecordKind::Plan { .. }
                | RecordKind::NoPlan { .. }
                | RecordKind::Step { .. }
                | RecordKind::Command { .. }
        )
    };
    let (mut was, mut would): (Vec<&Record>, Vec<&Record>) =
        (was.iter().filter(told).collect(), would.iter().filter(told).collect());
    let same = was.iter().zip(&would).take_while(|(was, would)| matches(was, would)).count();
    let mut lines: Vec<Change> = was.drain(..same).map(|record| Change::Same(record.clone())).collect();
    would.drain(..same);
    was.truncate(MAX_COMPARED);
    would.truncate(MAX_COMPARED);
    lines.extend(align_rest(&was, &would));
    lines
}

fn align_rest(was: &[&Record], would: &[&Record]) -> Vec<Change> {
    let width = would.len() + 1;
    let mut longest = vec![0u16; (was.len() + 1) * width];
    for i in (0..was.len()).rev() {
        for j in (0..would.len()).rev() {
            longest[i * width + j] = if matches(was[i], would[j]) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < was.len() || j < would.len() {
        if i < was.len() && j < would.len() && matches(was[i], would[j]) {
            lines.push(Change::Same(was[i].clone()));
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let skip_was = match (was.get(i), would.get(j)) {
            (Some(a), Some(b)) => {
                let (without_was, without_would) = (longest[(i + 1) * width + j], longest[i * width + j + 1]);
                without_was > without_would || (without_was == without_would && a.at <= b.at)
            }
            (was, _) => was.is_some(),
        };
        if skip_was {
            lines.push(Change::Was(was[i].clone()));
            i += 1;
        } else {
            lines.push(Change::Would(would[j].clone()));
            j += 1;
        }
    }
    lines
}
