//! Everything about the node, once or at every change.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use futures_util::stream::unfold;

use super::extract::Json;
use super::stream::{HEARTBEAT, line, response};
use super::{Caller, Daemon, Handle};
use crate::serve::wire::NodeStatus;

pub(super) async fn now(State(daemon): State<Handle>) -> Json<NodeStatus> {
    Json(look(&*daemon))
}

/// The status now, and again after each change. A slow reader misses pictures
/// between, never the latest.
pub(super) async fn stream(State(daemon): State<Handle>, Extension(caller): Extension<Caller>) -> Response {
    let generations = daemon.generations();
    let first = true;
    response(
        caller,
        unfold((daemon, generations, first), |(daemon, mut generations, first)| async move {
            if first {
                generations.borrow_and_update();
                let text = line(&look(&*daemon));
                return Some((Ok(text), (daemon, generations, false)));
            }
            let text = loop {
                match tokio::time::timeout(HEARTBEAT, generations.changed()).await {
                    Ok(Ok(())) => break line(&look(&*daemon)),
                    // The daemon ends.
                    Ok(Err(_)) => return None,
                    Err(_) if daemon.turns() => break "\n".to_owned(),
                    // What is shown by then may be old, and silence tells so.
                    Err(_) => {}
                }
            };
            Some((Ok(text), (daemon, generations, false)))
        }),
    )
}

fn look(daemon: &dyn Daemon) -> NodeStatus {
    let snapshot: Arc<_> = daemon.snapshot();
    let status = NodeStatus::new(&snapshot, daemon.components(), daemon.problems(), daemon.clock());
    NodeStatus { notifications: daemon.notifications(), console: daemon.console(), ..status }
}
