//! The farm, as the API and the console see it.
//!
//! ```text
//!   Links ──Picture──▶ watch: problems, records, metrics
//!     ▲  └────────────▶ status: every node in words ──▶ API, console, command line
//!     │ facts of this node        ▲ status of the others, asked for when somebody looks
//!   snapshot                   pictures
//! ```

mod clocks;
mod facts;
mod pictures;
mod problems;
mod serve;
mod status;
mod story;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bellwether_api::farm::{FarmStatus, InvitationAnswer};
use bellwether_bus::Published;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::farm_counts::PublishedFarmCounts;
use bellwether_bus::recorder::Recorder;
use bellwether_core::access::Role;
use bellwether_core::id::NodeName;
use bellwether_core::record::{FarmEvent, RecordKind};
use bellwether_links::{FarmError, FarmErrorKind, Links, NotAsked};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_server::api::farm::{self as server, FarmRefusal, FarmRefusalKind};
use bellwether_server::api::{Daemon, node_status};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch as channel;

use self::clocks::Clocks;
use self::pictures::Pictures;
pub(crate) use self::serve::ServeLater;
use self::status::Sources;
use self::watch::Watch;

/// The farm. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Farm {
    links: Links,
    pictures: Pictures,
    clocks: Arc<Mutex<Clocks>>,
    clock: Clock,
    recorder: Recorder,
    /// The daemon, once it has been built: it needs the farm.
    daemon: Arc<OnceLock<Weak<dyn Daemon>>>,
}

/// What the tasks of the farm are given.
pub(crate) struct Surroundings {
    pub(crate) problems: Diagnostics,
    pub(crate) counts: PublishedFarmCounts,
}

impl std::fmt::Debug for Farm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Farm").finish_non_exhaustive()
    }
}

impl Farm {
    pub(crate) fn new(links: Links, clock: Clock, recorder: Recorder) -> Self {
        let pictures = Pictures::new(links.clone(), clock);
        Self { links, pictures, clocks: Arc::default(), clock, recorder, daemon: Arc::default() }
    }

    /// From now on, the status of this node is that of `daemon`.
    pub(crate) fn begin(&self, daemon: &Arc<dyn Daemon>) {
        // There is one daemon, and it begins once.
        let _ = self.daemon.set(Arc::downgrade(daemon));
    }

    /// Tells the others what this node says of itself, until it is dropped.
    pub(crate) fn say(&self, published: Published) -> impl Future<Output = ()> + Send + use<> {
        facts::say_forever(published, self.links.clone(), self.clock)
    }

    /// Looks at the farm whenever something about it changes, until it is dropped.
    pub(crate) fn watch(
        &self,
        around: Surroundings,
        heartbeat: Heartbeat,
    ) -> impl Future<Output = ()> + Send + use<> {
        let Surroundings { problems, counts } = around;
        let recorder = self.recorder.clone();
        let (links, clocks) = (self.links.clone(), Arc::clone(&self.clocks));
        Watch { links, clock: self.clock, clocks, recorder, problems, counts }.run(heartbeat)
    }

    async fn shown(&self, within: Duration) -> FarmStatus {
        let known = self.pictures.fresh(&self.links.picture(), within).await;
        // Who is heard has changed meanwhile, if nodes have not answered.
        let picture = self.links.picture();
        let own = self.daemon.get().and_then(Weak::upgrade).map(|daemon| node_status(&*daemon));
        let clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = facts::seconds(self.clock.wall_micros(self.clock.now()));
        let problems = problems::problems(&picture, &clocks, env!("CARGO_PKG_VERSION"), wall);
        Sources { picture: &picture, known: &known, clocks: &clocks, own, clock: self.clock, problems }
            .status()
    }
}

