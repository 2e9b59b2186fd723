//! The status of the other nodes, as each was last asked for it.
//!
//! ```text
//!   somebody looks at the farm ──▶ whose status is older than what it says of itself? ──▶ these are asked, side by side
//!                                                                                          └──▶ kept, with its time
//! ```
//! A node that nobody looks at is not asked. What was kept of a node that is not heard any more is what was true then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_api::NodeStatus;
use bellwether_core::access::Role;
use bellwether_core::id::NodeName;
use bellwether_core::moment::Moment;
use bellwether_farm::id::NodeId;
use bellwether_farm::membership::{Hearing, PeerView};
use bellwether_links::{Body, Caller, Links, Picture};
use bellwether_os::clock::Clock;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// The number of nodes that are asked at the same time.
const AT_ONCE: usize = 16;
/// A node that has not answered by then is asked again later.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// The maximum size of a status, in bytes: thousands of checkers.
const MAX_STATUS: usize = 16 << 20;

/// Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(super) struct Pictures(Arc<Shared>);

struct Shared {
    links: Links,
    clock: Clock,
    table: Mutex<Table>,
    /// Changes whenever a request has ended.
    ended: watch::Sender<u64>,
    permits: Semaphore,
}

#[derive(Default)]
struct Table {
    known: Known,
    under_way: BTreeSet<NodeId>,
}

/// The status of each node, if it was ever asked for it.
pub(super) type Known = BTreeMap<NodeId, Arc<OtherStatus>>;

/// The status of another node.
#[derive(Debug)]
pub(super) struct OtherStatus {
    pub(super) status: NodeStatus,
    /// When it was asked for: it was true then or a moment later.
    pub(super) at: Moment,
}

impl Pictures {
    pub(super) fn new(links: Links, clock: Clock) -> Self {
        let (ended, _) = watch::channel(0);
        let (table, permits) = (Mutex::default(), Semaphore::new(AT_ONCE));
        Self(Arc::new(Shared { links, clock, table, ended, permits }))
    }

    /// What is known after asking the nodes of the picture that have something new to say. Those that have not answered
    /// within `within` are known as before, and their answer is kept when it comes.
    pub(super) async fn fresh(&self, picture: &Picture, within: Duration) -> Known {
        let until = Instant::now() + within;
        let mut ended = self.0.ended.subscribe();
        let asked = self.ask(picture);
        loop {
            ended.borrow_and_update();
            if within.is_zero() || self.0.has_ended(&asked) {
                return self.0.table().known.clone();
            }
            if tokio::time::timeout_at(until, ended.changed()).await.is_err() {
                return self.0.table().known.clone();
            }
        }
    }

    /// Begins to ask the nodes whose status is old, and returns all that are being asked.
    fn ask(&self, picture: &Picture) -> BTreeSet<NodeId> {
        let mut table = self.0.table();
        let Table { known, under_way } = &mut *table;
        known.retain(|id, _| picture.nodes.iter().any(|node| node.id == *id));
        for node in &picture.nodes {
            let known = known.get(&node.id).map(|known| (known.status.generation, known.at));
            if is_old(known, &node.view) && under_way.insert(node.id) {
                let (shared, id, name) = (Arc::clone(&self.0), node.id, node.member.name.clone());
                tokio::spawn(async move { shared.ask(id, name).await });
            }
        }
        under_way.clone()
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether none of these is being asked any more.
    fn has_ended(&self, asked: &BTreeSet<NodeId>) -> bool {
        asked.is_disjoint(&self.table().under_way)
    }

    async fn ask(&self, id: NodeId, name: NodeName) {
        let answer = tokio::time::timeout(ASK_WITHIN, self.status_of(&name)).await;
        let mut table = self.table();
        table.under_way.remove(&id);
        match answer {
            Ok(Ok(status)) => drop(table.known.insert(id, Arc::new(status))),
            Ok(Err(why)) => tracing::debug!(node = %name, why, "its status is not known"),
            Err(_) => tracing::debug!(node = %name, "has not sent its status in time"),
        }
        drop(table);
        self.ended.send_modify(|ended| *ended += 1);
    }

    async fn status_of(&self, name: &NodeName) -> Result<OtherStatus, String> {
        let _permit = self.permits.acquire().await.map_err(|error| error.to_string())?;
        let at = self.clock.now();
        let request =
            http::Request::get("/api/v1/status").body(empty()).map_err(|error| error.to_string())?;
        let caller = Caller { name: "bellwether".to_owned(), role: Role::Monitor };
        let answer = self.links.ask(name, request, caller).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            return Err(format!("it answered {}", head.status));
        }
        let body = whole(body).await?;
        let status = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Ok(OtherStatus { status, at })
    }
}

/// All of a body, if it is not too large.
async fn whole(mut body: Body) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
        if whole.len() + data.len() > MAX_STATUS {
            return Err("its status is too large".to_owned());
        }
        whole.extend_from_slice(data);
    }
    Ok(whole)
}

fn empty() -> Body {
    Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync()
}

/// Whether a node that is heard has something to say that is newer than its status, of which `known` are the generation
/// and when it was asked for.
pub(super) fn is_old(known: Option<(u64, Moment)>, view: &PeerView) -> bool {
    let Hearing::Heard { since } = view.hearing else { return false };
    let Some((generation, at)) = known else { return true };
    match &view.summary {
        // A daemon that was restarted counts from the beginning again.
        Some(last) => {
            let said = last.summary.facts.snapshot;
            said > generation || (said < generation && last.received > at)
        }
        None => since > at,
    }
}
