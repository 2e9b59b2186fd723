//! Steps in a world without processes: they take the time that the scenario says, and have the effects that they
//! would have.
//!
//! ```text
//!   RunStep ──▶ under way ──its time is over, or who it waits for has ended──▶ StepEnded
//!                   └── CancelStep ──▶ forgotten
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Event;
use crate::id::{AttemptId, CommandName};
use crate::moment::plain;
use crate::plan::{Signal, StepAction, StepError, Target};
use crate::policy::OnDown;

use super::Simulation;
use super::cast::Sees;
use super::queue::Item;
use super::scenario::{Behaviour, End, Then};
use super::sight::ProcessChange;
use super::world::by_name;

/// The default duration of a command.
const RUN: Duration = Duration::from_millis(100);
/// The default time until a kept command has been started.
const KEEP: Duration = Duration::from_millis(20);
/// The default time from a signal, or a `stop` command, to the end.
const ENDING: Duration = Duration::from_millis(100);
/// The time from SIGKILL to the end.
const KILLED: Duration = Duration::from_millis(5);
/// The lifetime of a process that is to end soon after its start.
const DOOMED: Duration = Duration::from_millis(200);

/// The steps in progress.
#[derive(Debug, Default)]
pub(super) struct StageHands {
    work: BTreeMap<(AttemptId, usize), Work>,
    failures: BTreeMap<CommandName, u32>,
}

#[derive(Debug)]
enum Work {
    Run(CommandName, Result<String, StepError>),
    Keep(CommandName, Result<(), StepError>),
    Done(Result<String, StepError>),
    Await(Target),
    KillKept,
    LookStopped,
}

impl StageHands {
    pub(super) fn cancel(&mut self, attempt: AttemptId, step: usize) {
        self.work.remove(&(attempt, step));
    }

    /// The error of the command this time, if it fails.
    fn failure(&mut self, command: &CommandName, behaviour: &Behaviour) -> Option<StepError> {
        let why = StepError::Reported(behaviour.fails.clone()?);
        let count = self.failures.entry(command.clone()).or_default();
        *count = count.saturating_add(1);
        behaviour.times.is_none_or(|times| *count <= times).then_some(why)
    }
}

impl Simulation {
    pub(super) fn begin_step(
        &mut self,
        attempt: AttemptId,
        step: usize,
        action: StepAction,
        timeout: Duration,
    ) {
        let (work, takes) = match action {
            StepAction::Run { command, .. } => self.begin_run_step(command, timeout),
            StepAction::Keep(command) => self.begin_keep(command, timeout),
            StepAction::Signal(target, signal) => {
                let sent = self.signal(&target, signal);
                let said =
                    if sent { format!("sent {signal}") } else { "there is no process to signal".to_owned() };
                (Work::Done(Ok(said)), Duration::ZERO)
            }
            StepAction::AwaitExit(target) => {
                let over = !self.target_lives(&target);
                self.hands.work.insert((attempt, step), Work::Await(target));
                if over {
                    self.queue.push(self.now, Item::StepEnds { attempt, step });
                }
                return;
            }
            // These steps belong to the core.
            StepAction::AwaitChecker(..) | StepAction::Pause(_) => return,
        };
        self.hands.work.insert((attempt, step), work);
        self.queue.push(self.now + takes, Item::StepEnds { attempt, step });
    }

    fn begin_run_step(&mut self, command: CommandName, timeout: Duration) -> (Work, Duration) {
        let refused = |why| (Work::Done(Err(why)), Duration::ZERO);
        let limit = match self.cast.policy.commands.get(&command) {
            None => return refused(StepError::NotDeclared(command)),
            Some(declared) if declared.keep => return refused(StepError::IsKept(command)),
            Some(declared) => declared.timeout.min(timeout),
        };
        let behaviour = self.behaviour(&command);
        let takes = behaviour.takes.unwrap_or(RUN);
        if takes > limit {
            return (Work::Run(command, Err(StepError::Killed(limit))), limit);
        }
        let result = match self.hands.failure(&command, &behaviour) {
            Some(why) => Err(why),
            None => Ok(format!("exited with 0 after {}", plain(takes))),
        };
        (Work::Run(command, result), takes)
    }

