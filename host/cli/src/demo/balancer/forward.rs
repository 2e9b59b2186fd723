//! Passes a client's request on to a node, and the node's answer back.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri, Version};
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::exchange::{MAX_BODY, Unanswered, exchange};

/// The time limit of a request, over all nodes that are tried. Long enough for a node that hangs to be restarted:
/// its connections break then, and the request goes to another one.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

type Answer = Response<Full<Bytes>>;

/// Answers one request, in any case.
pub(super) async fn forward(shared: &Shared, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let until = Instant::now() + ANSWER_WITHIN;
    let (head, body) = request.into_parts();
    let body = match timeout_at(until, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Ok(refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request is longer than 1 MiB, or broken off",
            ));
        }
        Err(_) => return Ok(refusal(StatusCode::REQUEST_TIMEOUT, "the request was not complete in time")),
    };
    Ok(to_a_node(shared, head, body, until).await)
}

async fn to_a_node(shared: &Shared, mut head: Parts, body: Bytes, until: Instant) -> Answer {
    end_to_end(&mut head.headers);
    head.uri = path_of(&head.uri);
    head.version = Version::HTTP_11;
    let mut tried = Vec::new();
    // Each node once at most, so it ends.
    while let Some(node) = shared.pick(&tried) {
        let Some(upstream) = shared.upstreams.get(node) else { break };
        let request = Request::from_parts(head.clone(), Full::new(body.clone()));
        match exchange(upstream.application, request, until).await {
            Ok(response) => {
                if response.status().is_server_error() {
                    shared.failed();
                } else {
                    shared.answered(node, !tried.is_empty());
                }
                let (mut head, body) = response.into_parts();
                end_to_end(&mut head.headers);
                return Response::from_parts(head, Full::new(body));
            }
            Err(Unanswered::Overdue) => {
                shared.failed();
                return refusal(StatusCode::GATEWAY_TIMEOUT, "the node did not answer in time");
            }
            Err(unanswered) if unanswered.may_be_repeated(&head.method) => tried.push(node),
            Err(_) => {
                shared.failed();
                return refusal(StatusCode::BAD_GATEWAY, "the connection to the node broke");
            }
        }
    }
    shared.failed();
    let why = if tried.is_empty() { "no node is ready" } else { "no node that is ready can be reached" };
    refusal(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn refusal(status: StatusCode, why: &str) -> Answer {
    let mut response = Response::new(Full::new(format!("{why}\n").into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// The request target for the node: a client may send the whole URL.
fn path_of(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    path.map_or_else(|| Uri::from_static("/"), Uri::from)
}

/// Removes the fields that are about one connection (RFC 9110, section 7.6.1).
fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_one_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-mine"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("host", "a"),
            ("x-server", "node-1"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        end_to_end(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["host", "x-server"]);
    }

    #[test]
    fn a_node_is_asked_for_the_path_alone() {
        for (asked, path) in
            [("/", "/"), ("/a?b=c", "/a?b=c"), ("http://x:1/a?b", "/a?b"), ("http://x", "/"), ("*", "*")]
        {
            assert_eq!(path_of(&asked.parse().unwrap()).to_string(), path, "{asked}");
        }
    }
}