impl server::Farm for Farm {
    fn status(&self, within: Duration) -> BoxFuture<'_, FarmStatus> {
        self.shown(within).boxed()
    }

    fn size(&self) -> usize {
        self.links.picture().nodes.len() + 1
    }

    fn changes(&self) -> channel::Receiver<u64> {
        self.links.changes()
    }

    fn init(&self, by: String) -> BoxFuture<'_, Result<FarmStatus, FarmRefusal>> {
        async move {
            self.links.init(&by).await.map_err(refusal)?;
            Ok(self.shown(Duration::ZERO).await)
        }
        .boxed()
    }

    fn invite(&self, by: String) -> BoxFuture<'_, Result<InvitationAnswer, FarmRefusal>> {
        async move {
            let invited = self.links.invite(&by).await.map_err(refusal)?;
            Ok(InvitationAnswer { line: invited.line, expires: invited.expires.to_string() })
        }
        .boxed()
    }

    fn join(
        &self,
        line: String,
        replace: Option<NodeName>,
        by: String,
    ) -> BoxFuture<'_, Result<FarmStatus, FarmRefusal>> {
        async move {
            self.links.join(&line, replace.as_ref(), &by).await.map_err(refusal)?;
            Ok(self.shown(Duration::ZERO).await)
        }
        .boxed()
    }

    fn remove(&self, name: NodeName, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>> {
        async move { self.links.remove(&name, &by).await.map_err(refusal) }.boxed()
    }

    fn leave(&self, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>> {
        async move { self.links.leave(&by).await.map_err(refusal) }.boxed()
    }

    fn authority_key(&self, by: String) -> BoxFuture<'_, Result<String, FarmRefusal>> {
        async move {
            let pem = self.links.backup().await.map_err(refusal)?;
            let message = "has taken a backup of the key of the farm's authority".to_owned();
            let record = RecordKind::Farm { event: FarmEvent::Note, peer: None, message, by: Some(by) };
            self.recorder.record(None, record).await;
            Ok(pem)
        }
        .boxed()
    }

    fn restore_authority_key(&self, pem: String, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>> {
        async move { self.links.restore(&pem, &by).await.map_err(refusal) }.boxed()
    }

    fn ask(
        &self,
        node: NodeName,
        request: http::Request<axum_core::body::Body>,
        caller: (String, Role),
    ) -> BoxFuture<'_, Result<axum_core::response::Response, FarmRefusal>> {
        async move {
            let (name, role) = caller;
            let caller = bellwether_links::Caller { name, role };
            let request = request.map(serve::outward);
            let answer = self.links.ask(&node, request, caller).await;
            answer.map(|answer| answer.map(axum_core::body::Body::new)).map_err(|why| self.not_asked(&why))
        }
        .boxed()
    }
}

impl Farm {
    fn not_asked(&self, why: &NotAsked) -> FarmRefusal {
        let kind = match why {
            NotAsked::NoFarm | NotAsked::NoSuchNode { .. } => FarmRefusalKind::NoSuchNode,
            NotAsked::NotHeard { .. } | NotAsked::CannotAuthenticate { .. } => FarmRefusalKind::NotHeard,
            NotAsked::Overdue { .. } | NotAsked::Lost { .. } => FarmRefusalKind::Overdue,
        };
        let since = match why {
            NotAsked::NotHeard { since: Some(since), .. } => {
                format!(" (it was heard until {})", self.clock.timestamp(*since))
            }
            _ => String::new(),
        };
        FarmRefusal { kind, detail: format!("{why}{since}"), next: String::new() }
    }
}

fn refusal(error: FarmError) -> FarmRefusal {
    let kind = match error.kind {
        FarmErrorKind::Conflict | FarmErrorKind::Refused => FarmRefusalKind::Conflict,
        FarmErrorKind::NoSuchNode => FarmRefusalKind::NoSuchNode,
        FarmErrorKind::Invalid => FarmRefusalKind::Invalid,
        FarmErrorKind::NotReached => FarmRefusalKind::NotHeard,
        FarmErrorKind::Overdue => FarmRefusalKind::Overdue,
        FarmErrorKind::Failed => FarmRefusalKind::Failed,
    };
    FarmRefusal { kind, detail: error.detail, next: String::new() }
}
