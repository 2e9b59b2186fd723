//! Does what the daemon is told from outside: to read everything again, and to end.
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

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// To end. When it is told again: at once.
    End,
    /// To read everything again.
    Reload,
}

/// A look at the folders is waited for as long as this.
const LOOK_WITHIN: Duration = Duration::from_secs(20);
/// While it ends, the service manager is told this often that it takes longer.
const EXTEND: Duration = Duration::from_secs(5);

/// Obeys.
#[derive(Debug)]
pub struct Lifecycle {
    /// Where the operator's files are.
    pub root: PathBuf,
    /// What the node's file said when the daemon started.
    pub started: NodeSpec,
    /// What of it is in force now.
    pub in_force: NodeSpec,
    /// What we are told. Nobody left to tell anything: to end.
    pub told: mpsc::Receiver<SignalRequest>,
    /// The reload.
    pub looks: mpsc::Sender<LookNow>,
    /// The core.
    pub events: mpsc::Sender<Message>,
    /// The picture.
    pub published: Published,
    /// Makes requests as the node's file says.
    pub sandbox: Arc<Sandbox>,
    /// Where mistakes are shown.
    pub problems: Diagnostics,
    /// Who is told.
    pub service: ServiceManager,
}

impl Lifecycle {
    /// Done when the daemon should end. `side`: what takes over files, which is ended first, so
    /// that nothing new begins.
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
        self.say(format!("everything was read again: bellwether.toml: {what}; {looked}")).await;
    }

    fn take_over(&mut self, node: NodeSpec) -> String {
        let sentence = NodeChanges::between(&self.in_force, &node).sentence();
        // Measured by the start, so that what is taken back waits for nothing.
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
            // A reload that has ended drops what it was asked.
            self.looks.send(look).await.is_ok() && looked.await.is_ok()
        };
        match tokio::time::timeout(LOOK_WITHIN, looking).await {
            Ok(true) => "the folders were scanned",
            Ok(false) => "the folders are no longer scanned",
            Err(_) => "the folders are still being scanned",
        }
    }

    /// Waits for what the core does about the applications, within the time that it has.
    async fn shut_down(&mut self, shutdown: Shutdown) {
        let within = self.in_force.shutdown.within;
        let deadline = Instant::now() + within;
        let what = match shutdown {
            Shutdown::Drain => "the applications are drained and left running",
            Shutdown::Stop => "the applications are drained and stopped",
        };
        self.say(format!("the daemon was told to end: {what}")).await;
        let (taken, mut known) = oneshot::channel();
        if self.events.send(Message::Ending(shutdown, taken)).await.is_err() {
            return;
        }
        let mut generations = self.published.generation.subscribe();
        let mut begun = false;
        let mut extend = tokio::time::interval(EXTEND);
        while !(begun && at_rest(&self.published.snapshot.load())) {
            tokio::select! {
                // An error: the core has ended, which is seen elsewhere.
                _ = &mut known, if !begun => begun = true,
                _ = generations.changed() => {}
                _ = extend.tick() => self.service.patience(EXTEND * 3),
                () = tokio::time::sleep_until(deadline) => {
                    self.say("the time to end is over: what is not done is left undone".to_owned()).await;
                    return;
                }
                told = self.told.recv() => if told != Some(SignalRequest::Reload) {
                    self.say("the daemon was told again to end, and ends at once".to_owned()).await;
                    return;
                }
            }
        }
    }

    async fn say(&self, message: String) {
        Recorder::new(self.events.clone()).say(message).await;
    }
}
