//! One request and its response.
//!
//! ```text
//!   connected ──▶ sent ──▶ head ──▶ body, as the guest reads it
//!       └────────────┴────────┴──▶ failed: a word for the guest, a line in the run's log
//! ```

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::grant::Grants;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::answer::AnswerBody;
use super::client::{HttpClient, NoConnection, Stream};
use super::failed::Failed;
use super::{Answer, Connection, MAX_HEADERS, Target};
use crate::output::{LogLevel, Output};
use bellwether_os::names;

/// Everything that one request needs.
pub(super) struct Exchange {
    pub(super) client: Arc<HttpClient>,
    pub(super) grants: Arc<Grants>,
    pub(super) output: Output,
    pub(super) names: names::Share,
    pub(super) times: Times,
    pub(super) method: Method,
    pub(super) target: Target,
}

/// The time limits of its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
    /// The deadline of all parts, whatever the guest asks for.
    by: Instant,
}

/// The size of hyper's read buffer, in bytes.
const BUFFER: usize = 64 << 10;
const MAX_HEADER_LINES: usize = 1000;

impl Times {
    pub(super) fn new(options: RequestOptions, by: std::time::Instant) -> Self {
        Self {
            connect: options.connect_timeout.unwrap_or(Duration::MAX),
            first_byte: options.first_byte_timeout.unwrap_or(Duration::MAX),
            between_bytes: options.between_bytes_timeout.unwrap_or(Duration::MAX),
            by: by.into(),
        }
    }

    fn until(&self, patience: Duration) -> Instant {
        Instant::now().checked_add(patience).map_or(self.by, |at| at.min(self.by))
    }
}

impl Exchange {
    pub(super) async fn run(self, request: Request<WasiBody>) -> Answer {
        match self.make(request).await {
            Ok(answer) => Ok(answer),
            Err(NoConnection::Refused(refusal, error)) => {
                self.output.refuse(refusal);
                Err(error)
            }
            Err(NoConnection::Failed(failed)) => {
                // Without the path, which may contain a secret.
                let line = format!("{} {}: {}", self.method, self.target.origin(), failed.why);
                // A run that writes too much is ended at its next own output.
                let _ended_elsewhere = self.output.log(LogLevel::Warn, &line);
                Err(failed.error)
            }
        }
    }

    async fn make(
        &self,
        request: Request<WasiBody>,
    ) -> Result<(Response<WasiBody>, Connection), NoConnection> {
        let request = self.as_sent(request)?;
        let connect_by = self.times.until(self.times.connect);
        let stream = self.client.connect(&self.target, &self.grants, &self.names, connect_by).await?;
        let (answer, connection) = self.send(stream, request).await?;
        check_headers(answer.headers())?;
        let body = |incoming: Incoming| {
            let Times { between_bytes, by, .. } = self.times;
            AnswerBody::new(incoming, between_bytes, by, self.output.clone(), self.target.origin())
                .boxed_unsync()
        };
        Ok((answer.map(body), connection))
    }

    /// In the form for the origin or for the proxy (RFC 9112, 3.2).
    fn as_sent(&self, mut request: Request<WasiBody>) -> Result<Request<WasiBody>, Failed> {
        let invalid = || Failed::new(Error::HttpRequestUriInvalid, "the path is invalid");
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = match path.chars().next() {
            Some('/') => path.to_owned(),
            Some('?') => format!("/{path}"),
            None => "/".to_owned(),
            Some(_) => return Err(invalid()),
        };
        let uri = if self.client.speaks_to_proxy(&self.target) {
            format!("{}{path}", self.target.origin())
        } else {
            path
        };
        *request.uri_mut() = uri.parse::<Uri>().map_err(|_| invalid())?;
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(request)
    }

    /// Sends it and waits for the head of the response. The body arrives as long as the connection is polled.
    async fn send(
        &self,
        stream: Box<dyn Stream>,
        request: Request<WasiBody>,
    ) -> Result<(Response<Incoming>, Connection), Failed> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            // As browsers do: old programs fold long headers, and some send very many.
            .max_headers(MAX_HEADER_LINES)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failed::http(&error))?;
        let mut connection = Box::pin(connection);
        let mut ended = false;
        let head_by = self.times.until(self.times.first_byte);
        let exchange = async {
            let mut answer = pin!(sender.send_request(request));
            loop {
                tokio::select! {
                    answer = &mut answer => return answer.map_err(|error| Failed::http(&error)),
                    // The response reports the same error.
                    _same = &mut connection, if !ended => ended = true,
                }
            }
        };
        let late = |_| Failed::new(Error::ConnectionReadTimeout, "no answer in time");
        let answer = timeout_at(head_by, exchange).await.map_err(late)??;
        let rest = async move {
            if !ended {
                // The interrupted body reports the error.
                let _said_by_the_body = connection.await;
            }
            Ok(())
        };
        Ok((answer, Box::new(rest)))
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Failed> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size <= MAX_HEADERS {
        return Ok(());
    }
    let error = Error::HttpResponseHeaderSectionSize(u32::try_from(size).ok());
    Err(Failed::new(error, format!("the answer has {size} bytes of headers, more than {MAX_HEADERS}")))
}