    fn begin_keep(&mut self, command: CommandName, timeout: Duration) -> (Work, Duration) {
        let refused = |why| (Work::Done(Err(why)), Duration::ZERO);
        match self.cast.policy.commands.get(&command) {
            None => return refused(StepError::NotDeclared(command)),
            Some(declared) if !declared.keep => return refused(StepError::NotKept(command)),
            Some(_) => {}
        }
        if self.world.pid(&command).is_some() {
            return (Work::Keep(command, Ok(())), Duration::ZERO);
        }
        let behaviour = self.behaviour(&command);
        let takes = behaviour.takes.unwrap_or(KEEP);
        if takes > timeout {
            return (Work::Keep(command, Err(StepError::Overdue(timeout))), timeout);
        }
        let failure = self.hands.failure(&command, &behaviour);
        (Work::Keep(command, failure.map_or(Ok(()), Err)), takes)
    }

    /// Applies the effects of a step at its end, and informs the core.
    pub(super) fn end_step(&mut self, attempt: AttemptId, step: usize) {
        let Some(work) = self.hands.work.remove(&(attempt, step)) else { return };
        let result = match work {
            Work::Run(command, result) => {
                if result.is_ok() {
                    self.has_run(&command);
                }
                result
            }
            Work::Keep(command, Ok(())) => Ok(format!("`{command}` runs as pid {}", self.start(&command))),
            Work::Keep(_, Err(why)) => Err(why),
            Work::Done(result) => result,
            Work::Await(target) => Ok(format!("{target}: no process is left")),
            Work::KillKept => self.kept_are_killed(),
            Work::LookStopped => self.left().map_or_else(|| Ok("all has ended".to_owned()), Err),
        };
        self.tell(Event::StepEnded { module: self.cast.module.clone(), attempt, step, result });
    }

    fn start(&mut self, command: &CommandName) -> u32 {
        let (pid, new) = self.world.start(command, self.now);
        if new {
            if let Some(how) = self.world.doom_of(command) {
                let end = Item::ProcessEnds { command: command.clone(), pid, how: how.to_string() };
                self.queue.push(self.now + DOOMED, end);
            }
            self.world_has_changed(ProcessChange::Started);
        }
        pid
    }

    /// The effect of a command on the application.
    fn has_run(&mut self, command: &CommandName) {
        let then = self.behaviour(command).then.or_else(|| by_name(command));
        match then {
            None => {}
            Some(Then::Running) => {
                self.world.start_background(self.now);
                if let (Some(pid), Some(_)) = (self.world.background_pid(), self.world.doom_of(command)) {
                    self.queue.push(self.now + DOOMED, Item::BackgroundEnds { pid });
                }
                self.world_has_changed(ProcessChange::Started);
            }
            Some(Then::Stopped) => {
                for kept in self.world.running() {
                    self.ask_to_end(&kept, None);
                }
                if let Some(pid) = self.world.background_pid()
                    && self.world.end_background(pid)
                {
                    self.world_has_changed(ProcessChange::Ended);
                }
            }
        }
    }

    /// Returns whether there was a process to receive it.
    fn signal(&mut self, target: &Target, signal: Signal) -> bool {
        let commands = self.commands_of(target);
        let background = self.background_of(target);
        let ends = matches!(signal, Signal::Term | Signal::Int | Signal::Quit | Signal::Kill);
        for command in &commands {
            if ends {
                self.ask_to_end(command, Some(signal));
            }
        }
        if let (Some(pid), true) = (background, ends) {
            let takes = if signal == Signal::Kill { KILLED } else { ENDING };
            self.queue.push(self.now + takes, Item::BackgroundEnds { pid });
        }
        !commands.is_empty() || background.is_some()
    }

