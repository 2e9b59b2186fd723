//! Starts the command whose application goes into the background by itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::{Inner, Kept, Slot};
use bellwether_os::exhaustion::with_reserve;
use bellwether_os::process::ending::Ending;
use bellwether_os::process::errands::Errand;
use bellwether_os::process::open_files;
use bellwether_os::process::table::ProcessTable;
use bellwether_os::spawn::child::Launch;
use bellwether_os::spawn::command::CommandSpec;
use bellwether_os::spawn::gate::Staying;
use bellwether_os::spawn::running::Running;

impl Kept {
    /// Starts a command that runs to completion, so that everything that it leaves is identified. Dropping the
    /// future kills the command.
    pub(crate) async fn launch(&self, launch: &Launch<'_>) -> anyhow::Result<Launching> {
        let slot = self.slot(launch.module, launch.command);
        let starting = Arc::clone(&slot.starting).lock_owned().await;
        let (inner, spec, arguments) = (Arc::clone(&self.0), launch.spec.clone(), launch.arguments.to_vec());
        let start = move || {
            // Held until it runs or is killed, so that it is not taken for one that was never started.
            let _starting = starting;
            inner.launch(&slot, &spec, &arguments)
        };
        tokio::task::spawn_blocking(start).await.context("the start of a command was cut short")?
    }
}

impl Inner {
    fn launch(&self, slot: &Slot, spec: &CommandSpec, arguments: &[String]) -> anyhow::Result<Launching> {
        let (module, command) = &slot.key;
        let launch = Launch { module, command, spec, arguments };
        let (waiting, before) = with_reserve(|| {
            let (streams, before) = self.home.streams(module, command)?;
            let waiting = self.home.spawn_waiting(&launch, streams, self.mark(slot), None)?;
            Ok::<_, anyhow::Error>((waiting, before))
        })?;
        // From its first instruction on, it does not count as the application.
        let errand = Errand::new(waiting.leader.id().pid);
        self.enter(slot, waiting.leader.id().pid);
        if waiting.gate.is_none() {
            open_files::restore_in(&waiting.child);
        }
        let (leader, staying) = self.home.let_through_to_stay(&launch, waiting)?;
        Ok(Launching { running: Running::of(leader, errand), staying, before, table: self.table.clone() })
    }
}

/// A command that starts an application in the background.
pub(crate) struct Launching {
    running: Running,
    staying: Option<Staying>,
    table: ProcessTable,
    /// The length of its log before the start, where that is known.
    pub(crate) before: Option<u64>,
}

impl Launching {
    /// Waits until it ends.
    pub(crate) async fn end(self) -> io::Result<Ending> {
        let Self { running, staying, table, .. } = self;
        if let Some(mut staying) = staying {
            staying.ended().await?;
            // The processes that the command leaves are its launcher's children now: the scan identifies them.
            if let Err(error) = table.scan(Duration::ZERO).await {
                tracing::warn!(%error, "cannot tell what a command has left");
            }
        }
        running.end().await
    }
}
