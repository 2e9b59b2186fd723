//! The API for clients on this node: HTTP/1.1 over a Unix socket in the root.
//!
//! All operations are listed in [`operations`], and described in `docs/openapi.json`. Streams are newline-delimited
//! JSON; an empty line every second is a keep-alive. Errors are `application/problem+json`.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use bellwether_core::access::Role;
use bellwether_core::command::{CommandOutcome, Order};
use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::observation::{NotRun, Observation};
use bellwether_core::permission::Authorization;
use bellwether_core::plan::{Occasion, Plan, PlanError};
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::Snapshot;
use bellwether_core::why::Inactive;
use futures_util::future::BoxFuture;
use tokio::sync::{broadcast, watch};

use self::farm::Farm;
use super::guard::never_ends;
use super::http_server::{Accept, Connection, ConnectionLimit, HttpServer};
use super::in_time;
use crate::access::Access;
use bellwether_api::notifications::Tested;
use bellwether_api::{ComponentDetail, ComponentStatus, ConsoleStatus, NotifyStatus};
use bellwether_bus::Entry;
use bellwether_config::RootReport;
use bellwether_core::chart::{Chart, ChartQuery};
use bellwether_core::reload::{Approved, NotApproved};
use bellwether_journal::{NotRead, RecordQuery};
use bellwether_os::clock::Clock;
use bellwether_os::socket::{Listener, Peer, Stream};
use bellwether_os::spawn::log_file::LogTail;

mod accounts;
mod components;
mod events;
pub(crate) mod extract;
pub mod farm;
mod live;
mod measurements;
mod modules;
mod notifications;
mod openapi;
mod operations;
mod pictures;
mod plain;
mod problem;
pub(crate) mod status;
mod stream;

pub use self::status::node_status;

/// The API's interface to the daemon. Everything except commands, runs of a checker and queries of the journal is
/// published already, and returns immediately.
pub trait Daemon: Send + Sync + 'static {
    /// The time line of all moments.
    fn clock(&self) -> Clock;
    /// Users, tokens and sessions.
    fn access(&self) -> &Access;
    /// The latest snapshot of all modules.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// Changes with every snapshot, to its generation.
    fn generations(&self) -> watch::Receiver<u64>;
    /// Records, the latest last.
    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Entry>, NotRead>>;
    /// What each of several queries finds, read at once.
    fn records_of(&self, queries: Vec<RecordQuery>) -> BoxFuture<'_, Result<Vec<Vec<Entry>>, NotRead>>;
    /// Records from now on. A reader that falls behind reads them again with [`Daemon::records`].
    fn follow(&self) -> broadcast::Receiver<Entry>;
    /// A chart of measurements.
    fn chart(&self, query: ChartQuery) -> BoxFuture<'_, Result<Chart, NotRead>>;
    /// The end of the output of a module's commands, the most recently written first.
    fn log(&self, module: ModuleName) -> BoxFuture<'_, Vec<LogTail>>;
    /// The plan that the restart script would make now, which is not carried out.
    fn preview(&self, module: ModuleName, occasion: Occasion) -> BoxFuture<'_, Result<Plan, PlanError>>;
    /// The operator's files with their present content, each read separately; `None` if that takes too long.
    fn files(&self) -> BoxFuture<'_, Option<Arc<RootReport>>>;
    /// Everything about one component: `checkers/http`.
    fn component(&self, folder: String, name: String) -> BoxFuture<'_, Option<ComponentDetail>>;
    /// Loaded components, and those that could not be loaded.
    fn components(&self) -> Vec<ComponentStatus>;
    /// Whether the core is running. While it is stalled, everything that is shown counts as outdated.
    fn turns(&self) -> bool {
        true
    }
    /// Rejected files, and other problems.
    fn problems(&self) -> Vec<String>;
    /// Files of the modules and components whose latest version is not active, relative to the root, and why. All
    /// of them are among the problems, too.
    fn not_in_force(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// Files that this module uses and whose latest version is not active.
    fn inactive(&self, _module: &ModuleName) -> Vec<Inactive> {
        Vec::new()
    }
    /// The address and certificate of the console, if there is one.
    fn console(&self) -> Option<ConsoleStatus> {
        None
    }
    /// The state of the notification targets.
    fn notifications(&self) -> Vec<NotifyStatus> {
        Vec::new()
    }
    /// Sends a test to one of them, or to all. Empty if none has that name.
    fn test_notifications(&self, _target: Option<String>, _by: String) -> BoxFuture<'_, Vec<Tested>> {
        Box::pin(std::future::ready(Vec::new()))
    }
    /// Passes a command to the core, if this authorization still allows it when its turn comes.
    fn command(
        &self,
        module: ModuleName,
        order: Order,
        authorization: Authorization,
        by: String,
    ) -> BoxFuture<'_, CommandOutcome>;
    /// Records an action of a user.
    fn note(&self, module: Option<ModuleName>, kind: RecordKind);
    /// Approves a version of a component that waits for it: `checkers/http`, or `http`; only the version with this
    /// digest, if one is given.
    fn approve(
        &self,
        name: String,
        seen: Option<String>,
        by: String,
    ) -> BoxFuture<'_, Result<Approved, NotApproved>>;
    /// Runs a checker once, in addition to its schedule. The observation is shown and has no effect. An error says
    /// why it cannot be run.
    fn run_checker(
        &self,
        module: ModuleName,
        checker: CheckerName,
    ) -> BoxFuture<'_, Result<Observation, NotRun>>;
    /// The farm's part of the daemon. `None` if this daemon has none, which is so only in tests.
    fn farm(&self) -> Option<&dyn Farm> {
        None
    }
}

