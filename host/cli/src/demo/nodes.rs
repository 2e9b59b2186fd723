//! The daemons of the demo's nodes: child processes of the demo.
//!
//! ```text
//!                 spawned ──▶ runs ──────▶ released: it ends in order, and its application with it
//!                    ▲          │ it has ended by itself, or was killed
//!                    └──────────┘ at most RESTARTS times, like a service manager
//! ```

use std::future::Future as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use bellwether_daemon::app::Ready;
use bellwether_os::process::dependent::Dependent;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::time::{Instant, timeout, timeout_at};

use crate::commands::demo_node::{Report, end_application, failure_of};
use crate::exit::Failure;

/// The first start of a debug build compiles all components.
const START_WITHIN: Duration = Duration::from_mins(5);
/// The time limit for all nodes together to end in order. What has not ended by then is killed.
const END_WITHIN: Duration = Duration::from_secs(15);
/// How often the daemon of a node is started again.
const RESTARTS: u32 = 20;
/// The longest report.
const MAX_REPORT: u64 = 64 << 10;

/// How nodes are started.
#[derive(Debug, Clone)]
pub(super) struct Starter {
    /// This program.
    pub(super) program: PathBuf,
    /// The log level.
    pub(super) log: String,
}

/// One node, whether its daemon runs or not. The daemon is killed if this is dropped.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) root: PathBuf,
    daemon: Option<Dependent>,
    restarts: u32,
}

impl Node {
    pub(super) fn new(name: String, root: PathBuf) -> Self {
        Self { name, root, daemon: None, restarts: 0 }
    }

    /// Starts its daemon. The returned future completes when that runs, or has failed.
    pub(super) fn start(
        &mut self,
        starter: &Starter,
    ) -> Result<impl Future<Output = Result<Ready, Failure>> + use<>, Failure> {
        let mut command = Command::new(&starter.program);
        command
            .arg("demo-node")
            .arg("--root")
            .arg(&self.root)
            .args(["--log", &starter.log])
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut daemon = Dependent::start(&mut command).context("a node cannot be started")?;
        let told = daemon.child.stdout.take();
        if let Some(log) = daemon.child.stderr.take() {
            tokio::spawn(relay(self.name.clone(), log));
        }
        self.daemon = Some(daemon);
        let name = self.name.clone();
        Ok(async move { timeout(START_WITHIN, report(told)).await.context(name)? })
    }

    /// Starts its daemon again after it has ended. Returns whether it did: not if that has happened too often.
    pub(super) fn start_again(&mut self, starter: &Starter) -> bool {
        if self.restarts >= RESTARTS {
            return false;
        }
        self.restarts += 1;
        let Ok(starts) = self.start(starter) else { return false };
        let name = self.name.clone();
        tokio::spawn(async move {
            if let Err(failure) = starts.await {
                eprintln!("{name}: {failure}");
            }
        });
        true
    }

    /// The id of its daemon's process, while it runs.
    pub(super) fn process(&self) -> Option<u32> {
        self.daemon.as_ref()?.child.id()
    }
}

/// Waits until the daemon of a node has ended, and returns which.
pub(super) async fn next_end(nodes: &mut [Node]) -> (usize, ExitStatus) {
    let (which, status) = {
        let running = nodes.iter_mut().enumerate();
        let mut ends: Vec<_> = running
            .filter_map(|(which, node)| {
                let daemon = node.daemon.as_mut()?;
                Some(Box::pin(async move { (which, daemon.child.wait().await.unwrap_or_default()) }))
            })
            .collect();
        std::future::poll_fn(move |context| {
            let mut ends = ends.iter_mut().map(|end| end.as_mut().poll(context));
            ends.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    };
    if let Some(node) = nodes.get_mut(which) {
        node.daemon = None;
    }
    (which, status)
}

/// Ends all of them in order, or kills them: when that takes too long, or as soon as `impatient` completes.
/// Returns whether anything ran.
pub(super) async fn end(nodes: &mut [Node], program: &Path, impatient: impl Future<Output = ()>) -> bool {
    let until = Instant::now() + END_WITHIN;
    for node in nodes.iter_mut() {
        if let Some(daemon) = &mut node.daemon {
            daemon.release();
        }
    }
    let in_order = async {
        let mut any = false;
        for node in nodes.iter_mut() {
            if let Some(daemon) = &mut node.daemon {
                any = true;
                let _ = timeout_at(until, daemon.child.wait()).await;
            }
        }
        any
    };
    let any = tokio::select! {
        any = in_order => any,
        () = impatient => true,
    };
    for node in nodes {
        let mut may_be_left = node.restarts > 0;
        if let Some(mut daemon) = node.daemon.take() {
            may_be_left |= !matches!(daemon.child.try_wait(), Ok(Some(_)));
            // Nothing is sent to one that has been waited for.
            let _ = daemon.child.kill().await;
        }
        // One that has ended in order has ended its application. One that could not start, because another daemon
        // runs there, must not end that one's.
        if may_be_left {
            end_application(program, &node.root);
        }
    }
    any
}

/// Reads what a node tells.
async fn report(told: Option<ChildStdout>) -> Result<Ready, Failure> {
    let mut line = String::new();
    if let Some(told) = told {
        BufReader::new(told.take(MAX_REPORT)).read_line(&mut line).await?;
    }
    if line.is_empty() {
        return Err(anyhow::anyhow!("a node has ended before it was ready: see its messages above").into());
    }
    match serde_json::from_str(&line).context("a node's report is invalid")? {
        Report::Runs(listeners) => Ok(listeners.into()),
        Report::Failed { exit, what, next } => Err(failure_of(exit, what, next)),
    }
}

/// Repeats the log of a node, so that every line says whose it is.
async fn relay(name: String, log: ChildStderr) {
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{name}: {line}");
    }
}
