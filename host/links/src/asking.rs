//! Requests to other members, on a connection beside that of the membership: a large answer delays no frame.
//!
//! ```text
//!   none ──a request──▶ dialled ──▶ in use ──idle for a minute──▶ closed
//!                                     └─ another certificate, or a day old ──▶ the next request dials anew
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_farm::id::NodeId;
use bellwether_farm::renewal;
use bellwether_farm::roster::Member;
use bellwether_os::at_most;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until, timeout};

use crate::body::{empty, full, read_json, refusal};
use crate::connections::Closing;
use crate::dial::{Connection, NotDialled, chain, dial, not_answered};
use crate::identity::Identity;
use crate::node::Node;
use crate::serve::{Body, BoxError};
use crate::wire::{LONGEST, Problem};

/// A connection without requests is closed after this time.
const IDLE: Duration = Duration::from_mins(1);
/// The head of an answer of the farm's own operations must have come by then.
const OWN_WITHIN: Duration = at_most!(Duration::from_secs(10));
/// What requests between nodes have as the host: who is meant is decided by the connection.
pub(crate) const AUTHORITY: &str = "node.bellwether";

/// The connections for requests, at most one with each member.
#[derive(Default)]
pub(crate) struct Requests {
    peers: Mutex<BTreeMap<NodeId, Slot>>,
}

/// The connection with one member. Whoever dials holds the lock, so that others use the same connection.
type Slot = Arc<tokio::sync::Mutex<Option<Open>>>;

struct Open {
    connection: Connection,
    made_with: Arc<Identity>,
    at: Instant,
    usage: Arc<Usage>,
}

/// How much a connection is used.
struct Usage(Mutex<InUse>);

struct InUse {
    requests: usize,
    last: Instant,
}

/// A request on a connection, until its answer has been received or given up.
pub(crate) struct Ongoing(Arc<Usage>);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAnswered {
    /// Nothing was sent.
    NotDialled(NotDialled),
    /// It was sent, and not answered in time.
    Overdue,
    /// It was sent, and the connection was lost.
    Lost(String),
}

impl Usage {
    fn begin(self: &Arc<Self>) -> Ongoing {
        self.with(|usage| usage.requests += 1);
        Ongoing(Arc::clone(self))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut InUse) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.0.with(|usage| {
            usage.requests -= 1;
            usage.last = Instant::now();
        });
    }
}

impl Open {
    /// Whether the next request may use it.
    fn serves(&self, node: &Node) -> bool {
        let is_current = Arc::ptr_eq(&self.made_with, &node.tls.identity());
        let is_due = renewal::connection_is_due(self.at.elapsed().as_secs(), is_current);
        !is_due && !self.connection.sender.is_closed()
    }
}

impl Requests {
    /// Forgets all but these members. Their connections are closed elsewhere.
    pub(crate) fn keep(&self, is_member: impl Fn(NodeId) -> bool) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| is_member(*id));
    }

    fn slot(&self, peer: NodeId) -> Slot {
        Arc::clone(self.peers.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default())
    }

    /// A connection with the member, and whether it was made now.
    async fn connection(
        &self,
        node: &Node,
        id: NodeId,
        member: &Member,
    ) -> Result<(Connection, Ongoing, bool), NotDialled> {
        let slot = self.slot(id);
        let mut slot = slot.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| open.serves(node)) {
            return Ok((open.connection.clone(), open.usage.begin(), false));
        }
        let made_with = node.tls.identity();
        let (connection, _) = dial(node, id, member).await?;
        let usage = Arc::new(Usage(Mutex::new(InUse { requests: 0, last: Instant::now() })));
        tokio::spawn(close_when_idle(connection.closing.clone(), Arc::clone(&usage)));
        let ongoing = usage.begin();
        *slot = Some(Open { connection: connection.clone(), made_with, at: Instant::now(), usage });
        Ok((connection, ongoing, true))
    }
}

async fn close_when_idle(closing: Closing, usage: Arc<Usage>) {
    loop {
        let (requests, last) = usage.with(|usage| (usage.requests, usage.last));
        let idle_at = if requests == 0 { last + IDLE } else { Instant::now() + IDLE };
        if idle_at <= Instant::now() {
            return closing.close();
        }
        tokio::select! {
            () = sleep_until(idle_at) => {}
            () = closing.closed() => return,
        }
    }
}

