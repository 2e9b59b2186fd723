//! The state of the view, and its transitions: pure.
//!
//! ```text
//! List ──Enter──▶ Detail ──Esc──▶ List        over either: Help, Filter, Confirm
//!
//! contact: Fresh ──stream ends or is silent──▶ Lost ──next snapshot──▶ Fresh
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use bellwether_api::{
    CheckerStatus, CommandAnswer, CommandWord, EventLine, ModuleStatus, NodeStatus, Wanted, WhyAnswer,
};
use bellwether_core::command::Command;
use bellwether_core::consequence::Consequence;
use bellwether_core::event::DesiredState;
use bellwether_core::id::ModuleName;
use bellwether_core::moment::Moment;
use bellwether_core::permission::{Authorization, OTHER_READY_NODES, Permission};
use bellwether_core::snapshot::{CheckerView, ModuleView};
use ratatui::crossterm::event::KeyEvent;

use super::keys;
use crate::commands::ANY_ROLE;

/// The maximum number of records; the oldest are dropped.
pub(super) const MAX_EVENTS: usize = 200;

/// Everything that is shown.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) status: Option<NodeStatus>,
    pub(super) lost: Option<Lost>,
    pub(super) chosen: Option<ModuleName>,
    pub(super) detail: bool,
    /// The number of lines of the detail above the screen.
    pub(super) scroll: u16,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) answer: Option<Answer>,
    /// The events of the selected module, the latest last.
    pub(super) events: VecDeque<EventLine>,
    /// The explanation of the selected module.
    pub(super) why: Option<WhyAnswer>,
    /// The module of the two fields above.
    followed: Option<ModuleName>,
}

/// The present meaning of keys.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Mode {
    #[default]
    Look,
    Filter,
    Help,
    Confirm(Box<Confirm>),
}

/// A command that waits for the user's confirmation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Confirm {
    pub(super) module: ModuleName,
    /// The generation that the user saw.
    pub(super) seen: u64,
    pub(super) consequence: Consequence,
    /// Whether the module's name has to be typed.
    pub(super) by_name: bool,
    /// The typed part of the module's name.
    pub(super) typed: String,
}

/// The connection to the daemon is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// When it last sent something, as RFC 3339.
    pub(super) since: String,
    pub(super) why: String,
}

/// The outcome of the last command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) good: bool,
    pub(super) text: String,
}

/// An input of the model.
#[derive(Debug)]
pub(super) enum Input {
    Key(KeyEvent),
    Redraw,
    /// The terminal has been closed.
    Gone,
    Status(NodeStatus),
    Lost(Lost),
    Events(ModuleName, Vec<EventLine>),
    Why(WhyAnswer),
    Answer {
        module: ModuleName,
        command: Command,
        answer: Result<CommandAnswer, String>,
    },
}

/// An effect to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    Suspend,
    Follow(Option<ModuleName>),
    Send { module: ModuleName, command: Command, seen: u64, confirmed: bool },
}

impl Model {
    /// `module`: begin with the details of this one.
    pub(super) fn new(module: Option<ModuleName>) -> Self {
        Self { detail: module.is_some(), chosen: module, ..Self::default() }
    }

    pub(super) fn update(&mut self, input: Input) -> Vec<Effect> {
        let mut effects: Vec<Effect> = match input {
            Input::Key(key) => keys::press(self, key).into_iter().collect(),
            Input::Redraw => Vec::new(),
            Input::Gone => vec![Effect::Quit],
            other => {
                self.learn(other);
                Vec::new()
            }
        };
        self.settle();
        if self.followed != self.chosen {
            self.followed.clone_from(&self.chosen);
            self.events.clear();
            self.why = None;
            self.scroll = 0;
            effects.push(Effect::Follow(self.chosen.clone()));
        }
        effects
    }

    fn learn(&mut self, input: Input) {
        match input {
            Input::Status(status) => {
                self.status = Some(status);
                self.lost = None;
            }
            Input::Lost(lost) => self.lost = Some(lost),
            // It was sent before another module was selected.
            Input::Events(module, events) if self.followed.as_ref() == Some(&module) => {
                self.events.extend(events);
                let more = self.events.len().saturating_sub(MAX_EVENTS);
                self.events.drain(..more);
            }
            Input::Why(why) if self.followed.as_ref() == Some(&why.module) => self.why = Some(why),
            Input::Answer { module, command, answer } => {
                let answer = match answer {
                    Ok(answer) => {
                        let nothing =
                            if answer.outcome == CommandWord::AlreadySo { "nothing to do: " } else { "" };
                        Answer { good: true, text: format!("{command} {module}: {nothing}{}", answer.detail) }
                    }
                    Err(why) => Answer { good: false, text: why },
                };
                self.answer = Some(answer);
            }
            _ => {}
        }
    }

