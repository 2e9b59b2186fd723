//! Where the API meets the daemon: everything is read from what is published,
//! and commands are handed to the driver.

use std::sync::Arc;

use bellwether_core::command::{Command, CommandOutcome, DeniedReason};
use bellwether_core::event::Event;
use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::observation::Observation;
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::Snapshot;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::access::Access;
use crate::clock::Clock;
use crate::config::ComponentKind;
use crate::driver::{Message, Published};
use crate::journal::{Chart, ChartQuery, Entry, Journal, NotRead, RecordQuery};
use crate::memories::Memories;
use crate::notify::{Desk, Tested};
use crate::observe::Means;
use crate::problems::Problems;
use crate::registry::Origin;
use crate::reload::{Approve, Approved, NotApproved, Refused};
use crate::serve::api::Daemon;
use crate::serve::site::Whereabouts;
use crate::serve::wire::{
    self, ComponentStatus, ConsoleStatus, NotifyStatus, QuarantineStatus, WaitingStatus,
};
use crate::stores::Stores;

/// The daemon as the API sees it.
#[derive(Debug)]
pub struct Office {
    /// For running a checker once.
    pub means: Means,
    /// Who may do what.
    pub access: Access,
    /// The picture.
    pub published: Published,
    /// What happened.
    pub journal: Journal,
    /// What outlives the daemon.
    pub memories: Memories,
    /// What checkers keep.
    pub stores: Stores,
    /// Files that are not in force.
    pub refused: Refused,
    /// What is wrong with the daemon itself.
    pub problems: Problems,
    /// The driver.
    pub events: mpsc::Sender<Message>,
    /// The reload.
    pub approve: mpsc::Sender<Approve>,
    /// Who tells people.
    pub notify: Desk,
    /// Where the console is.
    pub console: Whereabouts,
}

impl Daemon for Office {
    fn access(&self) -> &Access {
        &self.access
    }

    fn clock(&self) -> Clock {
        self.means.clock
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot.load_full()
    }

    fn generations(&self) -> watch::Receiver<u64> {
        self.published.generation.subscribe()
    }

    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Entry>, NotRead>> {
        self.journal.records(query).boxed()
    }

    fn follow(&self) -> broadcast::Receiver<Entry> {
        self.journal.follow()
    }

    fn chart(&self, query: ChartQuery) -> BoxFuture<'_, Result<Chart, NotRead>> {
        self.journal.chart(query).boxed()
    }

    fn components(&self) -> Vec<ComponentStatus> {
        let entries = self.means.registry.entries();
        let status = entries.iter().map(|((kind, name), entry)| {
            let loaded = entry.component.as_ref();
            ComponentStatus {
                kind: match kind {
                    ComponentKind::Checker => wire::ComponentKind::Checker,
                    ComponentKind::RestartScript => wire::ComponentKind::RestartScript,
                },
                name: name.to_string(),
                version: loaded.map(|(component, _)| component.about().version.clone()),
                digest: loaded.map(|(component, _)| component.digest().to_owned()).unwrap_or_default(),
                origin: match loaded {
                    Some((_, Origin::Embedded)) => wire::Origin::Embedded,
                    Some((_, Origin::File)) | None => wire::Origin::File,
                },
                error: entry.error.clone(),
                quarantine: entry.quarantined.as_ref().map(|case| QuarantineStatus::new(case, self.clock())),
                waiting: entry.waiting.as_ref().map(|waiting| WaitingStatus {
                    digest: waiting.digest.clone(),
                    version: waiting.version.clone(),
                    asks: waiting.asks.clone(),
                }),
            }
        });
        status.collect()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.sentences();
        problems.extend(self.refused.sentences());
        problems.extend(self.memories.problems());
        problems.extend(self.stores.problem());
        problems.extend(self.notify.board().problems());
        problems.extend(self.journal.health().problems());
        problems
    }

    fn console(&self) -> Option<ConsoleStatus> {
        self.console.status()
    }

    fn notifications(&self) -> Vec<NotifyStatus> {
        let targets = self.notify.board().targets();
        targets.iter().map(|(name, target, _)| NotifyStatus::new(name, target, self.clock())).collect()
    }

    fn test_notifications(&self, target: Option<String>, by: String) -> BoxFuture<'_, Vec<Tested>> {
        self.notify.test(target, by).boxed()
    }

    fn command(
        &self,
        module: ModuleName,
        command: Command,
        seen: Option<u64>,
        by: String,
    ) -> BoxFuture<'_, CommandOutcome> {
        async move {
            let (answer, answered) = oneshot::channel();
            let message = Message::Command { module, command, seen, by, answer };
            if self.events.send(message).await.is_err() {
                return CommandOutcome::Denied(DeniedReason::Ending);
            }
            let outcome = answered.await.unwrap_or(CommandOutcome::Denied(DeniedReason::Ending));
            // Whoever was answered finds the command in the journal, whatever becomes of this daemon.
            self.journal.settled().await;
            outcome
        }
        .boxed()
    }

    fn note(&self, module: Option<ModuleName>, kind: RecordKind) {
        let event = Message::Event(Event::Noted { module, kind });
        let events = self.events.clone();
        // In its turn, however much waits; an ending daemon writes no more.
        tokio::spawn(async move { drop(events.send(event).await) });
    }

    fn approve(&self, name: String, by: String) -> BoxFuture<'_, Result<Approved, NotApproved>> {
        async move {
            let (answer, answered) = oneshot::channel();
            if self.approve.send(Approve { name, by, answer }).await.is_err() {
                return Err(NotApproved::Ending);
            }
            answered.await.unwrap_or(Err(NotApproved::Ending))
        }
        .boxed()
    }

    fn run_checker(
        &self,
        module: ModuleName,
        checker: CheckerName,
    ) -> BoxFuture<'_, Result<Observation, String>> {
        async move { self.means.run_once(&module, &checker).await }.boxed()
    }
}
