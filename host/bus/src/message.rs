//! The messages to the core, and its published snapshot.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_core::command::{Command, CommandOutcome};
use bellwether_core::event::Event;
use bellwether_core::id::ModuleName;
use bellwether_core::permission::Authorization;
use bellwether_core::shutdown::Shutdown;
use bellwether_core::snapshot::Snapshot;
use tokio::sync::{oneshot, watch};

/// A message to the core's loop.
#[derive(Debug)]
pub enum Message {
    /// An event for the core.
    Event(Event),
    /// A user gives a command.
    Command {
        module: ModuleName,
        command: Command,
        /// The duration of a suspension.
        lasts: Option<Duration>,
        /// The caller's role, and the state that the user decided on.
        authorization: Authorization,
        /// The user and the origin.
        by: String,
        /// The reason, if one was given.
        reason: Option<String>,
        /// Receives the outcome, once its changes are on disk.
        answer: oneshot::Sender<CommandOutcome>,
    },
    /// All modules have been loaded.
    Loaded,
    /// The daemon is shutting down; answered once the core knows.
    Ending(Shutdown, oneshot::Sender<()>),
}

/// The published snapshot of the core.
#[derive(Debug, Clone)]
pub struct Published {
    /// The latest snapshot of all modules.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Changes with the snapshot, to its generation.
    pub generation: watch::Sender<u64>,
}

impl Published {
    /// A publisher with this initial snapshot.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let (generation, _) = watch::channel(snapshot.generation);
        Self { snapshot: Arc::new(ArcSwap::new(snapshot)), generation }
    }

    /// Replaces the snapshot, if this one has another generation.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let generation = snapshot.generation;
        if self.snapshot.load().generation != generation {
            self.snapshot.store(snapshot);
            self.generation.send_replace(generation);
        }
    }
}
