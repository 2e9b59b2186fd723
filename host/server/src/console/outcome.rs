//! The page with the outcome of an action.

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
    /// To be copied by the user; shown once.
    secret: Option<Copied>,
    back: String,
    back_word: String,
    again: Option<String>,
}

/// A text to be copied.
#[derive(Debug)]
struct Copied {
    /// Whether only a program may read it.
    secret: bool,
    /// What it is.
    label: &'static str,
    text: String,
}

/// The outcome of an action.
#[derive(Debug)]
pub(super) struct Outcome {
    title: &'static str,
    detail: String,
    look: Look,
    secret: Option<Copied>,
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

    /// Sets the page on which the user can try again.
    pub(super) fn again(self, again: String) -> Self {
        Self { again: Some(again), ..self }
    }

    /// Sets a secret that is shown once.
    pub(super) fn secret(self, secret: String) -> Self {
        Self { secret: Some(Copied { secret: true, label: "The token", text: secret }), ..self }
    }

    /// Sets a text that is shown once, and is to be copied.
    pub(super) fn copied(self, label: &'static str, text: String) -> Self {
        Self { secret: Some(Copied { secret: false, label, text }), ..self }
    }
}

/// The page with the outcome. `back` is the link to continue with, and its text.
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
