//! The reload: makes the operator's files active, at the start and whenever they change.

use std::sync::Arc;

use bellwether_bus::refused_files::RefusedFiles;
use bellwether_config::Mistakes;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_supervisor::reload::{Approve, LookNow, Reload, Settings};
use tokio::sync::mpsc;

use super::RunError;
use super::base::Base;
use super::storage::Storage;
use super::supervision::Supervision;
use super::tasks::Tasks;
use crate::watchdog;

/// Approvals that wait for the reload.
const APPROVALS: usize = 64;

/// The reload, and the ways to it.
pub(super) struct Reloading {
    reload: Reload,
    heartbeat: Heartbeat,
    /// Files that are not active.
    pub(super) refused: RefusedFiles,
    /// For people who let a component in.
    pub(super) approve: mpsc::Sender<Approve>,
    /// For a request to read everything again.
    pub(super) looks: mpsc::Sender<LookNow>,
    /// What was found damaged.
    pub(super) damaged: Vec<String>,
}

impl Reloading {
    pub(super) fn build(base: &Base, storage: &mut Storage, supervision: &mut Supervision) -> Self {
        let (refused, heartbeat) = (RefusedFiles::default(), Heartbeat::default());
        let (approve, approvals) = mpsc::channel(APPROVALS);
        let (looks, looked_for) = mpsc::channel(1);
        let (reload, damaged) = Reload::new(Settings {
            context: supervision.context.clone(),
            root: base.root.clone(),
            trust: base.node.trust.clone(),
            rescan: base.node.rescan,
            standard: std::mem::take(&mut supervision.standard),
            refused: refused.clone(),
            memories: std::mem::take(&mut storage.memories),
            events: base.events.clone(),
            approvals,
            looks: looked_for,
            heartbeat: heartbeat.clone(),
            kept: supervision.kept.clone(),
            snapshot: Arc::clone(&base.published.snapshot),
            problems: base.problems.clone(),
        });
        Self { reload, heartbeat, refused, approve, looks, damaged }
    }

    /// Makes all files active that are there now.
    pub(super) async fn load(&mut self) -> Result<(), RunError> {
        let mistakes = self.reload.begin().await;
        if mistakes.is_empty() { Ok(()) } else { Err(nothing_to_run(&mistakes)) }
    }

    pub(super) fn watch(&self, tasks: &mut Tasks) {
        tasks.watch(watchdog::RELOAD, self.heartbeat.clone());
    }

    pub(super) fn start(self, tasks: &mut Tasks) {
        tasks.spawn(self.reload.run());
    }
}

fn nothing_to_run(mistakes: &[Mistakes]) -> RunError {
    let rendered = mistakes.iter().map(|mistakes| mistakes.render(false)).collect::<Vec<_>>().join("\n");
    if mistakes.iter().flat_map(Mistakes::iter).all(|mistake| mistake.program_missing) {
        RunError::MissingProgram(rendered)
    } else {
        RunError::Mistakes(rendered)
    }
}
