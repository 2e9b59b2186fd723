//! wasi:http, seen from inside a component.

use std::time::{Duration, Instant};

use crate::bindings::requests::wasi::http::outgoing_handler::handle;
use crate::bindings::requests::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use crate::bindings::requests::wasi::io::streams::{InputStream, StreamError};
use crate::granted::HostError;
use crate::http::{Request, Response};

/// The maximum in one call between guest and host, in bytes: WASI accepts no more in one write.
const PIECE: usize = 4096;
const READ: u64 = 64 << 10;

pub(super) fn fetch(request: &Request, within: Duration) -> Result<Response, HostError> {
    let told = |code: ErrorCode| error(request, &code);
    // The host's time limit began with the run, a moment before this.
    let nearly_over = Instant::now() + within.saturating_sub(within / 10);
    let (outgoing, body) = outgoing(request)?;
    let answer = handle(outgoing, Some(options(within))).map_err(told)?;
    if let Some(body) = body {
        write(body, &request.body).map_err(told)?;
    }
    let answer = wait(&answer).map_err(told)?;
    let headers = answer.headers().entries();
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let body = read(&answer, nearly_over).map_err(told)?;
    Ok(Response { status: answer.status(), headers, body })
}

fn outgoing(request: &Request) -> Result<(OutgoingRequest, Option<OutgoingBody>), HostError> {
    let bad = |why: &str| HostError::new("bad-request", format!("{request}: {why}"));
    let parts = request.parts()?;
    let mut headers = request.headers.clone();
    if !request.body.is_empty() {
        headers.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    }
    let headers =
        Fields::from_list(&headers).map_err(|error| bad(&format!("a header is wrong: {error:?}")))?;
    let outgoing = OutgoingRequest::new(headers);
    let scheme = if parts.https { Scheme::Https } else { Scheme::Http };
    outgoing.set_method(&method(&request.method)).map_err(|()| bad("there is no such method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| bad("there is no such scheme"))?;
    outgoing.set_authority(Some(parts.authority)).map_err(|()| bad("there is no such host"))?;
    outgoing.set_path_with_query(Some(&parts.path)).map_err(|()| bad("the path is wrong"))?;
    if request.body.is_empty() {
        return Ok((outgoing, None));
    }
    let body = outgoing.body().map_err(|()| bad("it takes no body"))?;
    Ok((outgoing, Some(body)))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn options(within: Duration) -> RequestOptions {
    let options = RequestOptions::new();
    let within = u64::try_from(within.as_nanos()).ok();
    // A host that does not support one of them uses its own limit, which ends with the run's.
    let _taken = options.set_connect_timeout(within);
    let _taken = options.set_first_byte_timeout(within);
    let _taken = options.set_between_bytes_timeout(within);
    options
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), ErrorCode> {
    let stream = body.write().map_err(|()| ErrorCode::InternalError(None))?;
    for piece in bytes.chunks(PIECE) {
        // A server that stops reading may have answered all the same.
        if stream.blocking_write_and_flush(piece).is_err() {
            return Ok(());
        }
    }
    // A body cannot be finished while its stream exists.
    drop(stream);
    OutgoingBody::finish(body, None)
}

fn wait(answer: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    answer.subscribe().block();
    match answer.get() {
        Some(Ok(answer)) => answer,
        Some(Err(())) | None => Err(ErrorCode::InternalError(None)),
    }
}

/// Hosts without an error code for the end of a body (wasmtime 48 is one) only report that it broke off: if the
/// time is nearly over, that was the cause.
fn read(answer: &IncomingResponse, nearly_over: Instant) -> Result<Vec<u8>, ErrorCode> {
    let body = answer.consume().map_err(|()| ErrorCode::InternalError(None))?;
    let stream: InputStream = body.stream().map_err(|()| ErrorCode::InternalError(None))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                let in_time = Instant::now() < nearly_over;
                let unknown = if in_time {
                    ErrorCode::HttpResponseIncomplete
                } else {
                    ErrorCode::ConnectionReadTimeout
                };
                return Err(http_error_code(&error).unwrap_or(unknown));
            }
        }
    }
}

/// A code for programs and a sentence for people.
fn error(request: &Request, code: &ErrorCode) -> HostError {
    let (word, what) = match code {
        ErrorCode::HttpRequestDenied => {
            let method = if ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str()) {
                String::new()
            } else {
                format!("{} ", request.method)
            };
            let origin = request.origin();
            let message = format!(
                "{request} is not granted: add `http = [\"{method}{origin}\"]` to the checker's `grant`"
            );
            return HostError::new("not-granted", message);
        }
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            ("no-such-name", "the name could not be looked up".to_owned())
        }
        ErrorCode::ConnectionRefused => ("unreachable", "the connection was refused".to_owned()),
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => {
            ("unreachable", "there is no way there".to_owned())
        }
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => ("timeout", "no whole answer in time".to_owned()),
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => {
            ("no-answer", "the connection was broken off".to_owned())
        }
        ErrorCode::HttpProtocolError => ("no-answer", "the answer is not HTTP".to_owned()),
        ErrorCode::TlsProtocolError => ("no-answer", "it does not speak TLS as we do".to_owned()),
        ErrorCode::TlsAlertReceived(alert) => (
            "no-answer",
            format!("it refused TLS: {}", alert.alert_message.as_deref().unwrap_or("no reason")),
        ),
        ErrorCode::TlsCertificateError => ("untrusted", "its certificate is not trusted".to_owned()),
        ErrorCode::HttpResponseBodySize(_) => ("too-large", "the answer is too long".to_owned()),
        ErrorCode::HttpResponseHeaderSectionSize(_) => {
            ("too-large", "the answer has too many headers".to_owned())
        }
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => {
            ("bad-request", format!("{code:?}"))
        }
        ErrorCode::ConnectionLimitReached => ("unavailable", "too many requests in one run".to_owned()),
        other => ("unavailable", format!("{other:?}")),
    };
    HostError::new(word, format!("{request}: {what}"))
}
