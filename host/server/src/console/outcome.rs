//! What became of something that a person did.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::{Frame, Page};
use super::look::Look;
use super::{Handle, filters, html};
use crate::api::Caller;

#[derive(Debug, Template)]
#[template(path = "outcome.html")]
struct OutcomePage {
    frame: Frame,
    title: &'static str,
    detail: String,
    look: Look,
    /// To be copied by hand; shown once.
    secret: Option<String>,
    back: String,
    back_word: String,
    again: Option<String>,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Outcome {
    title: &'static str,
    detail: String,
    look: Look,
    secret: Option<String>,
    again: Option<String>,
}

impl Outcome {
    /// It is done, or will be.
    pub(super) fn yes(detail: String) -> Self {
        Self::new("Done", detail, Look { glyph: "yes", word: "accepted", tone: "ok" })
    }

    /// It is not done.
    pub(super) fn no(detail: String) -> Self {
        Self::new("Not carried out", detail, Look { glyph: "out", word: "denied", tone: "bad" })
    }

    fn new(title: &'static str, detail: String, look: Look) -> Self {
        Self { title, detail, look, secret: None, again: None }
    }

    /// Where to think about it again.
    pub(super) fn again(self, again: String) -> Self {
        Self { again: Some(again), ..self }
    }

    /// Something that is shown once.
    pub(super) fn secret(self, secret: String) -> Self {
        Self { secret: Some(secret), ..self }
    }
}

/// The page that says so. `back` is where to go from there, and how that is called.
pub(super) fn told(
    daemon: &Handle,
    caller: Caller,
    status: StatusCode,
    outcome: Outcome,
    (back, back_word): (String, String),
) -> Response {
    let Outcome { title, detail, look, secret, again } = outcome;
    let mut frame = Frame::new(daemon, caller, Page::Elsewhere, title);
    frame.live = false;
    html(status, &OutcomePage { frame, title, detail, look, secret, back, back_word, again })
}
