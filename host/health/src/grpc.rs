//! gRPC's health protocol, as used by Envoy, Kubernetes and gRPC's own clients.
//!
//! Sources: `grpc/health/v1/health.proto` and `doc/PROTOCOL-HTTP2.md` of the gRPC project.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use bellwether_core::health::{ServingStatus, Subject};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Empty, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use prost::Message;
use tokio::time::timeout;

use super::service::{Body, Service, patiently};
use bellwether_os::at_most;
use bellwether_os::heartbeat::Heartbeat;

const MEDIA: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// A flag and a length precede each message.
const PREFIX: usize = 5;
/// A request contains one service name: it is never longer, in bytes.
const MAX_REQUEST: usize = 1 << 10;
/// It must be complete within this time.
const REQUEST_WITHIN: Duration = at_most!(Duration::from_secs(5));
/// The interval at which a watched service is checked. A stalled core causes no event, so all are checked
/// periodically.
const LOOK: Duration = Heartbeat::BEAT;

/// The procedures of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Procedure {
    Check,
    Watch,
    List,
    /// An unknown procedure of the service.
    Unknown,
}

impl Procedure {
    /// `None` if the request is not for gRPC.
    pub(super) fn called<B>(request: &Request<B>) -> Option<Self> {
        let media = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        let is_grpc = media
            .strip_prefix("application/grpc")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('+') || rest.starts_with(';'));
        (is_grpc && request.method() == Method::POST && request.version() == Version::HTTP_2).then(|| {
            match request.uri().path() {
                "/grpc.health.v1.Health/Check" => Self::Check,
                "/grpc.health.v1.Health/Watch" => Self::Watch,
                "/grpc.health.v1.Health/List" => Self::List,
                _ => Self::Unknown,
            }
        })
    }
}

/// Why a call fails, with gRPC's status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure(u8, &'static str);

const NOT_A_REQUEST: Failure = Failure(3, "not a HealthCheckRequest");
const TOO_LATE: Failure = Failure(4, "the request was not complete in time");
const NO_SUCH_SERVICE: Failure = Failure(5, "no module of that name");
const TOO_LARGE: Failure = Failure(8, "the request is too large");
const COMPRESSED: Failure = Failure(12, "compressed requests are not read");
const NO_SUCH_PROCEDURE: Failure =
    Failure(12, "only Check, Watch and List of grpc.health.v1.Health are answered");
const NO_ANSWER: Failure = Failure(14, "there is no answer yet");
const ENDING: Failure = Failure(14, "the daemon is shutting down");

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

impl HealthCheckResponse {
    fn of(status: ServingStatus) -> Self {
        Self { status: status as i32 }
    }
}

/// Answers one call of a procedure.
pub(super) async fn respond(
    service: Service,
    called: Procedure,
    request: Request<Incoming>,
) -> Response<Body> {
    let body = Limited::new(request.into_body(), MAX_REQUEST).collect();
    let body = match timeout(REQUEST_WITHIN, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return failed(TOO_LARGE),
        Err(_) => return failed(TOO_LATE),
    };
    let asked = match decode(body) {
        Ok(asked) => asked.service,
        Err(failure) => return failed(failure),
    };
    match called {
        Procedure::Unknown => failed(NO_SUCH_PROCEDURE),
        Procedure::Watch => watch(service, asked),
        Procedure::List => service.list().await.map_or_else(|| failed(NO_ANSWER), |all| one(&all)),
        Procedure::Check => match service.serving(&asked).await {
            None => failed(NO_ANSWER),
            Some(ServingStatus::ServiceUnknown) => failed(NO_SUCH_SERVICE),
            Some(status) => one(&HealthCheckResponse::of(status)),
        },
    }
}

impl Service {
    /// `None` if it cannot be determined in time.
    async fn list(&self) -> Option<HealthListResponse> {
        // First that of all modules together: like others it is not answered before all modules are loaded.
        self.serving("").await?;
        let list = || {
            let snapshot = self.view.snapshot.load();
            let names = snapshot.modules.iter().map(|module| module.name.as_str()).chain([""]);
            let status = |name: &str| {
                let status = self.view.serving(None, Subject::of_service(name))?;
                Some((name.to_owned(), HealthCheckResponse::of(status)))
            };
            names.map(status).collect::<Option<_>>()
        };
        patiently(list).await.map(|statuses| HealthListResponse { statuses })
    }
}

/// The single message of a request.
fn decode(mut body: Bytes) -> Result<HealthCheckRequest, Failure> {
    if body.len() < PREFIX {
        return Err(NOT_A_REQUEST);
    }
    let (compressed, length) = (body.get_u8(), body.get_u32());
    if compressed != 0 {
        return Err(COMPRESSED);
    }
    if usize::try_from(length) != Ok(body.len()) {
        return Err(NOT_A_REQUEST);
    }
    HealthCheckRequest::decode(body).map_err(|_| NOT_A_REQUEST)
}

fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("names of modules are short, and there are few"));
    message.encode(&mut bytes).expect("a buffer that grows takes whatever is written");
    bytes.freeze()
}

/// The end of a stream of messages.
fn trailers(failure: Option<Failure>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let Failure(number, message) = failure.unwrap_or(Failure(0, ""));
    fields.insert(STATUS, HeaderValue::from(u16::from(number)));
    if !message.is_empty() {
        fields.insert(MESSAGE, HeaderValue::from_static(message));
    }
    fields
}

fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, MEDIA);
    response
}

/// Without a message: the trailers are sent immediately.
fn failed(failure: Failure) -> Response<Body> {
    let mut response = response(Empty::new().boxed_unsync());
    response.headers_mut().extend(trailers(Some(failure)));
    response
}

fn one(message: &impl Message) -> Response<Body> {
    let frames = [Frame::data(encode(message)), Frame::trailers(trailers(None))];
    response(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))).boxed_unsync())
}

/// Sends one message at first, and one at each change, until the client disconnects or the daemon shuts down.
fn watch(service: Service, asked: String) -> Response<Body> {
    let watched = Watched { service, asked, told: None, over: false };
    response(StreamBody::new(stream::unfold(watched, Watched::next)).boxed_unsync())
}

struct Watched {
    service: Service,
    asked: String,
    told: Option<ServingStatus>,
    over: bool,
}

impl Watched {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        if self.over {
            return None;
        }
        loop {
            let status = self.service.view.serving(None, Subject::of_service(&self.asked));
            if let Some(status) = status.filter(|status| self.told != Some(*status)) {
                self.told = Some(status);
                self.service.activity.happens();
                return Some((Ok(Frame::data(encode(&HealthCheckResponse::of(status)))), self));
            }
            // A shutdown, or its sender was dropped.
            if timeout(LOOK, self.service.ending.changed()).await.is_ok() {
                self.over = true;
                return Some((Ok(Frame::trailers(trailers(Some(ENDING)))), self));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(flag: u8, message: &[u8]) -> Bytes {
        let mut bytes = vec![flag];
        bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
        bytes.into()
    }

    #[test]
    fn a_request_is_one_message_that_names_a_service() {
        let web = b"\x0a\x03web";
        assert_eq!(decode(framed(0, web)).unwrap().service, "web");
        assert_eq!(decode(framed(0, b"")).unwrap().service, "");
        for (body, failure) in [
            (framed(1, web), COMPRESSED),
            (framed(0, b"\x0a\x09web"), NOT_A_REQUEST),
            (framed(0, web).slice(..7), NOT_A_REQUEST),
            (Bytes::from([framed(0, web), framed(0, web)].concat()), NOT_A_REQUEST),
            (Bytes::new(), NOT_A_REQUEST),
        ] {
            assert_eq!(decode(body.clone()).unwrap_err(), failure, "{body:?}");
        }
    }

    #[test]
    fn a_response_says_its_status_by_the_number_of_the_protocol() {
        let said = |status| encode(&HealthCheckResponse::of(status));
        assert_eq!(&said(ServingStatus::Serving)[..], b"\0\0\0\0\x02\x08\x01");
        assert_eq!(&said(ServingStatus::NotServing)[..], b"\0\0\0\0\x02\x08\x02");
        assert_eq!(&said(ServingStatus::ServiceUnknown)[..], b"\0\0\0\0\x02\x08\x03");
    }

    #[test]
    fn only_what_is_meant_for_grpc_is_taken_for_it() {
        let called = |media: Option<&str>, method: &str, path: &str| {
            let mut request = Request::builder().method(method).uri(path).version(Version::HTTP_2);
            if let Some(media) = media {
                request = request.header(CONTENT_TYPE, media);
            }
            Procedure::called(&request.body(()).unwrap())
        };
        let check = "/grpc.health.v1.Health/Check";
        assert_eq!(called(Some("application/grpc"), "POST", check), Some(Procedure::Check));
        assert_eq!(called(Some("application/grpc+proto"), "POST", check), Some(Procedure::Check));
        assert_eq!(
            called(Some("application/grpc"), "POST", "/other.Service/Check"),
            Some(Procedure::Unknown)
        );
        assert_eq!(called(Some("application/grpc-web"), "POST", check), None);
        assert_eq!(called(Some("application/grpc"), "GET", check), None);
        assert_eq!(called(None, "POST", check), None);
    }
}
