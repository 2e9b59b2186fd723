//! The health endpoint for load balancers, and `HAProxy`'s agent-check.
//!
//! ```text
//!  listening.rs ─▶ event_loop.rs ─▶ connection.rs ─▶ conversation.rs ─▶ HealthView ─▶ core::health
//!   (sockets)     (one OS thread)     (one socket)    (bytes, pure)     (snapshot,     (what is
//!                                                      proxy.rs
//!                                                      request.rs        heartbeat, clock,   answered)
//!                                                      response.rs       opening.rs)
//!                      │ HTTP/2, TLS
//!                      ▼
//!               multiplexed.rs (another OS thread) ─▶ service.rs, grpc.rs ─▶ HealthView
//! ```
//! This is a separate event loop, on its own OS thread, and not a handler in the web server of the console, because
//! the answer to the load balancer is the central purpose of Bellwether:
//!
//! - It must come when nothing else does. Whatever blocks, starves or panics in the asynchronous runtime, this
//!   thread continues and answers 503, because the core's heartbeat has stopped.
//! - It is never a guess: while the daemon starts, and after a pause of the whole process, requests wait for a
//!   moment (`opening.rs`, `Heartbeat::is_catching_up`).
//! - It waits for nothing else: the snapshot is read without a lock, and nothing is logged from the event loop,
//!   because logging can block.
//! - It is bounded for every client: in connections, bytes and time.
//! - It is requested all day long by every load balancer, so it should cost no more than with nginx
//!   (`benches/health_endpoint`).

mod activity;
mod connection;
mod conversation;
mod event_loop;
mod grpc;
mod listening;
mod multiplexed;
mod opening;
pub mod probers;
mod protocol;
mod proxy;
mod request;
mod response;
mod service;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_core::health::{self, Agent, Code, Core, HealthAnswer, Question, ServingStatus, Subject};
use bellwether_core::snapshot::Snapshot;

use self::event_loop::EventLoop;
use self::listening::Listener;
pub use self::opening::Opening;
use crate::probers::Probers;
use bellwether_bus::metrics::Metrics;
use bellwether_config::certificates::{Certificates, NotUsable};
use bellwether_config::spec::AgentCheckSpec;
use bellwether_os::clock::Clock;
use bellwether_os::handover::{Inherited, Socket};
use bellwether_os::heartbeat::Heartbeat;

/// The interval at which a request is retried that cannot be answered yet. That happens in the first seconds of a
/// daemon, and after it was suspended.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// The data that answers are made from.
#[derive(Debug, Clone)]
pub struct HealthView {
    /// The latest snapshot of all modules.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The core's heartbeat. Checked at the time of each answer.
    pub heartbeat: Heartbeat,
    /// For the time of the answer.
    pub clock: Clock,
    /// Counts the answers that are given.
    pub metrics: Metrics,
    /// Which clients probe, and how often.
    pub probers: Probers,
    /// Whether the daemon has finished starting.
    pub opening: Opening,
}

impl HealthView {
    /// Nothing if the question has to wait: there will be an answer in a moment.
    fn answer(&self, from: IpAddr, question: Question<'_>) -> Option<HealthAnswer> {
        let (snapshot, core) = (self.snapshot.load(), self.core());
        if self.has_to_wait(&snapshot, core, question) {
            return None;
        }
        self.probers.asked(from, question, &snapshot, self.clock.now());
        let timestamp = |moment| self.clock.timestamp(moment);
        let answer = health::answer(&snapshot, core, question, timestamp);
        self.metrics.answered(answer.code == Code::Ok);
        Some(answer)
    }

    /// The agent's line; `None` if it has to wait.
    fn agent_line(&self, from: IpAddr, agent: &Agent) -> Option<String> {
        let (snapshot, core) = (self.snapshot.load(), self.core());
        if self.has_to_wait(&snapshot, core, agent.question()) {
            return None;
        }
        let now = self.clock.now();
        self.probers.agent_asked(from, agent, now);
        Some(health::agent_line(&snapshot, core, agent, now))
    }

    /// The state for gRPC; `None` if it has to wait. Counts as a probe if it comes `from` a client.
    fn serving(&self, from: Option<IpAddr>, subject: Subject<'_>) -> Option<ServingStatus> {
        let (snapshot, core, question) = (self.snapshot.load(), self.core(), Question::Health(subject));
        if self.has_to_wait(&snapshot, core, question) {
            return None;
        }
        let status = health::serving_status(&snapshot, core, subject);
        if let Some(from) = from {
            self.probers.asked(from, question, &snapshot, self.clock.now());
            self.metrics.answered(status == ServingStatus::Serving);
        }
        Some(status)
    }

    fn core(&self) -> Core {
        let loaded = self.opening.is_loaded();
        // Before its first beat it does not count as stalled.
        if (loaded || self.heartbeat.has_begun()) && !self.heartbeat.alive(self.clock) {
            return Core::Stalled;
        }
        if loaded { Core::Turns } else { Core::Begins }
    }

    fn has_to_wait(&self, snapshot: &Snapshot, core: Core, question: Question<'_>) -> bool {
        if question == Question::Elsewhere {
            return false;
        }
        let too_early = || self.opening.waits(self.clock) && !health::can_tell(snapshot, core, question);
        core != Core::Stalled && (self.heartbeat.is_catching_up(self.clock) || too_early())
    }
}