/// Sends a request to a member. The head of the answer must come within this time; its body may be a stream without an
/// end.
pub(crate) async fn send(
    node: &Node,
    id: NodeId,
    mut request: Request<Body>,
    within: Duration,
) -> Result<(Response<Incoming>, Ongoing), NotAnswered> {
    let unknown =
        || NotAnswered::NotDialled(NotDialled::Refused("it is not a member of the farm".to_owned()));
    let member = node.member(id).ok_or_else(unknown)?;
    // That the other side has closed a connection may be noticed only when it is used.
    for _ in 0..2 {
        let connection = node.requests.connection(node, id, &member).await;
        let (mut connection, ongoing, is_new) = connection.map_err(NotAnswered::NotDialled)?;
        let sent = timeout(within, connection.sender.try_send_request(request)).await;
        let mut failed = match sent {
            Err(_) => return Err(NotAnswered::Overdue),
            Ok(Ok(response)) => return Ok((response, ongoing)),
            Ok(Err(failed)) => failed,
        };
        match failed.take_message() {
            Some(again) if !is_new => request = again,
            not_sent => {
                let error = chain(failed.error());
                let why = not_answered(node, connection, &member, &error).await;
                let is_refused = not_sent.is_some() || matches!(why, NotDialled::CannotAuthenticate(_));
                return Err(if is_refused { NotAnswered::NotDialled(why) } else { NotAnswered::Lost(error) });
            }
        }
    }
    Err(NotAnswered::Lost("its connections end as soon as they are made".to_owned()))
}

/// Sends an API request, whose answer is passed on as it comes.
pub(crate) async fn pass_on(
    node: &Node,
    id: NodeId,
    request: Request<Body>,
    within: Duration,
) -> Result<Response<Body>, NotAnswered> {
    let (response, ongoing) = send(node, id, request, within).await?;
    let response = refusal(response).await.map_err(refused)?;
    Ok(response.map(|body| {
        let guarded = body.map_frame(move |frame| {
            // The connection is in use until the last frame has come, or the body is dropped.
            let _in_use = &ongoing;
            frame
        });
        guarded.map_err(BoxError::from).boxed_unsync()
    }))
}

/// One of the farm's own operations: a JSON document, which is answered with another one.
pub(crate) async fn call<A: DeserializeOwned>(
    node: &Node,
    id: NodeId,
    path: &'static str,
    content: Option<&impl Serialize>,
) -> Result<A, NotAnswered> {
    let unusable = |why: String| NotAnswered::NotDialled(NotDialled::Refused(why));
    let request = document(path, content).map_err(unusable)?;
    let (response, _ongoing) = send(node, id, request, OWN_WITHIN).await?;
    let response = refusal(response).await.map_err(refused)?;
    read_json(response.into_body(), LONGEST)
        .await
        .map_err(|why| unusable(format!("its answer is unusable: {why}")))
}

/// The request of an operation: `GET` without content.
pub(crate) fn document(
    path: &'static str,
    content: Option<&impl Serialize>,
) -> Result<Request<Body>, String> {
    let uri = Uri::builder().scheme("https").authority(AUTHORITY).path_and_query(path);
    let builder = Request::builder().uri(uri.build().map_err(|error| error.to_string())?);
    let request = match content {
        None => builder.method(Method::GET).body(empty()),
        Some(content) => {
            let text = serde_json::to_vec(content).map_err(|error| error.to_string())?;
            builder.method(Method::POST).header(CONTENT_TYPE, "application/json").body(full(text))
        }
    };
    request.map_err(|error| error.to_string())
}

fn refused(problem: Problem) -> NotAnswered {
    NotAnswered::NotDialled(match problem.removal {
        Some(removal) => NotDialled::Removed(removal),
        None => NotDialled::Refused(problem.detail),
    })
}

impl NotAnswered {
    /// A sentence without its subject, such as "nothing listens at 10.0.0.5:9013".
    pub(crate) fn why(&self) -> String {
        match self {
            Self::NotDialled(NotDialled::Removed(removal)) => {
                format!("it says that this node was removed from the farm by {}", removal.by)
            }
            Self::NotDialled(
                NotDialled::Unreachable(why) | NotDialled::CannotAuthenticate(why) | NotDialled::Refused(why),
            ) => why.clone(),
            Self::Overdue => "it has not answered in time".to_owned(),
            Self::Lost(why) => format!("the connection was lost ({why})"),
        }
    }
}
