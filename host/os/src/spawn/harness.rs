//! Shared by the tests of this folder: a root, whose processes end with the test.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::id::{ModuleName, NodeName};
use bellwether_testing::process::{Root, processes_of, until};

use super::child::Home;
use super::command::CommandSpec;
use super::execution::Execution;
use super::gate::Launcher;

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
