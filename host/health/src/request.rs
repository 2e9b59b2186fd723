//! The parts of an HTTP request that matter here.

use std::mem::MaybeUninit;

use bellwether_core::health::asks_for_report;
use httparse::{Error, Header, Status};

/// The maximum length of the request line and fields, in bytes.
pub(super) const MAX_REQUEST: usize = 8 << 10;
/// The maximum number of fields.
const MAX_FIELDS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Options,
    Other,
}

/// Whether the connection is kept for another request, and which header says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// HTTP/1.1 keeps it by default: no header is needed.
    Keep,
    /// HTTP/1.0 has asked for it, and needs a header.
    SayKeepAlive,
    Close,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) target: &'a str,
    /// Whether `Accept` asks for `application/health+json`.
    pub(super) report: bool,
    pub(super) persistence: Persistence,
    /// A body follows, which is not read.
    pub(super) has_body: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// A request, and its length in bytes.
    Whole(Request<'a>, usize),
    /// The request is incomplete.
    Partial,
    TooLarge,
    Malformed,
}

/// Parses the request at the beginning of `input`.
pub(super) fn parse(input: &[u8]) -> Parsed<'_> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    match head.parse_with_uninit_headers(input, &mut fields) {
        Ok(Status::Complete(length)) if length <= MAX_REQUEST => match request(&head) {
            Some(request) => Parsed::Whole(request, length),
            None => Parsed::Malformed,
        },
        Ok(Status::Partial) if input.len() <= MAX_REQUEST => Parsed::Partial,
        Ok(_) | Err(Error::TooManyHeaders) => Parsed::TooLarge,
        Err(_) => parse_simple(input),
    }
}

fn request<'a>(head: &httparse::Request<'_, 'a>) -> Option<Request<'a>> {
    let mut request = Request {
        method: match head.method? {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        },
        target: head.path?,
        report: false,
        persistence: Persistence::Keep,
        has_body: false,
    };
    let (mut close, mut keep_alive) = (false, false);
    for Header { name, value } in &*head.headers {
        // The length is compared first, because most fields are none of these.
        match name.len() {
            6 if name.eq_ignore_ascii_case("accept") => {
                request.report |= std::str::from_utf8(value).is_ok_and(asks_for_report);
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                request.has_body |= std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok()? > 0;
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => request.has_body = true,
            _ => {}
        }
    }
    request.persistence = match (head.version?, close || request.has_body) {
        (1.., false) => Persistence::Keep,
        (0, false) if keep_alive => Persistence::SayKeepAlive,
        (_, true) | (0, false) => Persistence::Close,
    };
    Some(request)
}

/// `GET /health` and the end of the line: HTTP/0.9, which some load balancers send by default.
fn parse_simple(input: &[u8]) -> Parsed<'_> {
    let Some(rest) = input.strip_prefix(b"GET /") else { return Parsed::Malformed };
    let end = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
    let after = match &rest[end..] {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        [b'\r'] => return Parsed::Partial,
        _ => return Parsed::Malformed,
    };
    let target = b"GET ".len()..b"GET /".len() + end;
    match std::str::from_utf8(&input[target.clone()]) {
        Ok(_) if target.end > MAX_REQUEST => Parsed::TooLarge,
        Ok(path) => {
            let request = Request {
                method: Method::Get,
                target: path,
                report: false,
                persistence: Persistence::Close,
                has_body: false,
            };
            Parsed::Whole(request, target.end + after)
        }
        Err(_) => Parsed::Malformed,
    }
}
