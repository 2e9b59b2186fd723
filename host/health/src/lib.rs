//! The health endpoint: what load balancers ask, and `HAProxy`'s agent-check.
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
//! This loop is our own, on an OS thread of its own, and not a handler in the
//! web server that serves the console. The answer to the load balancer is what
//! Bellwether exists for:
//!
//! - It must come when nothing else does. Whatever blocks, starves or panics in
//!   the asynchronous runtime, this thread runs on and says no, because the
//!   core's heartbeat has stopped.
//! - It says nothing that is not known: while the daemon starts, and after a pause of the whole process,
//!   questions wait for a moment (`opening.rs`, `Heartbeat::is_catching_up`).
//! - It waits for nothing else: the snapshot is read without a lock, and nothing is
//!   logged from the event loop, since a log can block.
//! - It is bounded whoever calls: so many connections, so many bytes, so much time.
//! - It is asked all day long by every load balancer, so it should cost nothing:
//!   no more than nginx does (`benches/health_endpoint`).

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

/// A question that has no answer yet is asked again after so long. That is in the first seconds of a daemon,
/// and after it stood still.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// What answers are made from.
#[derive(Debug, Clone)]
pub struct HealthView {
    /// The present picture.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Whether it is still being painted. Judged at the time of each answer.
    pub heartbeat: Heartbeat,
    /// For the time of the answer.
    pub clock: Clock,
    /// Counts the answers.
    pub metrics: Metrics,
    /// Who asks, and how often.
    pub probers: Probers,
    /// How far the daemon has come.
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

    /// Likewise.
    fn agent_line(&self, from: IpAddr, agent: &Agent) -> Option<String> {
        let (snapshot, core) = (self.snapshot.load(), self.core());
        if self.has_to_wait(&snapshot, core, agent.question()) {
            return None;
        }
        let now = self.clock.now();
        self.probers.agent_asked(from, agent, now);
        Some(health::agent_line(&snapshot, core, agent, now))
    }

    /// Likewise, for gRPC. It counts as a question if it comes `from` somewhere.
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
        // Before its first beat it has not stalled.
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
    /// Somebody else listens there.
    #[error(
        "the health endpoint cannot listen on {address}: the address is in use. \
         Stop the program that has it (`ss -ltnp` shows which), or choose another port"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// The daemon's user may not listen there.
    #[error(
        "the health endpoint cannot listen on {address}: not permitted. \
         Choose a port from 1024 up, or give the daemon CAP_NET_BIND_SERVICE"
    )]
    NotPermitted {
        /// Where.
        address: SocketAddr,
    },
    /// The address is none that a node could have.
    #[error(
        "the health endpoint cannot listen on {address}: no node can have that address. \
         Choose one that `ip address` shows, or 0.0.0.0 for all"
    )]
    NoSuchAddress {
        /// Where.
        address: SocketAddr,
    },
    /// Any other refusal of the system.
    #[error("the health endpoint cannot listen on {address}: {source}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// In the system's words.
        source: io::Error,
    },
    /// TLS is asked for, and there is nothing to speak it with.
    #[error("the health endpoint has no certificate: {0}")]
    NoCertificate(NotUsable),
    /// No thread, or nothing to wait with.
    #[error("the health endpoint cannot start: {0}. Look at the limits on threads and open files")]
    Start(#[source] io::Error),
}

/// The endpoint at work. It stops when this is dropped.
#[derive(Debug)]
pub struct HealthServer {
    addresses: Vec<SocketAddr>,
    stop: Arc<Stop>,
    heart: Heartbeat,
    multiplexed_heart: Heartbeat,
    certificates: Option<Certificates>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// The thread of HTTP/2 and TLS, which ends after the other.
    multiplexed: Option<JoinHandle<()>>,
}

/// How the thread is told to end.
#[derive(Debug)]
struct Stop {
    wanted: AtomicBool,
    waker: mio::Waker,
}

impl HealthServer {
    /// Listens for HTTP on `http` and for `HAProxy` agents on each of `agents`,
    /// and starts the thread that answers from `view`. Port 0 is any free port.
    pub fn bind(http: SocketAddr, agents: &[AgentCheckSpec], view: HealthView) -> Result<Self, BindError> {
        Self::take_over(http, agents, view, None, &Inherited::default()).map(|(server, _)| server)
    }

    /// The same, on the sockets of the last daemon where there are any, and with TLS if there are
    /// `certificates`. Returns the sockets once more, for the next daemon.
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

    /// Where it listens: HTTP first, then the agents in the order they were given.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Beats at every turn of the thread.
    pub fn heart(&self) -> Heartbeat {
        self.heart.clone()
    }

    /// Beats at every turn of the thread for HTTP/2 and TLS.
    pub fn multiplexed_heart(&self) -> Heartbeat {
        self.multiplexed_heart.clone()
    }

    /// What it speaks TLS with.
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Whether the threads still answer. If one does not, load balancers are not told
    /// anything any more, and the daemon should end loudly.
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
