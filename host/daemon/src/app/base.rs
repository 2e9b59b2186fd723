//! What every part of the daemon is given: the root and its lock, the node's file, the clock, the queues of the core, and
//! what is published.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::farm_counts::PublishedFarmCounts;
use bellwether_bus::inbox::{Inbox, Senders};
use bellwether_bus::metrics::Metrics;
use bellwether_bus::{Message, Published};
use bellwether_config::read_node;
use bellwether_config::spec::NodeSpec;
use bellwether_core::snapshot::Snapshot;
use bellwether_health::probers::Probers;
use bellwether_health::{HealthView, Opening};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::root::{self, RootLock};
use bellwether_os::socket;
use bellwether_os::socket::LocalListener;
use tokio::sync::mpsc;

use super::{RunError, RunOptions};

/// What every part of the daemon is given.
pub(super) struct Base {
    pub(super) root: PathBuf,
    /// What the node's file says.
    pub(super) node: NodeSpec,
    pub(super) clock: Clock,
    pub(super) published: Published,
    pub(super) metrics: Metrics,
    /// How many nodes of the farm there are, for the metrics.
    pub(super) farm_counts: PublishedFarmCounts,
    /// The core's.
    pub(super) heartbeat: Heartbeat,
    /// Which load balancers ask how often.
    pub(super) probers: Probers,
    /// Until it is over, health requests wait for a true answer.
    pub(super) opening: Opening,
    /// What is wrong with the daemon itself.
    pub(super) problems: Diagnostics,
    /// To the core.
    pub(super) events: mpsc::Sender<Message>,
    /// To the core, for commands of people.
    pub(super) commands: mpsc::Sender<Message>,
    /// Another daemon may run on this root once this is dropped.
    _lock: RootLock,
}

/// What is opened with the base, and belongs to parts that are built later.
pub(super) struct Opened {
    /// What the core is told.
    pub(super) inbox: Inbox,
    /// The local socket and its path, unless the disk is read-only and there is no other place for it. Clients that
    /// connect wait until they are answered.
    pub(super) local: Option<(LocalListener, PathBuf)>,
}

impl Base {
    /// Waits for the lock of the root, and reads the node's file. Nothing if `end` completes while the lock is waited
    /// for.
    pub(super) async fn open(
        options: &RunOptions,
        end: impl Future<Output = ()>,
    ) -> Result<Option<(Self, Opened)>, RunError> {
        let prepared = root::prepare_unless(&options.root, options.state.as_deref(), end);
        let Some((root, lock)) = prepared.await? else { return Ok(None) };
        let node = read_node(&root).map_err(|mistakes| RunError::Mistakes(mistakes.render(false)))?;
        let local = socket::bind(&root).context("cannot listen on the local socket")?;
        let clock = Clock::carry_on(&root);
        let published = Published::new(Arc::new(Snapshot::empty(node.name.clone(), clock.now())));
        let (Senders { events, commands }, inbox) = Inbox::new();
        let base = Self {
            root,
            node,
            clock,
            published,
            metrics: Metrics::default(),
            farm_counts: PublishedFarmCounts::default(),
            heartbeat: Heartbeat::default(),
            probers: Probers::default(),
            opening: Opening::begin(clock),
            problems: Diagnostics::default(),
            events,
            commands,
            _lock: lock,
        };
        Ok(Some((base, Opened { inbox, local })))
    }

    /// What health answers are made from.
    pub(super) fn health_view(&self) -> HealthView {
        HealthView {
            snapshot: Arc::clone(&self.published.snapshot),
            heartbeat: self.heartbeat.clone(),
            clock: self.clock,
            metrics: self.metrics.clone(),
            probers: self.probers.clone(),
            opening: self.opening.clone(),
        }
    }
}
