//! The daemon's own requests: like those of components (proxy, names, certificates), but without grants.

use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::Target;
use super::client::{HttpClient, NoConnection};
use super::failed::Failed;
use bellwether_os::names::Share;

/// Why a request of the daemon has no response.
#[derive(Debug, thiserror::Error)]
pub enum NotAnswered {
    /// Its URL has no host.
    #[error("its URL names no host and port")]
    NoHost,
    /// Its URL cannot be encoded for the request.
    #[error(transparent)]
    Url(#[from] http::Error),
    /// An error of the system, the proxy or the server, in one sentence.
    #[error("{0}")]
    Failed(String),
}

impl From<Failed> for NotAnswered {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed.why)
    }
}

impl HttpClient {
    /// Makes a request on its own connection. The URL is absolute. Connecting is limited by `by`; the caller must
    /// limit the wait for the response.
    ///
    /// # Errors
    /// If no connection can be opened, or there is no response.
    pub async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
        share: &Share,
        by: Instant,
    ) -> Result<Response<Incoming>, NotAnswered> {
        let target = Target::of(request.uri()).ok_or(NotAnswered::NoHost)?;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        // In the form for the origin or for the proxy (RFC 9112, 3.2).
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
        let stream = self.connect_freely(&target, share, by).await.map_err(|no| match no {
            NoConnection::Refused(refusal, _) => NotAnswered::Failed(refusal.to_string()),
            NoConnection::Failed(failed) => failed.into(),
        })?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| Failed::http(&error))?;
        // It ends with the response's body, or when that is dropped.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender.send_request(request).await.map_err(|error| Failed::http(&error))?)
    }
}