/// The authenticated caller of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// `root`, `uid 1000`, a user's name, or `token NAME`.
    pub(crate) name: String,
    /// The role of the caller.
    pub(crate) role: Role,
    /// The origin: `on the local socket`, `from 192.0.2.7`.
    pub(crate) origin: String,
    /// How the request arrived.
    pub(crate) way: Way,
    /// Whether it has a session that can be ended.
    pub(crate) signed_in: bool,
    /// Becomes true when the session, or the token, has ended.
    pub(crate) ended: watch::Receiver<bool>,
}

/// How a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// On the local socket of this node.
    LocalSocket,
    /// On the console's listener.
    Console,
    /// Another node has forwarded it.
    OtherNode,
}

impl Caller {
    /// A caller that may open the local socket has all rights.
    fn local(uid: u32) -> Self {
        let name = if uid == 0 { "root".to_owned() } else { format!("uid {uid}") };
        Self {
            name,
            role: Role::Admin,
            origin: "on the local socket".to_owned(),
            way: Way::LocalSocket,
            signed_in: false,
            ended: never_ends(),
        }
    }

    /// The caller and the origin, for the journal.
    pub(crate) fn by(&self) -> String {
        format!("{} {}", self.name, self.origin)
    }
}

type Handle = Arc<dyn Daemon>;

/// A request that is not answered within this time gets an error. Longer than the longest time limit of a checker.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);
/// The core answers a command in the same iteration; after this time it is stalled.
pub(crate) const COMMAND_WITHIN: Duration = Duration::from_secs(4);
/// The time limit for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The maximum number of clients; more of them wait in the queue of the socket.
const MAX_CLIENTS: usize = 64;
/// Commands and queries are small.
const MAX_BODY: usize = 64 << 10;

/// The API for the local socket.
fn router(daemon: Handle) -> Router {
    bounded(routes(daemon).fallback(problem::no_such_page)).layer(from_fn(in_time::body))
}

/// For operations with small bodies that are answered in time.
pub(crate) fn bounded(router: Router) -> Router {
    router
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(plain::answer))
        .layer(from_fn(answer_in_time))
}

/// The routes, for any listener that authenticates callers.
pub(crate) fn routes(daemon: Handle) -> Router {
    let mut v1 = Router::new();
    for operation in operations::all() {
        v1 = v1.route(operation.path, operation.route());
    }
    let v1 = v1
        .fallback(problem::no_such_page)
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(daemon);
    Router::new().nest("/api/v1", v1)
}

async fn answer_in_time(request: Request, next: Next) -> Response {
    // The head of a stream is sent immediately; its body is not waited for here.
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => problem::overdue().into_response(),
    }
}

/// Serves clients until `shutdown` completes. Only the daemon's own user and root are accepted (`SO_PEERCRED`,
/// unix(7)).
pub async fn serve<L: Listener + 'static>(
    listener: L,
    daemon: Arc<dyn Daemon>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let router = router(daemon);
    let server = HttpServer {
        what: "the local socket",
        limit: ConnectionLimit::new(MAX_CLIENTS),
        head_within: HEAD_WITHIN,
        longest: None,
    };
    let answer = move |stream: L::Stream, connection: Connection| {
        let (caller, router) = (admitted(&stream), router.clone());
        async move {
            let Some(caller) = caller else { return };
            connection.serve(stream, router.layer(Extension(caller))).await;
        }
    };
    server.serve(LocalSocket(listener), answer, shutdown).await;
}

/// The local socket. Its clients have no address to count them by.
struct LocalSocket<L>(L);

impl<L: Listener> Accept for LocalSocket<L> {
    type Client = L::Stream;

    async fn accept_client(&self) -> io::Result<L::Stream> {
        self.0.accept().await
    }

    fn address_of(_: &L::Stream) -> Option<IpAddr> {
        None
    }
}

/// The caller, if it is accepted.
fn admitted(stream: &impl Stream) -> Option<Caller> {
    let Peer { uid, own } = stream.peer().ok()?;
    let allowed = may_ask(uid, own);
    if !allowed {
        tracing::warn!(uid, "refused on the local socket: only the daemon's own user and root may ask");
    }
    allowed.then(|| Caller::local(uid))
}

fn may_ask(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}

/// A body that is written line by line.
type Line = Result<String, Infallible>;

#[cfg(test)]
pub(crate) mod tests;
