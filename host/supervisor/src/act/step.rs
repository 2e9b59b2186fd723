//! Carries out one step of a plan.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;
use bellwether_core::id::{CheckerName, CommandName, ModuleName};
use bellwether_core::moment::plain;
use bellwether_core::plan::{Signal, StepAction, StepError, Target};
use bellwether_core::policy::OnDown;
use futures_util::future::join_all;

use super::kept::Kept;
use super::kept::belonging::is_of_the_application;
use super::last_words;
use bellwether_config::spec::{CheckerSpec, ModuleSpec, Subject};
use bellwether_os::exhaustion::{Exhaustion, with_reserve};
use bellwether_os::process::ending::Ending;
use bellwether_os::process::find::Finder;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::pidfd::PidFd;
use bellwether_os::process::stat::Stat;
use bellwether_os::process::table::ProcessTable;
use bellwether_os::spawn::child::{Home, Launch};
use bellwether_os::spawn::command::CommandSpec;
use bellwether_os::spawn::log_file;
use bellwether_os::spawn::running::Running;

mod last_run;

/// The delay before the next attempt while processes cannot be opened (too many open files).
const PAUSE: Duration = Duration::from_millis(50);
/// The time for processes to end that were sent SIGKILL, after all kept processes have ended.
const ENDING: Duration = Duration::from_millis(500);
const KILLED: &str = "everything kept has been killed";

/// Carries out steps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StepRunner {
    /// Settings for starting commands.
    pub home: Home,
    /// Starts and monitors the kept processes.
    pub kept: Kept,
    /// The processes of this node.
    pub table: ProcessTable,
    /// The states of kept commands, for checkers that observe them.
    pub states: KeptTable,
}

/// Why a step was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDone {
    /// Half a sentence for the journal.
    pub reason: StepError,
    /// The resource that the node lacks, if that is the reason.
    pub shortage: Option<Exhaustion>,
}

impl From<StepError> for NotDone {
    fn from(reason: StepError) -> Self {
        Self { reason, shortage: None }
    }
}

impl StepRunner {
    /// Carries out a step of a plan of this module. Ok describes what was done, an error why it failed, each in
    /// half a sentence for the journal.
    ///
    /// A command that does not end in time is killed with its whole process group, and so is one whose future is
    /// dropped.
    pub async fn carry_out(
        &self,
        module: &ModuleSpec,
        action: &StepAction,
        timeout: Duration,
    ) -> Result<String, StepError> {
        self.attempt(module, action, timeout).await.map_err(|not_done| not_done.reason)
    }

    /// The same, and reports whether the node lacks a resource.
    pub async fn attempt(
        &self,
        module: &ModuleSpec,
        action: &StepAction,
        timeout: Duration,
    ) -> Result<String, NotDone> {
        let timeout = match action {
            StepAction::Run { command, .. } => {
                module.commands.get(command).map_or(timeout, |spec| spec.timeout.min(timeout))
            }
            _ => timeout,
        };
        match tokio::time::timeout(timeout, self.perform(module, action)).await {
            Ok(result) => result.map_err(|error| NotDone {
                reason: format!("{error:#}").into(),
                shortage: Exhaustion::behind(&error),
            }),
            Err(_) => Err(NotDone { reason: overdue(action, timeout), shortage: None }),
        }
    }

    /// Ends the leftovers of the last run, before a step that starts the application or prepares that. `tell` is
    /// called with what is waited for, and the maximum time. An error names the processes that do not end.
    pub(crate) async fn end_last_run<T: Future<Output = ()>>(
        &self,
        module: &ModuleSpec,
        action: &StepAction,
        tell: impl FnOnce(String, Duration) -> T,
    ) -> Result<(), NotDone> {
        self.kept.end_last_run(&module.name, last_run::requests(module, action), tell).await
    }

    /// Kills everything that the module keeps, and waits until it has ended. An error if the application is still
    /// alive: one in the background was not started by the daemon, and may belong to anyone, so it is not killed.
    pub async fn kill_kept(
        &self,
        name: &ModuleName,
        module: Option<&ModuleSpec>,
    ) -> Result<String, StepError> {
        self.kept.kill_all(name).await.map_err(|error| StepError::Reported(error.to_string()))?;
        let Some(module) = module else { return Ok(KILLED.to_owned()) };
        match self.alive(module, ENDING).await {
            None => Ok(KILLED.to_owned()),
            Some(stat) => Err(StepError::NothingToKill { what: format!("`{}`", stat.comm), pid: stat.pid }),
        }
    }

