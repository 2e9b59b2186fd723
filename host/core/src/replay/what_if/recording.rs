//! What was recorded: what the other core is told, and how plans and steps ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Line, Replay};
use super::{Story, serves};
use crate::action::Action;
use crate::event::Event;
use crate::id::{AttemptId, CheckerName, Generation, ModuleName};
use crate::moment::Moment;
use crate::node::{Beginning, Checkpoint, Node};
use crate::observation::Observation;
use crate::plan::{Plan, PlanError, StepError};
use crate::transcript::{Input, Repetition};

/// More repetitions of an observation than any threshold counts.
const REPETITIONS: u64 = 120;
/// How long a restart script seems to think where nothing is recorded.
const THINKING: Duration = Duration::from_millis(10);

/// What is told to the other core, too.
#[derive(Debug)]
pub(super) enum Cue {
    Began(Beginning),
    Told(Event),
    /// A run of a checker, and whether the application was meant to serve then.
    Seen(CheckerName, Generation, Observation, bool),
    /// The restart script answered on this occasion.
    Planned(&'static str),
    /// This step ended.
    Ended(String),
}

pub(super) type RecordedPlan = (Result<Plan, PlanError>, Duration);
type RecordedStep = (Result<String, StepError>, Duration, Option<Delay>);

/// What a step waited for at its beginning, and for how long at most.
pub(super) type Delay = (String, Duration);

/// What there is to play with.
pub(super) struct Recording {
    pub(super) cues: Vec<(Moment, Cue)>,
    plans: BTreeMap<&'static str, Vec<RecordedPlan>>,
    steps: BTreeMap<String, Vec<RecordedStep>>,
    /// What each checker said last.
    pub(super) heard: BTreeMap<CheckerName, (Moment, Generation, Arc<Observation>)>,
    /// The last watch of each checker.
    watched: BTreeMap<CheckerName, Generation>,
    pub(super) story: Story,
    /// Whether the application is meant to serve.
    serving: bool,
    asked: BTreeMap<AttemptId, (&'static str, Moment)>,
    at_work: BTreeMap<(AttemptId, usize), (String, Moment)>,
    delays: BTreeMap<(AttemptId, usize), Delay>,
}

impl Recording {
    pub(super) fn new(module: &ModuleName, checkpoint: Option<Checkpoint>, lines: &[Line]) -> Self {
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
    pub(super) fn plan(&self, occasion: &'static str, time: usize) -> RecordedPlan {
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

    pub(super) fn step(&self, action: &str, time: usize) -> RecordedStep {
        let ended = self.steps.get(action).and_then(|ended| ended.get(time).or(ended.last())).cloned();
        ended.unwrap_or_else(|| {
            (Ok("taken to work: none like it is recorded".to_owned()), Duration::ZERO, None)
        })
    }
}
