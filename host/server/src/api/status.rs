//! The status of the node, once or at every change.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use bellwether_core::headline::NodeCounts;
use bellwether_core::snapshot::Snapshot;
use futures_util::stream::unfold;
use tokio::time::Instant;

use super::extract::Json;
use super::stream::{HEARTBEAT, line, response};
use super::{Caller, Daemon, Handle};
use bellwether_api::NodeStatus;

/// A stream takes this part of the time to put the status into words, at most.
const PART: u32 = 10;

pub(super) async fn now(State(daemon): State<Handle>) -> Json<NodeStatus> {
    Json(node_status(&*daemon))
}

/// The status now, and again after each change. A slow reader misses pictures
/// between, never the latest; so does everyone if there is much to tell.
pub(super) async fn stream(State(daemon): State<Handle>, Extension(caller): Extension<Caller>) -> Response {
    let generations = daemon.generations();
    let next = None;
    response(
        caller,
        unfold((daemon, generations, next), |(daemon, mut generations, next)| async move {
            let Some(next) = next else {
                generations.borrow_and_update();
                let (text, next) = told(&*daemon);
                return Some((Ok(text), (daemon, generations, Some(next))));
            };
            let (text, next) = loop {
                match tokio::time::timeout(HEARTBEAT, generations.changed()).await {
                    Ok(Ok(())) => {
                        tokio::time::sleep_until(next).await;
                        generations.borrow_and_update();
                        break told(&*daemon);
                    }
                    // The daemon ends.
                    Ok(Err(_)) => return None,
                    Err(_) if daemon.turns() => break ("\n".to_owned(), next),
                    // What is shown by then may be old, and silence tells so.
                    Err(_) => {}
                }
            };
            Some((Ok(text), (daemon, generations, Some(next))))
        }),
    )
}

/// The status as a line, and when the next one may follow: what takes long to tell is told less often.
fn told(daemon: &dyn Daemon) -> (String, Instant) {
    let begun = Instant::now();
    let text = line(&node_status(daemon));
    (text, begun + begun.elapsed() * PART)
}

/// The status of this node.
pub fn node_status(daemon: &dyn Daemon) -> NodeStatus {
    let snapshot: Arc<_> = daemon.snapshot();
    let status = NodeStatus::new(&snapshot, daemon.components(), daemon.problems(), daemon.clock());
    NodeStatus {
        headline: counts(daemon, &snapshot).headline().sentence,
        notifications: daemon.notifications(),
        console: daemon.console(),
        ..status
    }
}

/// The facts about the node as a whole.
pub(crate) fn counts(daemon: &dyn Daemon, snapshot: &Snapshot) -> NodeCounts {
    let not_in_force = daemon.not_in_force();
    let never_loaded = not_in_force.iter().filter(|(file, _)| never_loaded(file, snapshot).is_some()).count();
    let problems = daemon.problems().len().saturating_sub(not_in_force.len());
    NodeCounts {
        never_loaded,
        not_in_force: not_in_force.len() - never_loaded,
        problems,
        stalled: !daemon.turns(),
        ..NodeCounts::of(snapshot.modules.iter().map(AsRef::as_ref))
    }
}

/// The module of this file, if no version of it is active.
pub(crate) fn never_loaded<'f>(file: &'f str, snapshot: &Snapshot) -> Option<&'f str> {
    let name = file.strip_prefix("modules/")?.strip_suffix(".toml")?;
    snapshot.module(name).is_none().then_some(name)
}

#[cfg(test)]
mod tests {
    use bellwether_core::moment::Moment;
    use bellwether_core::snapshot::ModuleView;
    use bellwether_core::state::StateName;

    use super::*;

    #[test]
    fn only_a_module_file_without_a_version_in_force_was_never_loaded() {
        let mut snapshot = Snapshot::empty("n1".parse().unwrap(), Moment::default());
        snapshot.modules.push(Arc::new(ModuleView::empty("web".parse().unwrap(), StateName::Up)));
        let of = |file| never_loaded(file, &snapshot);
        assert_eq!(of("modules/db.toml"), Some("db"));
        assert_eq!(of("modules/web.toml"), None, "its last good version is in force");
        assert_eq!(of("checkers/db.wasm"), None);
    }
}
