//! What can be asked of a component.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Path, State};

use super::problem::overdue;
use super::{Caller, Daemon, Handle};
use crate::reload::NotApproved;
use crate::serve::wire::{ApprovalAnswer, Problem};

/// It waits for the disk, and for what is just being taken over.
const APPROVE_WITHIN: Duration = Duration::from_secs(4);

/// By its name alone.
pub(super) async fn approve(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<ApprovalAnswer>, Problem> {
    let_in(&*daemon, name, caller.by()).await
}

/// With its folder.
pub(super) async fn approve_in(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((folder, name)): Path<(String, String)>,
) -> Result<Json<ApprovalAnswer>, Problem> {
    let_in(&*daemon, format!("{folder}/{name}"), caller.by()).await
}

async fn let_in(daemon: &dyn Daemon, name: String, by: String) -> Result<Json<ApprovalAnswer>, Problem> {
    let outcome = tokio::time::timeout(APPROVE_WITHIN, daemon.approve(name, by)).await;
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
        NotApproved::NotWritten(_) => "make room on the disk of state/, and approve it again".to_owned(),
        NotApproved::Ending => "approve it again once the daemon is back".to_owned(),
    };
    Problem { title: "not approved".into(), status: 409, detail: error.to_string(), next }
}
