//! Requests of the daemon's own: the same ways as those of components (proxy, names, certificates), and no grants.

use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::client::{HttpClient, NoConnection};
use crate::failed::Failed;
use crate::target::Target;
use bellwether_os::names::Share;

/// Why a request of the daemon's own has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotAnswered {
    /// It cannot be sent anywhere.
    #[error("its URL names no host and port")]
    NoHost,
    /// Its URL cannot be written as the other side understands it.
    #[error(transparent)]
    Url(#[from] http::Error),
    /// The system, the proxy or the other side, in one sentence.
    #[error("{0}")]
    Failed(String),
}

impl From<Failed> for NotAnswered {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed.why)
    }
}

impl HttpClient {
    /// Makes a request, on a connection of its own. The URL is absolute. There is a connection by `by`, or an
    /// error in one sentence; the caller sees to it that the answer is not waited for without end.
    ///
    /// # Errors
    /// If there is no connection, or no answer.
    pub async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
        share: &Share,
        by: Instant,
    ) -> Result<Response<Incoming>, NotAnswered> {
        let target = Target::of(request.uri()).ok_or(NotAnswered::NoHost)?;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        // As the origin understands it, or the proxy (RFC 9112, 3.2).
        let uri = if self.speaks_to_proxy(&target) {
            format!("{}{path}", target.origin())
        } else {
            path.to_owned()
        };
        *request.uri_mut() = uri.parse::<Uri>().map_err(http::Error::from)?;
        let origin = target.origin();
        let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
        let host = HeaderValue::from_str(host).map_err(http::Error::from)?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let stream = self.connect(&target, |_| Ok(()), share, by).await.map_err(|no| match no {
            NoConnection::Refused(refusal) | NoConnection::Distrusted(refusal) => {
                NotAnswered::Failed(refusal.to_string())
            }
            NoConnection::Failed(failed) => failed.into(),
        })?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| Failed::http(&error))?;
        // It ends with the answer's body, or when that is dropped.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender.send_request(request).await.map_err(|error| Failed::http(&error))?)
    }
}
