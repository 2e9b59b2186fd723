//! Newline-delimited JSON that continues until the client disconnects.

use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bellwether_core::text::json;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;

use super::{Caller, Line};

/// The longest time between two lines or events: otherwise an empty one is sent as a keep-alive. A client assumes a
/// lost connection after three seconds of silence.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// One object on a separate line.
pub(super) fn line(value: &impl Serialize) -> String {
    // The serialised types consist of strings and numbers with string keys.
    json(&serde_json::to_string(value).unwrap_or_default()).into_owned() + "\n"
}

/// Ends with the caller's session or token: a caller that has lost its rights reads nothing more.
pub(super) fn response(mut caller: Caller, lines: impl Stream<Item = Line> + Send + 'static) -> Response {
    let lines = lines.take_until(async move { caller.ended().await });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
