//! The demo with several nodes: a daemon for each, and the load balancer in front of them.
//!
//! ```text
//!   node-1 starts, and compiles ──▶ the others start with its machine code ──▶ the balancer asks their health
//!     ──▶ they form a farm ──▶ the guide is printed ──▶ a line for every change ──Ctrl-C──▶ everything ends
//! ```

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_api::NodeStatus;
use bellwether_daemon::app::Ready;
use bellwether_daemon::lifecycle::SignalRequest;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use super::balancer::client::ask_all_the_time;
use super::balancer::{Balancer, Tally, Upstream};
use super::guide::{self, Shown, ShownFarm};
use super::nodes::{self, Node, Starter};
use super::place::DemoRoot;
use super::visitor::Visitor;
use super::{join, layout, machine_code, say_unchanged, settle};
use crate::client::Client;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};
use crate::signals;
use crate::when::TimeFormat;

/// The application of the example.
const MODULE: &str = "web";
/// Every node is asked once a second, so that this is long enough if all is well.
const IN_WITHIN: Duration = Duration::from_secs(10);
/// How often `--traffic` tells what became of the requests.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What to run.
pub(super) struct Farm<'a> {
    pub(super) place: &'a DemoRoot,
    pub(super) count: usize,
    pub(super) fresh: bool,
    /// Whether the demo makes requests itself.
    pub(super) traffic: bool,
    pub(super) starter: Starter,
}

/// Everything runs, and the load balancer listens.
struct Running {
    balancer: Balancer,
    traffic: std::net::SocketAddr,
    ready: Vec<Ready>,
}

