//! Shared by the tests of this folder: a root, whose processes are all killed at the end, even if a test fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bellwether_core::id::{CheckerName, ModuleName, NodeName};
use bellwether_core::policy::{BackoffPolicy, BudgetPolicy, OnDown, Thresholds};
use bellwether_testing::process::{Root, command, until};

use super::kept::Kept;
use super::step::StepRunner;
use bellwether_config::spec::{
    CheckerDefinition, CheckerSpec, HealthSpec, ModuleSpec, OwnLimits, ProcessSpec, RestartSpec, Subject,
};
use bellwether_os::clock::Clock;
use bellwether_os::process::find::Find;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::stat::Stat;
use bellwether_os::process::table::ProcessTable;
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::command::CommandSpec;
use bellwether_os::spawn::execution::Execution;
use bellwether_os::spawn::gate::Launcher;

pub(crate) struct Harness {
    pub(crate) root: Root,
    pub(crate) module: ModuleName,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self { root: Root::new(), module: ModuleName::new("web").unwrap() }
    }

    pub(crate) fn home(&self) -> Home {
        Home {
            root: self.root.path().to_owned(),
            node: NodeName::new("node-1").unwrap(),
            launcher: Launcher::Nobody,
        }
    }

    /// Waits until no process is alive that was started under this root.
    pub(crate) async fn nobody_is_left(&self) {
        until("nobody is left", || processes_of(self.root.path()).is_empty()).await;
    }

    /// The state of a daemon that starts now.
    pub(crate) async fn runner(&self) -> StepRunner {
        self.runner_with(Launcher::Nobody).await
    }

    /// The same, with this launcher.
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
        definition: CheckerDefinition {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            subject: Subject::Process(ProcessSpec {
                find,
                at_least: 1,
                at_most: None,
                containers: false,
                of: bellwether_os::process::find::Of::Host,
                bounds: bellwether_config::spec::ProcessBounds::default(),
            }),
        },
        thresholds: Thresholds::default(),
        on_down: OnDown::Restart,
    };
    (name, spec)
}

/// Living processes that were started under this root, identified by their working directory.
pub(crate) fn processes_of(root: &Path) -> Vec<Stat> {
    let running = bellwether_testing::process::processes_of(root).into_iter();
    running.filter_map(|process| Stat::read(process.pid).ok()).collect()
}
