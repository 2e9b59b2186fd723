//! One request to one node, over a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// The time limit for a connection: everything is on this host.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// The largest body in either direction.
pub(super) const MAX_BODY: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// There was no connection, and nothing was sent.
    NotConnected,
    /// The connection broke before the answer was complete.
    Broken,
    /// The answer was not complete in time.
    Overdue,
}

impl Unanswered {
    /// Whether the same request may be sent to another node: nobody has acted on it, or acting twice on it is the
    /// same as once (RFC 9110, section 9.2.2). Nothing has been passed on to the client in any of these cases.
    pub(super) fn may_be_repeated(self, method: &Method) -> bool {
        match self {
            Self::NotConnected => true,
            Self::Broken => method.is_idempotent(),
            Self::Overdue => false,
        }
    }
}

/// Sends the request, and returns the complete answer.
pub(super) async fn exchange(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    until: Instant,
) -> Result<Response<Bytes>, Unanswered> {
    let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await else {
        return Err(Unanswered::NotConnected);
    };
    match timeout_at(until, over(stream, request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => Err(Unanswered::Broken),
        Err(_) => Err(Unanswered::Overdue),
    }
}

async fn over(stream: TcpStream, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| anyhow::anyhow!(error))?;
        anyhow::Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(connection, answer);
    let mut is_open = true;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            // What was received before is still to be read.
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_acted_on_is_repeated_only_if_that_changes_nothing() {
        for (method, broken) in [
            (Method::GET, true),
            (Method::HEAD, true),
            (Method::OPTIONS, true),
            (Method::PUT, true),
            (Method::DELETE, true),
            (Method::POST, false),
            (Method::PATCH, false),
        ] {
            assert!(Unanswered::NotConnected.may_be_repeated(&method), "{method}");
            assert_eq!(Unanswered::Broken.may_be_repeated(&method), broken, "{method}");
            assert!(!Unanswered::Overdue.may_be_repeated(&method), "{method}");
        }
    }
}