/// Why the health endpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens on the address.
    #[error(
        "the health endpoint cannot listen on {address}: the address is in use. \
         Stop the program that has it (`ss -ltnp` shows which), or choose another port"
    )]
    InUse { address: SocketAddr },
    /// The daemon's user has no permission for the address.
    #[error(
        "the health endpoint cannot listen on {address}: not permitted. \
         Choose a port from 1024 up, or give the daemon CAP_NET_BIND_SERVICE"
    )]
    NotPermitted { address: SocketAddr },
    /// The address is not one that a node could have.
    #[error(
        "the health endpoint cannot listen on {address}: no node can have that address. \
         Choose one that `ip address` shows, or 0.0.0.0 for all"
    )]
    NoSuchAddress { address: SocketAddr },
    /// Any other error of the system.
    #[error("the health endpoint cannot listen on {address}: {source}")]
    Refused {
        address: SocketAddr,
        /// In the system's words.
        source: io::Error,
    },
    /// TLS is configured without a certificate.
    #[error("the health endpoint has no certificate: {0}")]
    NoCertificate(NotUsable),
    /// The thread or its poll cannot be created.
    #[error("the health endpoint cannot start: {0}. Look at the limits on threads and open files")]
    Start(#[source] io::Error),
}

/// The running endpoint. It stops when this is dropped.
#[derive(Debug)]
pub struct HealthServer {
    addresses: Vec<SocketAddr>,
    stop: Arc<Stop>,
    heart: Heartbeat,
    multiplexed_heart: Heartbeat,
    certificates: Option<Certificates>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// The thread for HTTP/2 and TLS, which ends after the other.
    multiplexed: Option<JoinHandle<()>>,
}

/// Tells the thread to end.
#[derive(Debug)]
struct Stop {
    wanted: AtomicBool,
    waker: mio::Waker,
}

impl HealthServer {
    /// Listens for HTTP on `http` and for `HAProxy` agents on each of `agents`, and starts the thread that answers
    /// from `view`. Port 0 means any free port.
    pub fn bind(http: SocketAddr, agents: &[AgentCheckSpec], view: HealthView) -> Result<Self, BindError> {
        Self::take_over(http, agents, view, None, &Inherited::default()).map(|(server, _)| server)
    }

    /// The same, on the sockets of the last daemon where there are any, and with TLS if there are `certificates`.
    /// Also returns copies of the sockets, for the next daemon.
    pub fn take_over(
        http: SocketAddr,
        agents: &[AgentCheckSpec],
        view: HealthView,
        certificates: Option<Certificates>,
        inherited: &Inherited,
    ) -> Result<(Self, Vec<Socket>), BindError> {
        let mut listeners = vec![Listener::http(http, inherited)?];
        for agent in agents {
            listeners.push(Listener::agent(agent, inherited)?);
        }
        let sockets = listeners.iter().map(Listener::for_the_next).collect::<io::Result<Vec<_>>>();
        let sockets = sockets.map_err(BindError::Start)?;
        let addresses = listeners.iter().map(|listener| listener.address).collect();
        let multiplexed_heart = Heartbeat::default();
        multiplexed_heart.beat(view.clock);
        let multiplexed = multiplexed::start(view.clone(), certificates.clone(), multiplexed_heart.clone());
        let (entrance, multiplexed) = multiplexed.map_err(BindError::Start)?;
        let event_loop = EventLoop::new(listeners, view, entrance).map_err(BindError::Start)?;
        let waker = event_loop.waker().map_err(BindError::Start)?;
        let heart = event_loop.heart();
        let stop = Arc::new(Stop { wanted: AtomicBool::new(false), waker });
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || event_loop.run(|| stopped.wanted.load(Ordering::Acquire)))
            .map_err(BindError::Start)?;
        let (thread, multiplexed) = (Some(thread), Some(multiplexed));
        Ok((Self { addresses, stop, heart, multiplexed_heart, certificates, thread, multiplexed }, sockets))
    }

    /// The addresses: HTTP first, then the agents in the given order.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The heartbeat of the thread's loop.
    pub fn heart(&self) -> Heartbeat {
        self.heart.clone()
    }

    /// The heartbeat of the loop for HTTP/2 and TLS.
    pub fn multiplexed_heart(&self) -> Heartbeat {
        self.multiplexed_heart.clone()
    }

    /// The certificates for TLS.
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Whether the threads still answer. If one does not, load balancers get no answers any more, and the daemon
    /// should exit with an error.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
            && self.multiplexed.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for HealthServer {
    fn drop(&mut self) {
        self.stop.wanted.store(true, Ordering::Release);
        let woken = self.stop.waker.wake();
        if let Some(thread) = self.thread.take() {
            match woken {
                Ok(()) => match thread.join() {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the health endpoint had failed"),
                    Err(_) => tracing::error!("the health endpoint had panicked"),
                },
                Err(error) => {
                    tracing::error!(%error, "the health endpoint cannot be stopped");
                    return;
                }
            }
        }
        if self.multiplexed.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the health endpoint's thread for HTTP/2 and TLS had panicked");
        }
    }
}

#[cfg(test)]
mod tests;
