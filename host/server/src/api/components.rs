//! The operations on components.

use std::time::Duration;

use axum::extract::{Extension, State};

use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::{Json, Path, Query};
use super::problem::overdue;
use super::{Caller, Daemon, Handle};
use bellwether_api::{ApprovalAnswer, ComponentDetail, ComponentStatus, Problem};
use bellwether_core::reload::NotApproved;

/// It waits for the disk, and for files that are just being loaded.
const APPROVE_WITHIN: Duration = Duration::from_secs(4);

pub(super) async fn list(State(daemon): State<Handle>) -> Json<Vec<ComponentStatus>> {
    Json(daemon.components())
}

pub(super) async fn one(
    State(daemon): State<Handle>,
    Path((folder, name)): Path<(String, String)>,
) -> Result<Json<ComponentDetail>, Problem> {
    let title = format!("{folder}/{name}");
    daemon.component(folder, name).await.map(Json).ok_or_else(|| Problem {
        title: "no such component".into(),
        status: 404,
        detail: format!("there is no component `{title}` on this node"),
        next: "see `GET /api/v1/components` for those that there are".into(),
    })
}

/// By its name without the folder.
pub(super) async fn approve(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(decided): Query<Decided>,
) -> Result<Json<ApprovalAnswer>, Problem> {
    let_in(&*daemon, name, decided, caller.by()).await
}

pub(super) async fn approve_in(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((folder, name)): Path<(String, String)>,
    Query(decided): Query<Decided>,
) -> Result<Json<ApprovalAnswer>, Problem> {
    let_in(&*daemon, format!("{folder}/{name}"), decided, caller.by()).await
}

/// The state that the user decided on, as query parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    /// The digest of the waiting version that was inspected.
    digest: Option<String>,
}

async fn let_in(
    daemon: &dyn Daemon,
    name: String,
    decided: Decided,
    by: String,
) -> Result<Json<ApprovalAnswer>, Problem> {
    let outcome = tokio::time::timeout(APPROVE_WITHIN, daemon.approve(name, decided.digest, by)).await;
    match outcome.map_err(|_| overdue())? {
        Ok(approved) => Ok(Json(ApprovalAnswer {
            what: approved.what,
            digest: approved.version.digest,
            version: approved.version.version,
            asks: approved.version.asks,
        })),
        Err(error) => Err(problem(&error)),
    }
}

fn problem(error: &NotApproved) -> Problem {
    let next = match error {
        NotApproved::NothingWaits(_) => "see `bellwether status` for what waits for approval".to_owned(),
        NotApproved::Ambiguous(name) => {
            format!("name one: bellwether approve checkers/{name}, or restart-scripts/{name}")
        }
        NotApproved::Moved(_) => "look again at what waits: `bellwether status`".to_owned(),
        NotApproved::NotWritten(_) => "make room on the disk of state/, and approve it again".to_owned(),
        NotApproved::Ending => "approve it again once the daemon is back".to_owned(),
    };
    Problem { title: "not approved".into(), status: 409, detail: error.to_string(), next }
}
