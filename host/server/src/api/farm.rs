//! The farm: what the API needs of the daemon for it, and the requests that other nodes forward to this one.

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use bellwether_api::farm::{FarmStatus, InvitationAnswer};
use bellwether_core::access::Role;
use bellwether_core::id::NodeName;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

mod forwarded;
pub(crate) mod handlers;
pub(super) mod nodes;
#[cfg(test)]
pub(crate) mod tests;

pub use self::forwarded::{ForwardedApi, forwarded};

/// The daemon's part in the farm. `by` is the user with the origin of the request, for the journal.
pub trait Farm: Send + Sync + 'static {
    /// All nodes. Waits up to `within` for the current status of the other nodes; returns at once if it is zero.
    /// Nodes that have not answered by then have their short report and, if there is one, their last status.
    fn status(&self, within: Duration) -> BoxFuture<'_, FarmStatus>;
    /// The number of nodes, this one included; 1 while this node is in no farm. Every page asks for it.
    fn size(&self) -> usize;
    /// Changes whenever the status of this node's farm may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Makes this node the first node of a new farm.
    fn init(&self, by: String) -> BoxFuture<'_, Result<FarmStatus, FarmRefusal>>;
    /// Makes a line with which one more node can join.
    fn invite(&self, by: String) -> BoxFuture<'_, Result<InvitationAnswer, FarmRefusal>>;
    /// Joins the farm of the invitation `line`, in place of the node `replace` if there is one.
    fn join(
        &self,
        line: String,
        replace: Option<NodeName>,
        by: String,
    ) -> BoxFuture<'_, Result<FarmStatus, FarmRefusal>>;
    /// Removes another node, whether or not it is reachable.
    fn remove(&self, node: NodeName, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>>;
    /// Removes this node.
    fn leave(&self, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>>;
    /// The key and the certificate of the farm's certificate authority, as PEM.
    fn authority_key(&self, by: String) -> BoxFuture<'_, Result<String, FarmRefusal>>;
    /// Stores the key of the farm's certificate authority on this node.
    fn restore_authority_key(&self, pem: String, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>>;
    /// Sends a request to another node, and returns its response as soon as its head has arrived. The path of the
    /// request is that of the other node's API: `/api/v1/modules/web/stop`. `caller` is the user's name and role;
    /// the other node decides whether the role is sufficient.
    fn ask(
        &self,
        node: NodeName,
        request: Request,
        caller: (String, Role),
    ) -> BoxFuture<'_, Result<Response, FarmRefusal>>;
}

/// Why something about the farm is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FarmRefusal {
    /// The kind of reason, from which the status code of the answer follows.
    pub kind: FarmRefusalKind,
    /// The reason in one sentence, without a full stop.
    pub detail: String,
    /// What to do, in one sentence without a full stop; empty if the kind says it.
    pub next: String,
}

/// The kind of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarmRefusalKind {
    /// It contradicts what is: this node is in a farm already, the name is taken (409).
    Conflict,
    /// No node of the farm has this name (404).
    NoSuchNode,
    /// There is no contact with the node (503).
    NotHeard,
    /// The node did not answer in time (504).
    Overdue,
    /// The request is not valid: a line that is no invitation (400).
    Invalid,
    /// Something else failed, such as the disk (503).
    Failed,
}