    /// A kept process ends some time after it was asked to. SIGKILL ends it immediately.
    fn ask_to_end(&mut self, command: &CommandName, signal: Option<Signal>) {
        let Some(pid) = self.world.pid(command) else { return };
        let (takes, how) = match signal {
            Some(Signal::Kill) => (KILLED, End::Killed),
            _ => (self.behaviour(command).ends_in.unwrap_or(ENDING), End::Exits(0)),
        };
        let end = Item::ProcessEnds { command: command.clone(), pid, how: how.to_string() };
        self.queue.push(self.now + takes, end);
    }

    pub(super) fn kill_kept(&mut self, attempt: AttemptId) {
        self.hands.work.insert((attempt, 0), Work::KillKept);
        self.queue.push(self.now + KILLED, Item::StepEnds { attempt, step: 0 });
    }

    pub(super) fn look_stopped(&mut self, attempt: AttemptId, within: Duration) {
        let patience = if self.left().is_some() { within } else { Duration::ZERO };
        self.hands.work.insert((attempt, 0), Work::LookStopped);
        self.queue.push(self.now + patience, Item::StepEnds { attempt, step: 0 });
    }

    /// What of the application still runs, as the host would see it.
    fn left(&self) -> Option<StepError> {
        if let Some(command) = self.world.running().first() {
            let pid = self.world.pid(command).unwrap_or(0);
            return Some(StepError::StillRuns { what: format!("`{command}`"), pid });
        }
        let alone = self.cast.kept().next().is_none();
        let pid = self.world.background_pid().filter(|_| alone && self.background_is_looked_at())?;
        Some(StepError::StillRuns { what: "it".to_owned(), pid })
    }

    /// Whether a process checker matches the background processes.
    fn background_is_looked_at(&self) -> bool {
        self.cast.checkers.iter().any(|(name, role)| {
            let restarts = self.cast.policy.checkers.get(name).is_some_and(|c| c.on_down == OnDown::Restart);
            restarts && matches!(role.sees, Sees::Processes { at_least: 1.., .. })
        })
    }

    fn kept_are_killed(&mut self) -> Result<String, StepError> {
        for command in self.world.running() {
            if self.world.strike(&command, End::Killed) {
                self.world_has_changed(ProcessChange::Ended);
            }
        }
        match self.world.background_pid() {
            Some(pid) if self.cast.kept().next().is_none() && self.background_is_looked_at() => {
                Err(StepError::NothingToKill { what: "it".to_owned(), pid })
            }
            Some(_) | None => Ok("everything kept has been killed".to_owned()),
        }
    }

    /// Completes the steps that wait for an end.
    pub(super) fn tell_who_waits(&mut self) {
        let waits = self.hands.work.iter().filter_map(|(key, work)| match work {
            Work::Await(target) if !self.target_lives(target) => Some(*key),
            Work::LookStopped if self.left().is_none() => Some(*key),
            _ => None,
        });
        for (attempt, step) in waits.collect::<Vec<_>>() {
            self.queue.push(self.now, Item::StepEnds { attempt, step });
        }
    }

    fn behaviour(&self, command: &CommandName) -> Behaviour {
        self.scenario.commands.get(command).cloned().unwrap_or_default()
    }

    fn target_lives(&self, target: &Target) -> bool {
        !self.commands_of(target).is_empty() || self.background_of(target).is_some()
    }

    /// The running kept commands of a target.
    fn commands_of(&self, target: &Target) -> Vec<CommandName> {
        let only = |command: &CommandName| match self.world.pid(command) {
            Some(_) => vec![command.clone()],
            None => Vec::new(),
        };
        match target {
            Target::Command(command) => only(command),
            Target::Checker(checker) => match self.cast.checkers.get(checker).map(|role| &role.sees) {
                Some(Sees::Kept { command, .. }) => only(command),
                Some(Sees::Processes { .. }) => self.world.running(),
                Some(Sees::Component) | None => Vec::new(),
            },
        }
    }

    fn background_of(&self, target: &Target) -> Option<u32> {
        let Target::Checker(checker) = target else { return None };
        let sees = &self.cast.checkers.get(checker)?.sees;
        self.world.background_pid().filter(|_| matches!(sees, Sees::Processes { .. }))
    }
}
