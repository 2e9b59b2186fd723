//! Pages for missing objects.

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::frame::{Frame, Page};
use super::{Handle, filters, html};
use crate::api::Caller;

#[derive(Debug, Template)]
#[template(path = "missing.html")]
struct MissingPage {
    frame: Frame,
    what: String,
}

/// No page exists at this address.
pub(super) async fn page(State(daemon): State<Handle>, caller: Option<Extension<Caller>>) -> Response {
    // Below an open path, for instance: `/assets/a/b`.
    let Some(Extension(caller)) = caller else { return StatusCode::NOT_FOUND.into_response() };
    not_there(&daemon, caller, "There is no page at this address.".to_owned())
}

/// The object of a page does not exist.
pub(super) fn not_there(daemon: &Handle, caller: Caller, what: String) -> Response {
    let mut frame = Frame::new(daemon, caller, Page::Elsewhere, "Page not found");
    frame.live = false;
    html(StatusCode::NOT_FOUND, &MissingPage { frame, what })
}
