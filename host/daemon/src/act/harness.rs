//! What the tests of this folder share: a root, and the certainty that every
//! process started under it is ended, also when a test fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bellwether_core::id::{CheckerName, CommandName, ModuleName, NodeName};
use bellwether_core::policy::{BackoffPolicy, BudgetPolicy, OnDown, Thresholds};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::child::Home;
use super::gate::Launcher;
use super::kept::Kept;
use super::step::StepRunner;
use crate::clock::Clock;
use crate::config::spec::{
    CheckerSpec, CommandSpec, Execution, Find, HealthSpec, ModuleSpec, OwnLimits, ProcessSpec, RestartSpec,
    Subject,
};
use crate::process::kept_table::KeptTable;
use crate::process::stat::Stat;
use crate::process::table::ProcessTable;

pub(crate) struct Harness {
    pub(crate) root: tempfile::TempDir,
    pub(crate) module: ModuleName,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), module: ModuleName::new("web").unwrap() }
    }

    pub(crate) fn home(&self) -> Home {
        Home {
            root: self.root.path().to_owned(),
            node: NodeName::new("node-1").unwrap(),
            launcher: Launcher::Nobody,
        }
    }

    /// Waits until no process lives that was started under this root.
    pub(crate) async fn nobody_is_left(&self) {
        until("nobody is left", || processes_of(self.root.path()).is_empty()).await;
    }

    /// What a daemon that starts now would have.
    pub(crate) async fn runner(&self) -> StepRunner {
        self.runner_with(Launcher::Nobody).await
    }

    /// The same, with this one at the gate.
    pub(crate) async fn runner_with(&self, launcher: Launcher) -> StepRunner {
        let (table, states) = (ProcessTable::default(), KeptTable::default());
        let home = Home { launcher, ..self.home() };
        let kept = Kept::open(home.clone(), Clock::start(), table.clone(), states.clone());
        let kept = kept.await.unwrap();
        StepRunner { home, kept, table, states }
    }

    /// A module with these shell scripts as commands; names that begin with `keep` are kept.
    pub(crate) fn module(&self, commands: &[(&str, &str)]) -> ModuleSpec {
        ModuleSpec {
            name: self.module.clone(),
            restart: RestartSpec {
                script: bellwether_core::id::ComponentName::new("command").unwrap(),
                config: serde_json::Value::Null,
                grants: std::sync::Arc::default(),
                limits: OwnLimits::default(),
                budget: BudgetPolicy { restarts: 3, within: Duration::from_mins(1) },
                backoff: BackoffPolicy { first: Duration::from_secs(1), max: Duration::from_secs(8) },
                start_within: Duration::from_secs(10),
                appear_within: Duration::from_secs(10),
                keep_trying: Duration::ZERO,
            },
            commands: commands
                .iter()
                .map(|(name, script)| (command(name), shell(script, name.starts_with("keep"))))
                .collect(),
            health: HealthSpec { drain: Duration::ZERO.into(), ..HealthSpec::default() },
            checkers: BTreeMap::new(),
        }
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // Read, because it is 0 if the group was made outside this PID namespace, which getpgrp(2) of rustix cannot say.
        let own = Stat::read(std::process::id()).map(|own| own.group).unwrap_or_default();
        for stat in processes_of(self.root.path()) {
            let pid = |id: u32| i32::try_from(id).ok().and_then(Pid::from_raw);
            // One that is in no group of its own is in that of the tests.
            match pid(stat.group).filter(|_| stat.group != own) {
                Some(group) => _ = kill_process_group(group, Signal::KILL),
                None => _ = pid(stat.pid).map(|pid| kill_process(pid, Signal::KILL)),
            }
        }
    }
}

/// Living processes that were started under this root: it is where they work.
pub(crate) fn processes_of(root: &Path) -> Vec<Stat> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == root))
        .filter_map(|pid| Stat::read(pid).ok())
        .filter(|stat| !stat.is_dead())
        .collect()
}

/// Longer than a busy machine takes for what other processes do.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until it is so. For what there is no event of, since other processes do it.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn command(name: &str) -> CommandName {
    CommandName::new(name).unwrap()
}

pub(crate) fn shell(script: &str, keep: bool) -> CommandSpec {
    CommandSpec {
        run: vec!["/bin/sh".into(), "-c".into(), script.into()],
        keep,
        timeout: Duration::from_mins(1),
        leftovers: CommandSpec::LEFTOVERS,
        env: BTreeMap::new(),
        dir: None,
        arguments: None,
        execution: Execution::default(),
    }
}

pub(crate) fn checker(name: &str, find: Find) -> (CheckerName, CheckerSpec) {
    let name = CheckerName::new(name).unwrap();
    let spec = CheckerSpec {
        name: name.clone(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        thresholds: Thresholds::default(),
        on_down: OnDown::Restart,
        subject: Subject::Process(ProcessSpec {
            find,
            at_least: 1,
            at_most: None,
            containers: false,
            of: crate::config::spec::Of::Host,
            bounds: crate::config::spec::ProcessBounds::default(),
        }),
    };
    (name, spec)
}

/// Lets the future go as far as it gets, and says whether it is not done.
pub(crate) async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
}
