//! Handles requests from outside: to reload, and to shut down.
//!
//! ```text
//!   SIGHUP ──▶ reloading ──▶ bellwether.toml, then a look at the folders ──▶ ready
//!   SIGTERM ─▶ stopping ──▶ leave ────────────────────────────────────────────────▶ over
//!                      └──▶ drain, stop ──▶ the core ──▶ at rest, or out of time ──▶ over
//!                                                 └── a second SIGTERM ────────────▶ over
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_bus::recorder::Recorder;
use bellwether_core::shutdown::{Shutdown, at_rest};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::{Message, Published};
use bellwether_config::node_changes::NodeChanges;
use bellwether_config::spec::NodeSpec;
use bellwether_config::{Mistakes, read_node};
use bellwether_os::service_manager::ServiceManager;
use bellwether_sandbox::Sandbox;
use bellwether_supervisor::reload::LookNow;

/// A request from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// Shut down. When it is repeated: immediately.
    End,
    /// Read all files again.
    Reload,
}

/// The time limit for a scan of the folders.
const LOOK_WITHIN: Duration = Duration::from_secs(20);
/// The interval at which the service manager is told that the shutdown takes longer.
const EXTEND: Duration = Duration::from_secs(5);

/// Handles the requests, until the daemon has to end.
#[derive(Debug)]
pub struct Lifecycle {
    /// The folder of the operator's files.
    pub root: PathBuf,
    /// The node's file when the daemon started.
    pub started: NodeSpec,
    /// The active settings of the node.
    pub in_force: NodeSpec,
    /// The requests. If all senders are dropped: shut down.
    pub told: mpsc::Receiver<SignalRequest>,
    /// The queue of the reload.
    pub looks: mpsc::Sender<LookNow>,
    /// The queue of the core.
    pub events: mpsc::Sender<Message>,
    pub published: Published,
    /// Makes HTTP requests with the node's settings.
    pub sandbox: Arc<Sandbox>,
    /// Shows errors in the node's file.
    pub problems: Diagnostics,
    /// The service manager, if there is one.
    pub service: ServiceManager,
}

impl Lifecycle {
    /// Completes when the daemon should end. `side`: the task that applies files, which is ended first, so that
    /// nothing new begins.
    pub(crate) async fn attend(&mut self, side: &mut JoinSet<()>) {
        while let Some(SignalRequest::Reload) = self.told.recv().await {
            self.service.reloading();
            self.reload().await;
            self.service.ready();
        }
        self.service.stopping();
        side.shutdown().await;
        if let Some(shutdown) = self.in_force.shutdown.applications {
            self.shut_down(shutdown).await;
        }
    }

    async fn reload(&mut self) {
        let root = self.root.clone();
        let read = tokio::task::spawn_blocking(move || read_node(&root)).await;
        let what = match read {
            Ok(Ok(node)) => self.take_over(node),
            Ok(Err(mistakes)) => self.refuse(&mistakes),
            Err(error) => format!("bellwether.toml could not be read: {error}"),
        };
        let looked = self.look().await;
        self.say(format!("all files were read again: bellwether.toml: {what}; {looked}")).await;
    }

    fn take_over(&mut self, node: NodeSpec) -> String {
        let sentence = NodeChanges::between(&self.in_force, &node).sentence();
        // Compared with the settings at the start, so that a change that is reverted is not shown as pending.
        self.problems.set("node file", &NodeChanges::between(&self.started, &node).waiting());
        if node.http != self.in_force.http {
            self.sandbox.request_by(&node.http);
        }
        self.in_force = node;
        sentence
    }

    fn refuse(&self, mistakes: &Mistakes) -> String {
        let sentences: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let what = format!("it has errors, and the previous version stays active: {}", sentences.join("; "));
        self.problems.set("node file", &sentences);
        what
    }

    async fn look(&self) -> &'static str {
        let (done, looked) = oneshot::channel();
        let NodeSpec { trust, rescan, .. } = &self.in_force;
        let look = LookNow { trust: trust.clone(), rescan: *rescan, done };
        let looking = async {
            // A reload that has ended drops its requests.
            self.looks.send(look).await.is_ok() && looked.await.is_ok()
        };
        match tokio::time::timeout(LOOK_WITHIN, looking).await {
            Ok(true) => "the folders were scanned",
            Ok(false) => "the folders are no longer scanned",
            Err(_) => "the folders are still being scanned",
        }
    }

    /// Waits for the core's actions on the applications, within its time limit.
    async fn shut_down(&mut self, shutdown: Shutdown) {
        let within = self.in_force.shutdown.within;
        let deadline = Instant::now() + within;
        let what = match shutdown {
            Shutdown::Drain => "the applications are drained and left running",
            Shutdown::Stop => "the applications are drained and stopped",
        };
        self.say(format!("the daemon is shutting down: {what}")).await;
        let (taken, mut known) = oneshot::channel();
        if self.events.send(Message::Ending(shutdown, taken)).await.is_err() {
            return;
        }
        let mut generations = self.published.generation.subscribe();
        let mut begun = false;
        let mut extend = tokio::time::interval(EXTEND);
        while !(begun && at_rest(&self.published.snapshot.load())) {
            tokio::select! {
                // An error: the core has ended, which is noticed elsewhere.
                _ = &mut known, if !begun => begun = true,
                _ = generations.changed() => {}
                _ = extend.tick() => self.service.patience(EXTEND * 3),
                () = tokio::time::sleep_until(deadline) => {
                    self.say("the time limit of the shutdown is over: unfinished work is abandoned".to_owned()).await;
                    return;
                }
                told = self.told.recv() => if told != Some(SignalRequest::Reload) {
                    self.say("the daemon was told to end a second time, and exits immediately".to_owned()).await;
                    return;
                }
            }
        }
    }

    async fn say(&self, message: String) {
        Recorder::new(self.events.clone()).say(message).await;
    }
}
