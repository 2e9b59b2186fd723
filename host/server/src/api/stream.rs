//! Newline-delimited JSON that goes on until the client has enough.

use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bellwether_core::text::json;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;

use super::{Caller, Line};

/// An empty line or an event at least this often says that the daemon is still there. A view of
/// the stream takes three seconds of silence for lost contact.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// One object on a line of its own.
pub(super) fn line(value: &impl Serialize) -> String {
    // What is shown consists of strings and numbers under string keys.
    json(&serde_json::to_string(value).unwrap_or_default()).into_owned() + "\n"
}

/// Until the caller's sign-in or token has ended: who lost the right to ask reads nothing more.
pub(super) fn response(mut caller: Caller, lines: impl Stream<Item = Line> + Send + 'static) -> Response {
    let lines = lines.take_until(async move { caller.ended().await });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