impl Farm<'_> {
    /// Runs all nodes until Ctrl-C, and leaves no process behind.
    pub(super) async fn serve(&self, output: &mut Output) -> Outcome {
        let mut told = signals::listen()?;
        let mut nodes = self.nodes();
        let outcome = tokio::select! {
            outcome = self.run(&mut nodes, output) => outcome,
            () = told_to_end(&mut told) => Ok(Exit::Done),
        };
        let any = nodes::end(&mut nodes, &self.starter.program, told_to_end(&mut told)).await;
        if any && outcome.is_ok() {
            writeln!(output, "\nThe nodes of the demo and their applications have ended.")?;
        }
        outcome
    }

    fn nodes(&self) -> Vec<Node> {
        let root = self.place.root();
        let node = |number| {
            let root = layout::node_root(root, number);
            // The node file may be the operator's own.
            let spec = bellwether_config::read_root(&root).node.ok();
            let name = spec.map_or_else(|| layout::node_name(number), |spec| spec.spec.name.to_string());
            Node::new(name, root)
        };
        (1..=self.count).map(node).collect()
    }

    async fn run(&self, nodes: &mut [Node], output: &mut Output) -> Outcome {
        let Running { mut balancer, traffic, ready } = self.start(nodes).await?;
        if !self.fresh {
            say_unchanged(self.place.root(), output)?;
        }
        let joined = join::join(nodes).await;
        if let Err(failure) = &joined {
            writeln!(
                output,
                "The nodes form no farm, and each has a console of its own: {}",
                failure.said()
            )?;
        }
        let mut statuses = Vec::new();
        for node in nodes.iter() {
            statuses.push(settle(&Client::new(&node.root)).await?);
        }
        balancer.settle(IN_WITHIN).await;
        self.guide(nodes, (&ready, &statuses), traffic, joined.is_ok(), output).await?;
        if self.traffic {
            tokio::select! {
                never = self.tell(nodes, &mut balancer, output) => never,
                () = ask_all_the_time(traffic) => Ok(Exit::Done),
            }
        } else {
            self.tell(nodes, &mut balancer, output).await
        }
    }

    /// Starts the first node, then all others at once with the machine code that it has compiled.
    async fn start(&self, nodes: &mut [Node]) -> Result<Running, Failure> {
        let listener = layout::listen_for_traffic()?;
        let traffic = listener.local_addr()?;
        let mut ready = Vec::new();
        let Some((first, others)) = nodes.split_first_mut() else {
            return Err(anyhow::anyhow!("there are no nodes").into());
        };
        ready.push(first.start(&self.starter)?.await?);
        let mut starting = Vec::new();
        for node in others {
            if let Err(error) = machine_code::share(&first.root, &node.root) {
                tracing::info!(%error, node = node.name, "it compiles its components itself");
            }
            starting.push(node.start(&self.starter)?);
        }
        for starts in starting {
            ready.push(starts.await?);
        }
        let upstreams = nodes.iter().zip(&ready).map(|(node, ready)| {
            let application =
                layout::application(&node.root, MODULE).ok_or_else(|| not_the_example(&node.root))?;
            Ok(Upstream { name: node.name.clone(), health: ready.health, application })
        });
        let upstreams = upstreams.collect::<Result<Vec<_>, Failure>>()?;
        Ok(Running { balancer: Balancer::start(listener, upstreams)?, traffic, ready })
    }

    async fn guide(
        &self,
        nodes: &[Node],
        (ready, statuses): (&[Ready], &[NodeStatus]),
        traffic: std::net::SocketAddr,
        joined: bool,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let (Some(node), Some(first)) = (nodes.first(), ready.first()) else { return Ok(()) };
        let visitor = Visitor::admit(&Client::new(&node.root), first).await?;
        let shown: Vec<Shown<'_>> = nodes
            .iter()
            .zip(ready)
            .zip(statuses)
            .map(|((node, ready), status)| Shown {
                name: &node.name,
                root: &node.root,
                process: node.process(),
                ready,
                status,
            })
            .collect();
        let temporary = self.place.temporary().is_some();
        let farm = ShownFarm { nodes: &shown, traffic, joined, temporary };
        Ok(guide::print_farm(&farm, visitor.as_ref(), output)?)
    }

    /// Prints what changes, until the end.
    async fn tell(&self, nodes: &mut [Node], balancer: &mut Balancer, output: &mut Output) -> Outcome {
        let mut due = tokio::time::interval_at(tokio::time::Instant::now() + TELL_EVERY, TELL_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = balancer.tally();
        loop {
            tokio::select! {
                change = balancer.next() => say(output, Tone::Title, &change.to_string())?,
                (which, status) = nodes::next_end(nodes) => {
                    let Some(node) = nodes.get_mut(which) else { continue };
                    let name = node.name.clone();
                    let then = if node.start_again(&self.starter) {
                        "it is started again, as by a service manager; its application keeps running"
                    } else {
                        "it is not started again"
                    };
                    say(output, Tone::Title, &format!("the daemon of {name} has ended ({status}): {then}"))?;
                }
                () = tick(&mut due, self.traffic) => {
                    let now = balancer.tally();
                    tell_tally(&now.since(&told), output)?;
                    told = now;
                }
            }
        }
    }
}

/// Completes at the next tick, or never if nobody wants to be told.
async fn tick(due: &mut Interval, wanted: bool) {
    if !wanted {
        std::future::pending::<()>().await;
    }
    due.tick().await;
}

fn tell_tally(tally: &Tally, output: &mut Output) -> std::io::Result<()> {
    if tally.is_empty() { Ok(()) } else { say(output, Tone::Quiet, &tally.to_string()) }
}

/// One line with the time.
fn say(output: &mut Output, tone: Tone, text: &str) -> std::io::Result<()> {
    let time = TimeFormat::here().clock(&Timestamp::now().to_string());
    writeln!(output, "{} {}", output.paint(Tone::Quiet, &time), output.paint(tone, text))?;
    output.flush()
}

/// A closed terminal (SIGHUP) ends the demo as well: nobody would see it any more.
async fn told_to_end(told: &mut mpsc::Receiver<SignalRequest>) {
    if told.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// The module's file is no longer that of the example.
pub(super) fn not_the_example(root: &std::path::Path) -> Failure {
    let file: PathBuf = root.join("modules/web.toml");
    let what = format!("{} is not the example's: only that can be run on several nodes", file.display());
    Failure::new(Exit::Usage, what, "use --nodes 1, or another folder with --root DIR")
}
