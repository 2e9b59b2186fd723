//! What this node answers to others.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::access::Role;
use bellwether_core::text;
use bellwether_farm::admission::Standing;
use bellwether_farm::id::NodeId;
use bellwether_os::at_most;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::body::{json, problem, read_json, refused};
use crate::connections::Closing;
use crate::message::Message;
use crate::node::Node;
use crate::serve::{Body, ForwardedCaller};
use crate::tls::Peer;
use crate::wall::shown;
use crate::wire::{
    API, AUTHORITY_KEY, AuthorityKey, FORWARDED, HELLO, Hello, JOIN, LONGEST, LONGEST_OF_STRANGERS, Problem,
    RENEW, ROLE, ROSTER, RenewAnswer, RenewRequest, STREAM, USER,
};
use crate::{stream, wire::JoinRequest};

/// The actor, and the disk, must have answered by then.
const DECIDED_WITHIN: Duration = at_most!(Duration::from_secs(10));
/// The longest name of a user or token, in bytes.
const MAX_USER: usize = 256;

/// The other side of one connection.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) node: Arc<Node>,
    /// Who it is, by its certificate.
    pub(crate) peer: Option<Peer>,
    /// The address that it is seen at.
    pub(crate) from: IpAddr,
    /// Closes the connection.
    pub(crate) closing: Closing,
}

/// Answers one request.
pub(crate) async fn answer(client: Client, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET, HELLO) => hello(&client.node),
        (&Method::POST, JOIN) => join(&client, request.into_body()).await,
        _ => match member(&client) {
            Ok(peer) => answer_member(client, peer, request).await,
            Err(why) => problem(StatusCode::FORBIDDEN, &why),
        },
    }
}

/// The roster is asked for every request: a connection may be older than a removal.
fn member(client: &Client) -> Result<Peer, Problem> {
    let forbidden = |detail: String, removal| Problem { detail, removal };
    let Some(peer) = client.peer else {
        return Err(forbidden("a certificate of the farm is needed for this".to_owned(), None));
    };
    let now = client.node.wall.now();
    if peer.until < now {
        let detail = format!("the certificate of this connection expired at {}", shown(peer.until));
        return Err(forbidden(detail, None));
    }
    match client.node.standing(peer.id) {
        Standing::Member => Ok(peer),
        Standing::Removed(removal) => {
            let at = shown(i64::try_from(removal.at).unwrap_or(i64::MAX));
            let detail = format!("{} was removed from the farm by {} at {at}", removal.name, removal.by);
            Err(forbidden(detail, Some(removal)))
        }
        Standing::Unknown => {
            let detail = format!("{} does not know this node: its roster may be older", client.node.name);
            Err(forbidden(detail, None))
        }
    }
}

async fn answer_member(client: Client, peer: Peer, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    let is_post = request.method() == Method::POST;
    if path.starts_with(API) {
        return forwarded(&client.node, peer.id, request).await;
    }
    match path {
        STREAM if is_post => stream::accept(&client.node, peer, client.closing, request.into_body()).await,
        ROSTER if is_post => exchange(&client.node, request.into_body()).await,
        RENEW if is_post => renew(&client.node, peer.id, request.into_body()).await,
        AUTHORITY_KEY if request.method() == Method::GET => authority_key(&client.node, peer.id).await,
        _ => refused(StatusCode::NOT_FOUND, "this version does not know the request"),
    }
}

fn hello(node: &Node) -> Response<Body> {
    let (farm, name) = (node.farm, node.name.clone());
    let hello = Hello { farm, node: name, version: node.version.clone(), wall_ms: node.wall.now_ms() };
    json(StatusCode::OK, &hello)
}

/// Lets the actor decide, and answers with its decision.
async fn decided<T>(
    node: &Node,
    message: impl FnOnce(oneshot::Sender<T>) -> Message,
    answer: impl FnOnce(T) -> Response<Body>,
) -> Response<Body> {
    let why = match timeout(DECIDED_WITHIN, node.ask_actor(message)).await {
        Ok(Some(decision)) => return answer(decision),
        Ok(None) => "this node is leaving the farm",
        Err(_) => "this node could not decide in time: try again",
    };
    refused(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn unreadable(why: &str) -> Response<Body> {
    refused(StatusCode::BAD_REQUEST, &format!("the request cannot be read: {why}"))
}

async fn join(client: &Client, body: Incoming) -> Response<Body> {
    let request: JoinRequest = match read_json(body, LONGEST_OF_STRANGERS).await {
        Ok(request) => request,
        Err(why) => return unreadable(&why),
    };
    let (request, from) = (Box::new(request), client.from);
    let answer = decided(
        &client.node,
        |reply| Message::Admit { request, from, reply },
        |answer| match answer {
            Ok(answer) => json(StatusCode::OK, &answer),
            Err(why) => problem(StatusCode::FORBIDDEN, &why),
        },
    );
    answer.await
}

async fn exchange(node: &Node, body: Incoming) -> Response<Body> {
    let roster = match read_json(body, LONGEST).await {
        Ok(roster) => roster,
        Err(why) => return unreadable(&why),
    };
    let answer =
        decided(node, |reply| Message::Exchange { roster, reply }, |roster| json(StatusCode::OK, &roster));
    answer.await
}

async fn renew(node: &Node, peer: NodeId, body: Incoming) -> Response<Body> {
    let request: RenewRequest = match read_json(body, LONGEST_OF_STRANGERS).await {
        Ok(request) => request,
        Err(why) => return unreadable(&why),
    };
    let request = request.request;
    let answer = decided(
        node,
        |reply| Message::Renew { peer, request, reply },
        |answer| match answer {
            Ok(certificate) => json(StatusCode::OK, &RenewAnswer { certificate }),
            Err(why) => problem(StatusCode::CONFLICT, &why),
        },
    );
    answer.await
}

async fn authority_key(node: &Node, peer: NodeId) -> Response<Body> {
    let answer = decided(
        node,
        |reply| Message::GiveKey { peer, reply },
        |answer| match answer {
            Ok(key) => json(StatusCode::OK, &AuthorityKey { key }),
            Err(why) => problem(StatusCode::CONFLICT, &why),
        },
    );
    answer.await
}

/// An API request of a user at another node.
async fn forwarded(node: &Node, peer: NodeId, request: Request<Incoming>) -> Response<Body> {
    let Some(member) = node.member(peer) else {
        return refused(StatusCode::FORBIDDEN, "the node is not a member of the farm");
    };
    let Some((name, role)) = caller(request.headers()) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "a forwarded request says whose it is, and which role that is",
        );
    };
    let caller = ForwardedCaller { name, role, through: member.name };
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(USER);
    parts.headers.remove(ROLE);
    let path = parts.uri.path_and_query().and_then(|path| path.as_str().strip_prefix(FORWARDED));
    let uri = path.and_then(|path| Uri::builder().path_and_query(path).build().ok());
    let Some(uri) = uri else { return unreadable("its path is not one") };
    parts.uri = uri;
    node.serve.answer(Request::from_parts(parts, body), caller).await
}

fn caller(headers: &HeaderMap) -> Option<(String, Role)> {
    let field = |name| headers.get(name)?.to_str().ok();
    let name = text::one_line(field(USER)?, MAX_USER);
    let role = field(ROLE)?.parse().ok()?;
    (!name.is_empty()).then_some((name, role))
}
