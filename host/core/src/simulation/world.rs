//! The resources that checkers observe: processes that were started and have ended, an application that serves some
//! time after its start, and results that the scenario sets.
//!
//! ```text
//!   Never ──start──▶ Running ──ends──▶ Ended ──start──▶ Running      (each kept command)
//!                       │ warm-up
//!                       ▼
//!                     serves: with all that is kept, and what runs in the background
//! ```
//! While a prerequisite is unavailable, the application runs but does not serve.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{CheckerName, CommandName};
use crate::moment::{Moment, plain};
use crate::observation::{Observation, ProcessFact, Status};

use super::cast::{Cast, Sees};
use super::scenario::{End, Scenario, Start, Then};

/// The id of the first process of a world.
const FIRST_PID: u32 = 1001;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    Never,
    Running(u32),
    Ended(u32, String),
}

#[derive(Debug)]
struct Word {
    /// The event that it comes from.
    of: usize,
    status: Status,
    summary: String,
}

#[derive(Debug)]
pub(super) struct World {
    kept: BTreeMap<CommandName, Kept>,
    /// The state of an application in the background.
    background: Background,
    warm_up: Duration,
    serves_from: Moment,
    next_pid: u32,
    words: BTreeMap<CheckerName, Word>,
    /// Processes of these commands end soon after their start, by this event and in this way.
    doomed: BTreeMap<CommandName, (usize, End)>,
}

/// An application that runs in the background and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Background {
    /// There is no such application.
    None,
    /// It does not run.
    Ended,
    /// It runs, as this process.
    Runs(u32),
}

/// The effect of a command on an application in the background, if its name determines it.
pub(super) fn by_name(command: &CommandName) -> Option<Then> {
    match command.as_str() {
        "start" => Some(Then::Running),
        "stop" | "forced-stop" => Some(Then::Stopped),
        _ => None,
    }
}

impl World {
    pub(super) fn new(cast: &Cast, scenario: &Scenario, now: Moment) -> Self {
        let mut world = Self {
            kept: cast.kept().map(|command| (command.clone(), Kept::Never)).collect(),
            background: Background::None,
            warm_up: scenario.warm_up,
            serves_from: now,
            next_pid: FIRST_PID,
            words: BTreeMap::new(),
            doomed: BTreeMap::new(),
        };
        let starts = |command: &CommandName| {
            let then = scenario.commands.get(command).and_then(|behaviour| behaviour.then);
            then.or_else(|| by_name(command)) == Some(Then::Running)
        };
        let has_once = cast.policy.commands.iter().any(|(name, command)| !command.keep && starts(name));
        if has_once || world.kept.is_empty() {
            world.background = Background::Ended;
        }
        if scenario.start == Start::Running {
            let commands: Vec<CommandName> = world.kept.keys().cloned().collect();
            for command in commands {
                world.start(&command, now);
            }
            world.start_background(now);
            world.serves_from = now;
        }
        world
    }

    fn new_pid(&mut self, now: Moment) -> u32 {
        self.serves_from = now + self.warm_up;
        self.next_pid += 1;
        self.next_pid - 1
    }

    /// Starts a kept command, unless it is running. Returns its process, and whether it is a new one.
    pub(super) fn start(&mut self, command: &CommandName, now: Moment) -> (u32, bool) {
        if let Some(Kept::Running(pid)) = self.kept.get(command) {
            return (*pid, false);
        }
        let pid = self.new_pid(now);
        self.kept.insert(command.clone(), Kept::Running(pid));
        (pid, true)
    }

    pub(super) fn start_background(&mut self, now: Moment) {
        if self.background == Background::Ended {
            self.background = Background::Runs(self.new_pid(now));
        }
    }

    pub(super) fn pid(&self, command: &CommandName) -> Option<u32> {
        match self.kept.get(command) {
            Some(Kept::Running(pid)) => Some(*pid),
            Some(Kept::Never | Kept::Ended(..)) | None => None,
        }
    }

    pub(super) fn background_pid(&self) -> Option<u32> {
        match self.background {
            Background::Runs(pid) => Some(pid),
            Background::None | Background::Ended => None,
        }
    }

    /// The kept commands that run.
    pub(super) fn running(&self) -> Vec<CommandName> {
        self.kept.keys().filter(|command| self.pid(command).is_some()).cloned().collect()
    }

    fn runs(&self) -> bool {
        self.background != Background::Ended && self.kept.keys().all(|command| self.pid(command).is_some())
    }

    /// When the application begins to serve, if it runs.
    pub(super) fn serves_from(&self) -> Option<Moment> {
        self.runs().then_some(self.serves_from)
    }

    /// Returns whether exactly this process lived until now.
    pub(super) fn end(&mut self, command: &CommandName, pid: u32, how: String) -> bool {
        let lived = self.pid(command) == Some(pid);
        if lived {
            self.kept.insert(command.clone(), Kept::Ended(pid, how));
        }
        lived
    }

    pub(super) fn end_background(&mut self, pid: u32) -> bool {
        let lived = self.background_pid() == Some(pid);
        if lived {
            self.background = Background::Ended;
        }
        lived
    }

    /// The application of a command ends immediately. Returns whether there was any.
    pub(super) fn strike(&mut self, command: &CommandName, how: End) -> bool {
        match (self.pid(command), self.background_pid()) {
            (Some(pid), _) => self.end(command, pid, how.by_itself()),
            (None, Some(pid)) if !self.kept.contains_key(command) => self.end_background(pid),
            (None, _) => false,
        }
    }

    /// Processes that are started of the command from now on end soon.
    pub(super) fn doom(&mut self, command: &CommandName, of: usize, how: End) {
        self.doomed.insert(command.clone(), (of, how));
    }

