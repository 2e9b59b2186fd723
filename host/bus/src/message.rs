//! What the core is told, and where its picture is found.

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

/// What the loop is told.
#[derive(Debug)]
pub enum Message {
    /// Something happened.
    Event(Event),
    /// A person wants something.
    Command {
        /// Of which module.
        module: ModuleName,
        /// What.
        command: Command,
        /// For how long, of a suspension.
        lasts: Option<Duration>,
        /// Who may give it, and what the person decided by.
        authorization: Authorization,
        /// Who, and from where.
        by: String,
        /// Why, if that was said.
        reason: Option<String>,
        /// Gets the outcome, once what it changes is on disk.
        answer: oneshot::Sender<CommandOutcome>,
    },
    /// All modules are in force.
    Loaded,
    /// The daemon ends; told back once the core knows.
    Ending(Shutdown, oneshot::Sender<()>),
}

/// Where the present picture is found.
#[derive(Debug, Clone)]
pub struct Published {
    /// The picture.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Changes with it, to its generation.
    pub generation: watch::Sender<u64>,
}

impl Published {
    /// Nothing has been seen yet.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let (generation, _) = watch::channel(snapshot.generation);
        Self { snapshot: Arc::new(ArcSwap::new(snapshot)), generation }
    }

    /// Replaces the picture, if this one is of another generation.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let generation = snapshot.generation;
        if self.snapshot.load().generation != generation {
            self.snapshot.store(snapshot);
            self.generation.send_replace(generation);
        }
    }
}
