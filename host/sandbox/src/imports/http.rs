//! wasi:http, as far as `http` grants permit: the host makes the requests.
//!
//! ```text
//!   handle() ──▶ judged by origin and method ──▶ exchange, a task of the run's ──▶ answer
//!                      │ not granted
//!                      ▼
//!                    HTTP-request-denied, and a refusal that is remembered
//! ```
//! Redirects are not followed here: a guest that follows one makes another request, which is checked again. The
//! resources of a request (a task, a socket) belong to handles of the run and end with them.

mod answer;
mod client;
pub(super) mod direct;
mod exchange;
mod failed;
mod own;
#[cfg(test)]
mod tests;
mod trust;
mod tunnel;

use std::future::ready;
use std::sync::Arc;
use std::time::Instant;

use bellwether_core::grant::Grants;
use bellwether_core::grant::http::HttpRequest;
use http::uri::Scheme;
use http::{Method, Request, Response, Uri};
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks};

pub use self::client::HttpClient;
pub(super) use self::client::Stream;
use self::exchange::{Exchange, Times};
use super::sockets::SocketLimit;
use crate::output::{LogLevel, Output};
use crate::share::Share;
use bellwether_os::names;

/// The maximum size of the headers of a request and of a response, in bytes.
const MAX_HEADERS: usize = 32 << 10;
/// The maximum size of the body of one response, in bytes.
const MAX_ANSWER: u64 = 8 << 20;

/// The state of wasi:http for one run.
pub(crate) struct Http {
    context: WasiHttpCtx,
    requests: Requests,
}

/// The requests of one run.
struct Requests {
    client: Arc<HttpClient>,
    grants: Arc<Grants>,
    output: Output,
    sockets: SocketLimit,
    names: names::Share,
    answer_by: Instant,
}

impl Http {
    pub(crate) fn new(
        client: Arc<HttpClient>,
        grants: Arc<Grants>,
        output: Output,
        sockets: SocketLimit,
        share: &Share,
        answer_by: Instant,
    ) -> Self {
        let names = share.names.clone();
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(MAX_HEADERS);
        Self { context, requests: Requests { client, grants, output, sockets, names, answer_by } }
    }

    /// The client that opens the connections.
    pub(crate) fn client(&self) -> Arc<HttpClient> {
        Arc::clone(&self.requests.client)
    }

    pub(crate) fn view<'v>(&'v mut self, table: &'v mut ResourceTable) -> WasiHttpCtxView<'v> {
        WasiHttpCtxView { hooks: &mut self.requests, table, ctx: &mut self.context }
    }
}

type Connection = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(Response<WasiBody>, Connection), Error>;

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Connection,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        match self.judge(&request) {
            Ok(target) => {
                let exchange = Exchange {
                    client: Arc::clone(&self.client),
                    grants: Arc::clone(&self.grants),
                    output: self.output.clone(),
                    names: self.names.clone(),
                    times: Times::new(options.unwrap_or_default(), self.answer_by),
                    method: request.method().clone(),
                    target,
                };
                Box::new(exchange.run(request))
            }
            Err(error) => Box::new(ready(Err(error))),
        }
    }

    // The original functions write to the daemon's log, which must not depend on guests.
    fn p2_error_from_hyper(&mut self, _error: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }

    fn p2_error_from_connect(&mut self, _error: &std::io::Error) -> ErrorCode {
        ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(&mut self, _error: &std::io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }
}

impl Requests {
    fn judge(&self, request: &Request<WasiBody>) -> Result<Target, Error> {
        let target = Target::of(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        let asked = HttpRequest {
            method: request.method().as_str(),
            https: target.https,
            host: &target.host,
            port: target.port,
        };
        match self.grants.may_request(&asked) {
            Ok(grant) => self.output.has_used(grant),
            Err(refusal) => {
                self.output.refuse(refusal);
                return Err(Error::HttpRequestDenied);
            }
        }
        // A tunnel is not a request: its contents could not be checked.
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        self.sockets.take().map_err(|limit| {
            // A run that writes too much is ended at its next own output.
            let _ended_elsewhere = self.output.log(LogLevel::Warn, &limit.to_string());
            Error::ConnectionLimitReached
        })?;
        if Instant::now() >= self.answer_by {
            return Err(Error::ConnectionTimeout);
        }
        Ok(target)
    }
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    /// Whether the scheme is `https`.
    https: bool,
    /// An IPv6 address is without brackets.
    host: String,
    port: u16,
}

impl Target {
    /// `None` if the authority is not `HOST` or `HOST:PORT` (RFC 9110, 4.2; user information is deprecated).
    fn of(uri: &Uri) -> Option<Self> {
        let https = *uri.scheme()? == Scheme::HTTPS;
        let authority = uri.authority()?.as_str();
        let host = uri.authority()?.host();
        let port = match authority.strip_prefix(host)? {
            "" => {
                if https {
                    443
                } else {
                    80
                }
            }
            port => {
                let digits =
                    port.strip_prefix(':').filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?;
                digits.parse().ok().filter(|port| *port != 0)?
            }
        };
        let host = host.trim_matches(['[', ']']);
        (!host.is_empty()).then(|| Self { https, host: host.to_owned(), port })
    }

    /// `HOST:PORT`, with brackets around IPv6 addresses.
    fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// In the notation of grants, without the default port of the scheme.
    fn origin(&self) -> String {
        let (scheme, own) = if self.https { ("https", ":443") } else { ("http", ":80") };
        let authority = self.authority();
        format!("{scheme}://{}", authority.strip_suffix(own).unwrap_or(&authority))
    }
}
