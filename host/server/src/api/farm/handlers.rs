//! The operations on the farm.

use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bellwether_api::Problem;
use bellwether_api::farm::{AuthorityKey, FarmStatus, InvitationAnswer, JoinRequest};
use bellwether_core::id::NodeName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Farm, FarmRefusal, FarmRefusalKind};
use crate::api::extract::{Json, Path, Query};
use crate::api::{Caller, Daemon, Handle, Way};

/// The usual time to wait for the status of other nodes, in milliseconds.
const WITHIN_MS: u64 = 1_000;
/// The longest such time.
const WITHIN_AT_MOST_MS: u64 = 5_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct FarmQuery {
    /// How long to wait for the current status of other nodes, in milliseconds; by default 1000.
    #[schemars(range(max = 5000))]
    within_ms: Option<u64>,
}

/// The daemon's part in the farm.
pub(crate) fn part(daemon: &dyn Daemon) -> Result<&dyn Farm, Problem> {
    daemon.farm().ok_or_else(|| Problem {
        title: "no farm".into(),
        status: 503,
        detail: "this daemon cannot be part of a farm".into(),
        next: "use the `bellwether` of the daemon's own version".into(),
    })
}

impl From<FarmRefusal> for Problem {
    fn from(refusal: FarmRefusal) -> Self {
        let (title, status, next) = match refusal.kind {
            FarmRefusalKind::Conflict => ("not possible now", 409, "see `bellwether farm status`"),
            FarmRefusalKind::NoSuchNode => {
                ("no such node", 404, "`bellwether farm status` lists the nodes of the farm")
            }
            FarmRefusalKind::NotHeard => ("node unknown", 503, "see `bellwether farm status`"),
            FarmRefusalKind::Overdue => ("overdue", 504, "check the state of that node before you try again"),
            FarmRefusalKind::Invalid => ("bad request", 400, "correct the request and try again"),
            FarmRefusalKind::Failed => ("failed", 503, "see the daemon's log"),
        };
        let next = if refusal.next.is_empty() { next.to_owned() } else { refusal.next };
        Self { title: title.into(), status, detail: refusal.detail, next }
    }
}

pub(in crate::api) async fn status(
    State(daemon): State<Handle>,
    Query(asked): Query<FarmQuery>,
) -> Result<Json<FarmStatus>, Problem> {
    let within = asked.within_ms.unwrap_or(WITHIN_MS);
    if within > WITHIN_AT_MOST_MS {
        return Err(Problem::bad_request(format!(
            "within_ms: expected a number of milliseconds up to {WITHIN_AT_MOST_MS}"
        )));
    }
    Ok(Json(part(&*daemon)?.status(Duration::from_millis(within)).await))
}

pub(in crate::api) async fn init(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<FarmStatus>, Problem> {
    Ok(Json(part(&*daemon)?.init(caller.by()).await?))
}

pub(in crate::api) async fn invite(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Json<InvitationAnswer>), Problem> {
    Ok((StatusCode::CREATED, Json(part(&*daemon)?.invite(caller.by()).await?)))
}

pub(in crate::api) async fn join(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Json(JoinRequest { line, replace }): Json<JoinRequest>,
) -> Result<Json<FarmStatus>, Problem> {
    let replace = replace.as_deref().map(node_name).transpose()?;
    Ok(Json(part(&*daemon)?.join(line.trim().to_owned(), replace, caller.by()).await?))
}

pub(in crate::api) async fn remove(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let farm = part(&*daemon)?;
    let Ok(node) = NodeName::new(&name) else { return Err(no_such_node(&*daemon, &name).await) };
    farm.remove(node, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::api) async fn leave(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Problem> {
    part(&*daemon)?.leave(caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::api) async fn authority_key(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<AuthorityKey>, Problem> {
    on_the_local_socket(&caller)?;
    Ok(Json(AuthorityKey { pem: part(&*daemon)?.authority_key(caller.by()).await? }))
}

pub(in crate::api) async fn restore_authority_key(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Json(AuthorityKey { pem }): Json<AuthorityKey>,
) -> Result<StatusCode, Problem> {
    on_the_local_socket(&caller)?;
    part(&*daemon)?.restore_authority_key(pem, caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The key makes nodes: it never leaves the machine over a network.
fn on_the_local_socket(caller: &Caller) -> Result<(), Problem> {
    if caller.way == Way::LocalSocket {
        return Ok(());
    }
    Err(Problem {
        title: "only on the local socket".into(),
        status: 409,
        detail: "the key of the certificate authority is only available on the local socket".into(),
        next: "run `bellwether farm backup` or `bellwether farm restore` on the node itself".into(),
    })
}

/// The name of a node in a request.
fn node_name(text: &str) -> Result<NodeName, Problem> {
    NodeName::new(text).map_err(|error| Problem::bad_request(format!("the name of a node: {error}")))
}

/// No node has this name; the answer lists the nodes that there are.
pub(crate) async fn no_such_node(daemon: &dyn Daemon, name: &str) -> Problem {
    let mut names: Vec<String> = match daemon.farm() {
        Some(farm) => {
            let status = farm.status(Duration::ZERO).await;
            status.nodes.iter().map(|node| node.name.to_string()).collect()
        }
        None => Vec::new(),
    };
    if names.is_empty() {
        names.push(daemon.snapshot().node.to_string());
    }
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let and =
        if more > 0 { format!(", and {more} more: see `bellwether farm status`") } else { String::new() };
    Problem {
        title: "no such node".into(),
        status: 404,
        detail: format!("the farm has no node `{name}`"),
        next: format!("its nodes are: {}{and}", names.join(", ")),
    }
}

/// This many names are listed at most.
const LISTED: usize = 20;
