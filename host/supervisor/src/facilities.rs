//! What a module provides to its components, according to its file: its commands, and facts about its processes.
//!
//! All of it runs on the daemon's own runtime: guests must not delay a scan of the processes that other readers
//! wait for.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellwether_core::id::{CheckerName, CommandName};
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::loaded_modules::LoadedModule;
use crate::observe::RunContext;
use bellwether_config::spec::{ModuleSpec, Subject};
use bellwether_os::process::ending::Ending;
use bellwether_os::process::find::Finder;
use bellwether_os::process::group::ProcessGroup;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::stat::{Stat, ticks};
use bellwether_os::process::table::ProcessTable;
use bellwether_os::process::usage::open_files;
use bellwether_os::spawn::captured::{self, CaptureError, Captured};
use bellwether_os::spawn::child::{Home, Launch};
use bellwether_sandbox::facilities::{CommandEnd, CommandError, CommandOrder, Facilities, ProcessFacts};

/// The age that a table may have: several components that read it at about the same time share a scan.
const SHARED: Duration = Duration::from_millis(100);

/// The facilities of one module. Cheap to create.
#[derive(Debug, Clone)]
pub struct ModuleFacilities {
    home: Home,
    member: Arc<LoadedModule>,
    table: ProcessTable,
    kept: KeptTable,
    runtime: Handle,
}

impl ModuleFacilities {
    /// Of a module that is in force. Needs the daemon's runtime around it.
    pub fn new(context: &RunContext, member: Arc<LoadedModule>) -> Self {
        Self {
            home: Home {
                root: context.root.clone(),
                node: context.node.clone(),
                launcher: context.launcher.clone(),
            },
            member,
            table: context.processes.clone(),
            kept: context.kept.clone(),
            runtime: Handle::current(),
        }
    }

    async fn run(&self, order: CommandOrder) -> Result<CommandEnd, CommandError> {
        let CommandOrder { name, arguments, stdin, within } = order;
        let module = &self.member.spec;
        let spec = module.commands.get(&name).filter(|spec| !spec.keep).ok_or_else(|| {
            CommandError::CannotStart(format!(
                "there is no command `{name}` to run: declare it in `[commands]` of the module, without `keep`"
            ))
        })?;
        spec.allows(&arguments)
            .map_err(|refusal| CommandError::Arguments(name.clone(), refusal.to_string()))?;
        let launch = Launch { module: &module.name, command: &name, spec, arguments: &arguments };
        match captured::run(&self.home, &launch, stdin, within.min(spec.timeout)).await {
            Ok(captured) => Ok(command_end(captured)),
            Err(CaptureError::Overdue(within)) => Err(CommandError::Overdue { command: name, within }),
            Err(error @ CaptureError::Start(_)) => Err(CommandError::CannotStart(error.to_string())),
        }
    }

    async fn look(&self) -> io::Result<Vec<ProcessFacts>> {
        let mut found = Found::default();
        self.kept_processes(&mut found).await?;
        let module = &self.member.spec;
        for (name, checker) in &module.checkers {
            let Subject::Process(process) = &checker.definition.subject else { continue };
            let finder = Finder {
                find: process.find.clone(),
                containers: process.containers,
                of: process.of,
                known: None,
                module: module.name.clone(),
                table: self.table.clone(),
                kept: self.kept.clone(),
            };
            for stat in finder.look(SHARED).await?.processes {
                found.by_checker(stat, name);
            }
        }
        Ok(found.facts(SystemTime::now()))
    }

    /// The kept commands with all processes that they have started.
    async fn kept_processes(&self, found: &mut Found) -> io::Result<()> {
        let ModuleSpec { name: module, commands, .. } = &self.member.spec;
        let kept = commands.iter().filter(|(_, spec)| spec.keep);
        let running = kept.filter_map(|(name, _)| Some((name, self.kept.state(module, name).running()?)));
        let running: Vec<_> = running.collect();
        if running.is_empty() {
            return Ok(());
        }
        let table = self.table.scan(SHARED).await?;
        for (name, leader) in running {
            for pid in ProcessGroup::of(leader).members(&table) {
                if let Some(process) = table.get(pid) {
                    found.by_command(process.stat.clone(), name);
                }
            }
        }
        Ok(())
    }

    /// Runs the future on the daemon's runtime, until the caller drops it.
    fn at_home<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, &self.runtime);
        // Dropped with this future, which aborts the task.
        async move { tasks.join_next().await?.ok() }.boxed()
    }
}

impl Facilities for ModuleFacilities {
    fn run_command(&self, order: CommandOrder) -> BoxFuture<'static, Result<CommandEnd, CommandError>> {
        let (this, name) = (self.clone(), order.name.clone());
        let ended = self.at_home(async move { this.run(order).await });
        let gone = move || {
            CommandError::CannotStart(format!("command `{name}` was abandoned: the daemon is shutting down"))
        };
        async move { ended.await.unwrap_or_else(|| Err(gone())) }.boxed()
    }

    fn processes(&self) -> BoxFuture<'static, io::Result<Vec<ProcessFacts>>> {
        let this = self.clone();
        let looked = self.at_home(async move { this.look().await });
        async move { looked.await.unwrap_or_else(|| Err(io::Error::other("the daemon is shutting down"))) }
            .boxed()
    }
}

/// The end of its command, as reported to the component.
fn command_end(captured: Captured) -> CommandEnd {
    let (exit, signal) = match captured.ending {
        Ending::Exited(code) => (Some(code), None),
        Ending::Signaled { signal, .. } => (None, Some(signal)),
        Ending::Unknown => (None, None),
    };
    let Captured { stdout, stderr, truncated, took, .. } = captured;
    CommandEnd { exit, signal, stdout, stderr, truncated, took }
}

/// Each process once, with everything that it matched.
#[derive(Default)]
struct Found(BTreeMap<u32, (Stat, Vec<String>, Vec<String>)>);

impl Found {
    fn by_command(&mut self, stat: Stat, command: &CommandName) {
        self.entry(stat).1.push(command.to_string());
    }

    fn by_checker(&mut self, stat: Stat, checker: &CheckerName) {
        self.entry(stat).2.push(checker.to_string());
    }

    fn entry(&mut self, stat: Stat) -> &mut (Stat, Vec<String>, Vec<String>) {
        self.0.entry(stat.pid).or_insert_with(|| (stat, Vec::new(), Vec::new()))
    }

    fn facts(self, now: SystemTime) -> Vec<ProcessFacts> {
        let facts = |(stat, commands, checkers): (Stat, Vec<String>, Vec<String>)| ProcessFacts {
            pid: stat.pid,
            commands,
            checkers,
            started_at: now.checked_sub(stat.age()).unwrap_or(SystemTime::UNIX_EPOCH),
            cpu: ticks(stat.cpu_ticks),
            resident: stat.resident_bytes(),
            threads: stat.threads,
            open_files: open_files(stat.pid).ok(),
            state: state_word(stat.state),
            name: stat.comm,
        };
        self.0.into_values().map(facts).collect()
    }
}

/// The state letter as a word (`proc_pid_stat(5)`, field 3).
fn state_word(letter: char) -> &'static str {
    match letter {
        'R' => "running",
        'S' | 'I' => "sleeping",
        'D' => "waiting",
        'T' | 't' => "stopped",
        'Z' | 'X' | 'x' => "ended",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