    pub(super) fn doom_of(&self, command: &CommandName) -> Option<End> {
        self.doomed.get(command).map(|(_, how)| *how)
    }

    pub(super) fn spare(&mut self, command: &CommandName, of: usize) -> bool {
        let own = self.doomed.get(command).is_some_and(|(by, _)| *by == of);
        own && self.doomed.remove(command).is_some()
    }

    pub(super) fn sentence_of_end(&self, command: &CommandName, how: End, lasts: Option<Duration>) -> String {
        let pid =
            self.pid(command).or_else(|| self.background_pid().filter(|_| !self.kept.contains_key(command)));
        let now = match pid {
            Some(pid) => format!("process `{command}` (pid {pid}) {how}"),
            None => format!("`{command}` does not run: there is nothing to end"),
        };
        match lasts {
            Some(lasts) => format!(
                "{now}; for {} every process of it that is started ends in the same way",
                plain(lasts)
            ),
            None => now,
        }
    }

    /// From now on the checker has this result.
    pub(super) fn say(&mut self, checker: &CheckerName, of: usize, status: Status, summary: String) {
        self.words.insert(checker.clone(), Word { of, status, summary });
    }

    /// It has its own result again, unless another one was set since.
    pub(super) fn hush(&mut self, checker: &CheckerName, of: usize) -> bool {
        let own = self.words.get(checker).is_some_and(|word| word.of == of);
        own && self.words.remove(checker).is_some()
    }

    /// The present result of the checker.
    pub(super) fn observe(&self, cast: &Cast, checker: &CheckerName, now: Moment) -> Observation {
        if let Some(word) = self.words.get(checker) {
            return Observation::new(word.status, word.summary.clone(), now);
        }
        let prerequisite = !cast.is_of_application(checker);
        let sees = cast.role(checker).map_or(&Sees::Component, |(role, _)| &role.sees);
        let (status, summary, processes) = match sees {
            Sees::Kept { command, at_least } => self.see_kept(command, *at_least),
            Sees::Processes { label, at_least } => self.see_processes(label, *at_least, prerequisite),
            Sees::Component if prerequisite => well(),
            Sees::Component if self.serves_from().is_none_or(|from| now < from) => {
                (Status::Fail, "connection refused".to_owned(), Vec::new())
            }
            Sees::Component => match self.away(cast) {
                Some(away) if cast.needs_prerequisites(checker) => {
                    (Status::Fail, format!("the application lacks `{away}`"), Vec::new())
                }
                Some(_) | None => well(),
            },
        };
        let observation = Observation { processes, ..Observation::new(status, summary, now) };
        let ended = matches!(sees, Sees::Kept { command, .. } if matches!(self.kept.get(command), Some(Kept::Ended(..))));
        if ended && status == Status::Fail { observation.of_an_end() } else { observation }
    }

    /// Whether the prerequisite is unavailable: the scenario lets its checker fail.
    fn away<'c>(&self, cast: &'c Cast) -> Option<&'c CheckerName> {
        let away = |checker: &&CheckerName| {
            let says = self.words.get(*checker).map(|word| word.status);
            !cast.is_of_application(checker) && says == Some(Status::Fail)
        };
        cast.checkers.keys().find(away)
    }

    fn see_kept(&self, command: &CommandName, at_least: u32) -> (Status, String, Vec<ProcessFact>) {
        let fact = |pid| vec![ProcessFact { pid, name: command.to_string() }];
        let absent = |summary: String| {
            let status = if at_least == 0 { Status::Pass } else { Status::Fail };
            (status, summary, Vec::new())
        };
        match self.kept.get(command) {
            Some(Kept::Running(pid)) if at_least > 1 => {
                let summary =
                    format!("1 process `{command}` (pid {pid}), fewer than the {at_least} required");
                (Status::Fail, summary, fact(*pid))
            }
            Some(Kept::Running(pid)) => {
                (Status::Pass, format!("1 process `{command}` (pid {pid})"), fact(*pid))
            }
            Some(Kept::Ended(pid, how)) => absent(format!("process `{command}` (pid {pid}) {how}")),
            Some(Kept::Never) | None => absent(format!("process `{command}` has not been started")),
        }
    }

    fn see_processes(
        &self,
        label: &str,
        at_least: u32,
        prerequisite: bool,
    ) -> (Status, String, Vec<ProcessFact>) {
        if prerequisite {
            return (Status::Pass, format!("the processes {label} are there"), Vec::new());
        }
        let kept = self.kept.keys().filter_map(|command| self.pid(command));
        let pids = kept.chain(self.background_pid());
        let name = label.trim_matches('`').to_owned();
        let facts: Vec<ProcessFact> = pids.map(|pid| ProcessFact { pid, name: name.clone() }).collect();
        match facts.first() {
            Some(first) => {
                let summary = format!("the processes {label} are there (pid {}, …)", first.pid);
                (Status::Pass, summary, facts)
            }
            None if at_least == 0 => {
                (Status::Pass, format!("no process {label} is running, which is allowed"), facts)
            }
            None => (Status::Fail, format!("no process {label} is running"), facts),
        }
    }
}

fn well() -> (Status, String, Vec<ProcessFact>) {
    (Status::Pass, "all is well".to_owned(), Vec::new())
}

impl End {
    /// The same for a process that was not asked to exit: then no exit code is a success.
    fn by_itself(self) -> String {
        match self {
            Self::Exits(0) => "ended by itself with exit code 0".to_owned(),
            Self::Exits(_) | Self::Killed => self.to_string(),
        }
    }
}

impl std::fmt::Display for End {
    /// The rest of a sentence that begins with the process.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Killed => f.write_str("was ended by SIGKILL"),
            Self::Exits(code) => write!(f, "exited with {code}"),
        }
    }
}