    /// Checks whether everything that the module runs has ended, or ends within this time. An error names what does
    /// not.
    pub async fn look_stopped(
        &self,
        name: &ModuleName,
        module: Option<&ModuleSpec>,
        within: Duration,
    ) -> Result<String, StepError> {
        let begun = tokio::time::Instant::now();
        self.kept.quiesce(name).await.map_err(|error| StepError::Reported(error.to_string()))?;
        if let Some(module) = module {
            self.end_what_died(module, within).await?;
        }
        let still_runs = |what: &str, pid| StepError::StillRuns { what: format!("`{what}`"), pid };
        if let Some((command, pid)) =
            self.kept.outlives(name, within).await.map_err(|error| StepError::Reported(error.to_string()))?
        {
            return Err(still_runs(command.as_str(), pid));
        }
        let left = match module {
            Some(module) => self.alive(module, within.saturating_sub(begun.elapsed())).await,
            None => None,
        };
        left.map_or_else(|| Ok("all has ended".to_owned()), |stat| Err(still_runs(&stat.comm, stat.pid)))
    }

    /// Ends the leftovers of kept commands that ended by themselves: no plan has asked them to exit, so they are
    /// not waited for. Their other processes are asked to exit with the first signal of a stop.
    async fn end_what_died(&self, module: &ModuleSpec, within: Duration) -> Result<(), StepError> {
        let mut of_dead_ones = Vec::new();
        for (command, spec) in module.commands.iter().filter(|(_, spec)| spec.keep) {
            let request = last_run::request(module, spec);
            let first = request.stages.first().map_or(Signal::Term, |stage| stage.signal);
            self.kept.set_ends_by(&module.name, command, first);
            if self.kept.has_died(&module.name, command) {
                let request = last_run::shortened(request, spec.leftovers.min(within));
                of_dead_ones.push((command.clone(), request));
            }
        }
        let ended = self.kept.end_last_run(&module.name, of_dead_ones, |_, _| std::future::ready(())).await;
        ended.map_err(|not_done| not_done.reason)
    }

    /// A process in the background that the module's checkers take for the application and that does not end within
    /// this time. Beside a kept command, other processes that they find may be unrelated.
    async fn alive(&self, module: &ModuleSpec, within: Duration) -> Option<Stat> {
        if module.commands.values().any(|command| command.keep) {
            return None;
        }
        let is_application = |spec: &&CheckerSpec| match &spec.definition.subject {
            // What a restart would not bring back is not the application.
            Subject::Process(process) => spec.on_down == OnDown::Restart && process.at_least > 0,
            Subject::Component(_) => false,
        };
        let until = tokio::time::Instant::now() + within;
        for spec in module.checkers.values().filter(is_application) {
            let finder = self.finder(module, &spec.name).ok()?;
            // If it finds nothing, or fails, the stop is not affected.
            let finder = &finder;
            let look = || async move { Some(finder.look(Duration::ZERO).await.ok()?.processes) };
            if let Some(first) = outlives(until, look, hold_all).await {
                return Some(first);
            }
        }
        None
    }

    async fn perform(&self, module: &ModuleSpec, action: &StepAction) -> anyhow::Result<String> {
        match action {
            StepAction::Run { command, arguments } => {
                let spec = declared(module, command, false)?;
                spec.allows(arguments).with_context(|| format!("cannot run command `{command}`"))?;
                self.run(&Launch { module: &module.name, command, spec, arguments }).await
            }
            StepAction::Keep(command) => {
                if self.is_former(module, command) {
                    return Ok(format!("`{command}` is no longer declared and is not started again"));
                }
                let spec = declared(module, command, true)?;
                let id = self.kept.start(&module.name, command, spec).await?;
                Ok(format!("`{command}` runs as pid {}", id.pid))
            }
            StepAction::Signal(target, signal) => self.signal(module, target, *signal).await,
            StepAction::AwaitExit(target) => self.await_exit(module, target).await,
            StepAction::AwaitChecker(..) | StepAction::Pause(_) => {
                anyhow::bail!("`{action}` needs no process and is the core's own to carry out")
            }
        }
    }

    /// Runs a command to completion. Its output goes directly to its log file: with a pipe, processes that the
    /// command leaves would be killed by their next output (SIGPIPE), or the daemon would have to wait for the end
    /// of the pipe.
    async fn run(&self, launch: &Launch<'_>) -> anyhow::Result<String> {
        let began = Instant::now();
        let command = launch.command;
        // Its purpose may be to end a kept process: from here on such an end is not unexpected.
        self.kept.expect_end(launch.module);
        let (ending, before) = if is_of_the_application(command, launch.spec.keep) {
            let launching = self.kept.launch(launch).await?;
            let before = launching.before;
            (launching.end().await?, before)
        } else {
            let (running, before) = with_reserve(|| {
                let (streams, before) = self.home.streams(launch.module, command)?;
                Ok::<_, anyhow::Error>((Running::start(&self.home, launch, streams)?, before))
            })?;
            (running.end().await?, before)
        };
        let took = plain(began.elapsed());
        if ending == Ending::Exited(0) {
            return Ok(format!("exited with 0 after {took}"));
        }
        let path = log_file::path(&self.home.root, launch.module, command);
        match before.and_then(|before| last_words::since(&path, before)) {
            Some(words) => anyhow::bail!("{ending}{}", last_words::quoted(Some(words))),
            None => anyhow::bail!("{ending} after {took}, without any output"),
        }
    }

