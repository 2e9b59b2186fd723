//! API requests that one node forwards to another.

use bellwether_core::access::Role;
use bellwether_core::id::NodeName;
use bytes::Bytes;
use futures_util::future::BoxFuture;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a request to another node, or of its answer.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// Who makes a request on this node that another node is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user or token.
    pub name: String,
    /// The role that it has on this node.
    pub role: Role,
}

/// Who has made a request on another node that this node is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedCaller {
    /// The user or token.
    pub name: String,
    /// The role that the other node says it has.
    pub role: Role,
    /// The other node: who asked is authenticated there, and the node is authenticated here.
    pub through: NodeName,
}

/// Answers API requests that other nodes forward to this one. Implementations enforce the role.
pub trait Serve: Send + Sync + 'static {
    /// Answers one request; its path is that of the API, such as `/api/v1/status`.
    fn answer(
        &self,
        request: http::Request<hyper::body::Incoming>,
        caller: ForwardedCaller,
    ) -> BoxFuture<'static, http::Response<Body>>;
}
