//! A request over HTTP/2 or TLS, and its response.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use bellwether_core::health::{Code, HealthAnswer, Question, ServingStatus, Subject, asks_for_report};
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::activity::{self, Activity};
use super::grpc::{self, Procedure};
use super::response::{METHODS, ONLY_THESE, content};
use super::{ASK_AGAIN, HealthView};
use bellwether_os::at_most;

/// A request that cannot be answered yet is answered within this time, or with an error.
const WAITING: Duration = at_most!(Duration::from_secs(10));
/// Envoy prefers other hosts (its documentation, "Degraded endpoints").
const DEGRADED: HeaderName = HeaderName::from_static("x-envoy-degraded");

/// The body of a response.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The data for answering the requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) view: HealthView,
    pub(super) peer: IpAddr,
    pub(super) activity: Activity,
    /// Changes when the daemon shuts down.
    pub(super) ending: watch::Receiver<()>,
}

impl Service {
    /// Answers one HTTP request.
    pub(super) async fn respond(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<activity::Response>, Infallible> {
        let activity = self.activity.clone();
        activity.happens();
        let procedure = Procedure::called(&request);
        let response = match procedure {
            Some(procedure) => grpc::respond(self, procedure, request).await,
            None => self.respond_plainly(&request).await,
        };
        Ok(response.map(|body| match procedure {
            Some(Procedure::Watch) => activity.watches(body),
            _ => activity.responds(body),
        }))
    }

    async fn respond_plainly(&self, request: &Request<Incoming>) -> Response<Body> {
        if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
            let mut response = said(StatusCode::METHOD_NOT_ALLOWED, Bytes::from_static(ONLY_THESE));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
            return response;
        }
        let accepts = |value: &HeaderValue| value.to_str().is_ok_and(asks_for_report);
        let report = request.headers().get_all(ACCEPT).iter().any(accepts);
        let question = Question::new(request.uri().path(), report);
        match patiently(|| self.view.answer(self.peer, question)).await {
            Some(answer) => answered(&answer, request.method()),
            None => said(
                StatusCode::SERVICE_UNAVAILABLE,
                Bytes::from_static(b"not ready: there is no answer yet\n"),
            ),
        }
    }

    /// The state of a service; `None` if it cannot be determined in time.
    pub(super) async fn serving(&self, service: &str) -> Option<ServingStatus> {
        patiently(|| self.view.serving(Some(self.peer), Subject::of_service(service))).await
    }
}

/// Retries until there is a result.
pub(super) async fn patiently<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    let until = Instant::now() + WAITING;
    loop {
        match look() {
            None if Instant::now() < until => sleep(ASK_AGAIN).await,
            found => return found,
        }
    }
}

fn answered(answer: &HealthAnswer, method: &Method) -> Response<Body> {
    let (media, body) = content(answer);
    let status = match answer.code {
        Code::Ok => StatusCode::OK,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let length = HeaderValue::from(body.len());
    // Over HTTP/2, hyper would send the body of a response to HEAD.
    let body = if *method == Method::HEAD { Bytes::new() } else { Bytes::copy_from_slice(&body) };
    let mut response = said(status, body);
    // The length is also sent for HEAD: that of the body which GET would have (RFC 9110, section 9.3.2).
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    if answer.degraded {
        response.headers_mut().insert(DEGRADED, HeaderValue::from_static("true"));
    }
    if *method == Method::OPTIONS {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    response
}

fn said(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // An answer is valid only at the moment it is given.
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