    async fn signal(&self, module: &ModuleSpec, target: &Target, signal: Signal) -> anyhow::Result<String> {
        let why = || format!("cannot send {signal} to {target}");
        let sent = match target {
            Target::Command(command) => {
                self.kept_command(module, command)?;
                self.kept.signal(&module.name, command, signal).await.with_context(why)?
            }
            Target::Checker(checker) => {
                let mut sent = false;
                for pidfd in hold(&self.finder(module, checker)?).await.with_context(why)? {
                    sent |= pidfd.signal(signal).with_context(why)?;
                }
                sent
            }
        };
        Ok(if sent { format!("sent {signal}") } else { "there is no process to signal".to_owned() })
    }

    async fn await_exit(&self, module: &ModuleSpec, target: &Target) -> anyhow::Result<String> {
        match target {
            Target::Command(command) => {
                self.kept_command(module, command)?;
                self.kept.await_exit(&module.name, command).await?;
            }
            Target::Checker(checker) => {
                let finder = self.finder(module, checker)?;
                // The caller's timeout ends this loop.
                while !finder.look(Duration::ZERO).await?.processes.is_empty() {
                    let held = hold(&finder).await?;
                    if held.is_empty() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    join_all(held.iter().map(PidFd::exited)).await;
                }
            }
        }
        Ok(format!("{target}: no process is left"))
    }

    /// Whether the command has been kept, and has since been removed from the module's file. It still has to be
    /// stopped.
    fn is_former(&self, module: &ModuleSpec, command: &CommandName) -> bool {
        !module.commands.contains_key(command) && self.kept.has_kept(&module.name, command)
    }

    /// An error unless the command is kept, by its declaration or in fact.
    fn kept_command(&self, module: &ModuleSpec, command: &CommandName) -> anyhow::Result<()> {
        if self.kept.has_kept(&module.name, command) {
            return Ok(());
        }
        declared(module, command, true)?;
        Ok(())
    }

    fn finder(&self, module: &ModuleSpec, checker: &CheckerName) -> anyhow::Result<Finder> {
        let spec = module
            .checkers
            .get(checker)
            .with_context(|| format!("the module has no checker `{checker}`: name one that its file has"))?;
        let Subject::Process(spec) = &spec.definition.subject else {
            anyhow::bail!("checker `{checker}` looks at no processes: name one that has `process`");
        };
        Ok(Finder {
            find: spec.find.clone(),
            containers: spec.containers,
            of: spec.of,
            known: None,
            module: module.name.clone(),
            table: self.table.clone(),
            kept: self.states.clone(),
        })
    }
}

/// The declared command, if it is of the kind that the step needs.
fn declared<'a>(
    module: &'a ModuleSpec,
    command: &CommandName,
    keep: bool,
) -> Result<&'a CommandSpec, StepError> {
    let spec = module.commands.get(command).ok_or_else(|| StepError::NotDeclared(command.clone()))?;
    match (spec.keep, keep) {
        (true, false) => Err(StepError::IsKept(command.clone())),
        (false, true) => Err(StepError::NotKept(command.clone())),
        _ => Ok(spec),
    }
}

/// The first of the found processes that does not end by then.
async fn outlives<Look: Future<Output = Option<Vec<Stat>>>>(
    until: tokio::time::Instant,
    look: impl Fn() -> Look,
    hold: impl Fn(&[Stat]) -> io::Result<Vec<PidFd>>,
) -> Option<Stat> {
    loop {
        let found = look().await?;
        let first = found.first()?;
        match hold(&found) {
            Ok(handles) if !handles.is_empty() => {
                let ends = join_all(handles.iter().map(PidFd::exited));
                if tokio::time::timeout_at(until, ends).await.is_err() {
                    return Some(first.clone());
                }
            }
            // All of them have ended since, or there is no descriptor left: the next scan shows which.
            Ok(_) | Err(_) => {
                if tokio::time::Instant::now() >= until {
                    return Some(first.clone());
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Pidfds of all found processes, so that their ids cannot be reused.
async fn hold(finder: &Finder) -> io::Result<Vec<PidFd>> {
    hold_all(&finder.look(Duration::ZERO).await?.processes)
}

fn hold_all(found: &[Stat]) -> io::Result<Vec<PidFd>> {
    let mut held = Vec::new();
    for stat in found {
        held.extend(PidFd::open(stat.pid)?.filter(|pidfd| pidfd.id().start_time == stat.start_time));
    }
    Ok(held)
}

fn overdue(action: &StepAction, timeout: Duration) -> StepError {
    match action {
        StepAction::Run { .. } => StepError::Killed(timeout),
        _ => StepError::Overdue(timeout),
    }
}

#[cfg(test)]
mod tests;
