//! An HTTP response, as bytes.

use std::borrow::Cow;
use std::io::Write;

use bellwether_core::health::{Body, Code, HealthAnswer};

use super::request::{Method, Persistence};

/// The methods that are answered.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS";
const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";
/// The answer to all other methods.
pub(super) const ONLY_THESE: &[u8] = b"only GET, HEAD and OPTIONS are answered\n";
/// Envoy prefers other hosts (its documentation, "Degraded endpoints"). It evaluates the name, not the value.
const DEGRADED: &[u8] = b"x-envoy-degraded: true\r\n";

/// Appends the answer to a request.
pub(super) fn write_answer(
    output: &mut Vec<u8>,
    answer: &HealthAnswer,
    method: Method,
    persistence: Persistence,
) {
    let status: &[u8] = match answer.code {
        Code::Ok => b"200 OK",
        Code::NotFound => b"404 Not Found",
        Code::Unavailable => b"503 Service Unavailable",
    };
    let (media, body) = content(answer);
    write_head(output, status, media.as_bytes(), body.len());
    if answer.degraded {
        output.extend_from_slice(DEGRADED);
    }
    if method == Method::Options {
        output.extend_from_slice(ALLOW);
    }
    write_end(output, persistence);
    if method != Method::Head {
        output.extend_from_slice(&body);
    }
}

/// The media type of an answer, and its body.
pub(super) fn content(answer: &HealthAnswer) -> (&'static str, Cow<'_, [u8]>) {
    match &answer.body {
        Body::Plain(text) => ("text/plain; charset=utf-8", Cow::Borrowed(text.as_bytes())),
        Body::Report(document) => {
            let report = serde_json::to_vec(document).expect("text and finite numbers are always JSON");
            ("application/health+json", Cow::Owned(report))
        }
    }
}

/// Why a request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400: it cannot be parsed.
    Malformed,
    /// 405: the method is not supported.
    MethodNotAllowed,
    /// 431: its fields are too large.
    TooLarge,
}

/// Appends the rejection of a request.
pub(super) fn write_refusal(output: &mut Vec<u8>, refusal: Refusal, persistence: Persistence) {
    let (status, body): (&[u8], &[u8]) = match refusal {
        Refusal::Malformed => (b"400 Bad Request", b"not an HTTP request\n"),
        Refusal::MethodNotAllowed => (b"405 Method Not Allowed", ONLY_THESE),
        Refusal::TooLarge => (b"431 Request Header Fields Too Large", b"the request is too large\n"),
    };
    write_head(output, status, b"text/plain; charset=utf-8", body.len());
    if refusal == Refusal::MethodNotAllowed {
        output.extend_from_slice(ALLOW);
    }
    write_end(output, persistence);
    output.extend_from_slice(body);
}

fn write_head(output: &mut Vec<u8>, status: &[u8], media: &[u8], length: usize) {
    for piece in [b"HTTP/1.1 ", status, b"\r\nContent-Type: ", media, b"\r\nContent-Length: "] {
        output.extend_from_slice(piece);
    }
    write!(output, "{length}").expect("a vector takes whatever is written");
    // An answer is valid only at the moment it is given.
    output.extend_from_slice(b"\r\nCache-Control: no-store\r\n");
}

fn write_end(output: &mut Vec<u8>, persistence: Persistence) {
    output.extend_from_slice(match persistence {
        Persistence::Keep => b"\r\n",
        Persistence::SayKeepAlive => b"Connection: keep-alive\r\n\r\n",
        Persistence::Close => b"Connection: close\r\n\r\n",
    });
}
