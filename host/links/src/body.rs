//! Bodies of requests and answers between nodes.

use std::time::Duration;

use bellwether_os::at_most;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::serve::Body;
use crate::wire::Problem;

/// A document must be complete by then.
const RECEIVED_WITHIN: Duration = at_most!(Duration::from_secs(10));
/// Marks an answer in which the node itself refuses, and not the API.
const REFUSED: HeaderName = HeaderName::from_static("x-bellwether-refused");

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a JSON document.
pub(crate) fn json(status: StatusCode, content: &impl Serialize) -> Response<Body> {
    let mut response = match serde_json::to_vec(content) {
        Ok(text) => Response::new(full(text)),
        Err(_) => return refused(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON"),
    };
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refusal for one reason.
pub(crate) fn refused(status: StatusCode, detail: &str) -> Response<Body> {
    problem(status, &Problem { detail: detail.to_owned(), removal: None })
}

/// A refusal.
pub(crate) fn problem(status: StatusCode, problem: &Problem) -> Response<Body> {
    let text = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(REFUSED, HeaderValue::from_static("true"));
    response
}

/// The reason, if an answer is a refusal of the node itself.
pub(crate) async fn refusal(response: Response<Incoming>) -> Result<Response<Incoming>, Problem> {
    if !response.headers().contains_key(REFUSED) {
        return Ok(response);
    }
    let status = response.status();
    let unknown = |_| Problem { detail: format!("it answers with status {status}"), removal: None };
    Err(read_json(response.into_body(), crate::wire::LONGEST_OF_STRANGERS).await.unwrap_or_else(unknown))
}

/// Receives a JSON document with at most so many bytes. The error ends a sentence.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Incoming, most: usize) -> Result<T, String> {
    let received = timeout(RECEIVED_WITHIN, Limited::new(body, most).collect()).await;
    let received = received.map_err(|_| "it was not complete in time".to_owned())?;
    let bytes = received.map_err(|error| error.to_string())?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}