    /// The selection stays with its module; it moves only if that is gone.
    fn settle(&mut self) {
        let visible: Vec<&ModuleName> = self.visible().into_iter().map(|module| &module.name).collect();
        let there = self.chosen.as_ref().is_some_and(|chosen| visible.contains(&chosen));
        if !there && self.status.is_some() {
            let first = visible.first().map(|name| (*name).clone());
            self.detail = false;
            self.chosen = first;
        }
    }

    pub(super) fn module(&self, name: &ModuleName) -> Option<&ModuleStatus> {
        self.status.as_ref()?.modules.iter().find(|module| module.name == *name)
    }

    pub(super) fn chosen(&self) -> Option<&ModuleStatus> {
        self.module(self.chosen.as_ref()?)
    }

    /// The worst first, and only those that match the filter.
    pub(super) fn visible(&self) -> Vec<&ModuleStatus> {
        let wanted = self.filter.to_lowercase();
        let passes = |module: &&ModuleStatus| {
            let text = format!("{} {} {}", module.name, module.state, module.reason).to_lowercase();
            text.contains(&wanted)
        };
        let all = self.status.iter().flat_map(|status| &status.modules);
        let mut modules: Vec<&ModuleStatus> = all.filter(passes).collect();
        modules.sort_by(|a, b| (a.attention, &a.name).cmp(&(b.attention, &b.name)));
        modules
    }

    pub(super) fn position(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.visible().iter().position(|module| module.name == *chosen)
    }

    /// Moves the selection, and stops at either end.
    pub(super) fn step(&mut self, by: isize) {
        let visible = self.visible();
        let last = visible.len().saturating_sub(1);
        let at = self.position().unwrap_or(0).saturating_add_signed(by).min(last);
        let chosen = visible.get(at).map(|module| module.name.clone());
        self.chosen = chosen.or_else(|| self.chosen.clone());
    }

    /// Asks for a confirmation, or shows why the command is not possible.
    pub(super) fn ask(&mut self, command: Command) {
        let Some(module) = self.chosen() else { return };
        if self.lost.is_some() {
            let text = format!("{command} {}: the daemon does not answer", module.name);
            self.answer = Some(Answer { good: false, text });
            return;
        }
        let view = view(module);
        let permission = Permission::shown(command, ANY_ROLE, &view);
        if let Permission::Idle(idle) = permission {
            let text = format!("{command} {}: nothing to do: {idle}", module.name);
            self.answer = Some(Answer { good: true, text });
            return;
        }
        let by_name = permission == Permission::Unconfirmed;
        let consequence = Consequence::of(&view, command, OTHER_READY_NODES);
        let (module, seen, typed) = (module.name.clone(), module.changed, String::new());
        self.answer = None;
        self.mode = Mode::Confirm(Box::new(Confirm { module, seen, consequence, by_name, typed }));
    }

    /// The present module, if it has changed since the question was asked.
    pub(super) fn moved(&self, confirm: &Confirm) -> Option<&ModuleStatus> {
        let now = self.module(&confirm.module)?;
        let generation = self.status.as_ref()?.generation;
        let command = confirm.consequence.command;
        let authorization = confirm.authorization();
        let permission = Permission::of(command, &authorization, &view(now), generation, OTHER_READY_NODES);
        matches!(permission, Permission::Moved(_)).then_some(now)
    }
}

impl Confirm {
    /// Whether the command is confirmed.
    pub(super) fn is_meant(&self) -> bool {
        !self.by_name || self.authorization().confirms(&self.module)
    }

    fn authorization(&self) -> Authorization {
        let confirmed = Some(self.typed.clone());
        Authorization { role: ANY_ROLE, seen: Some(self.seen), confirmed }
    }
}

/// The module in the form for the core's decision.
fn view(module: &ModuleStatus) -> ModuleView {
    ModuleView {
        changed: module.changed,
        ready: module.ready,
        reason: module.reason.clone(),
        desired: DesiredState {
            started: module.wanted == Wanted::Started,
            suspended: module.suspended,
            ..DesiredState::default()
        },
        restarts: module.restarts,
        restarts_allowed: module.budget.restarts,
        restarts_within: Duration::from_secs(module.budget.within_s),
        drain: Duration::try_from_secs_f64(module.drain_s).unwrap_or_default(),
        plan: module.plan.clone(),
        checkers: module.checkers.iter().map(checker).collect(),
        ..ModuleView::empty(module.name.clone(), module.state)
    }
}

fn checker(checker: &CheckerStatus) -> CheckerView {
    CheckerView {
        name: checker.name.clone(),
        kind: checker.kind,
        on_down: checker.on_down,
        verdict: checker.verdict,
        since: Moment::from_micros(0),
        watched: checker.watched,
        on_probation: checker.on_probation,
        definition: 0,
        interval: Duration::ZERO,
        next: None,
        last: None,
    }
}
