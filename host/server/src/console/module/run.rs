//! Runs a checker immediately, at a user's request.

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::access::Role;
use bellwether_core::id::CheckerName;
use bellwether_core::record::RecordKind;

use super::took;
use crate::api::Caller;
use crate::console::frame::{Frame, Page};
use crate::console::look::Look;
use crate::console::missing::not_there;
use crate::console::{Handle, filters, html};

#[derive(Debug, Template)]
#[template(path = "ran.html")]
struct RanPage {
    frame: Frame,
    module: String,
    checker: String,
    look: Look,
    summary: String,
    took: Option<String>,
}

/// The handler of `POST /modules/M/checkers/C/run`.
pub(crate) async fn run(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((name, checker)): Path<(String, String)>,
) -> Response {
    let snapshot = daemon.snapshot();
    let known = snapshot.module(&name).and_then(|module| {
        let found = module.checkers.iter().find(|known| known.name.as_str() == checker)?;
        Some((module.name.clone(), CheckerName::clone(&found.name)))
    });
    let Some((module, known)) = known else {
        return not_there(&daemon, caller, format!("There is no checker `{checker}` in a module `{name}`."));
    };
    let (status, look, summary, took) = if caller.role.may(Role::Control) {
        daemon.note(
            Some(module.clone()),
            RecordKind::Access { by: caller.by(), what: format!("ran checker `{checker}` once") },
        );
        match daemon.run_checker(module, known).await {
            Ok(seen) => (StatusCode::OK, Look::status(seen.status), seen.summary, Some(took(seen.took))),
            Err(why) => (
                StatusCode::CONFLICT,
                Look { glyph: "out", word: "not run", tone: "bad" },
                why.to_string(),
                None,
            ),
        }
    } else {
        let why =
            format!("{} has the role {}: this needs the role {}.", caller.name, caller.role, Role::Control);
        (StatusCode::FORBIDDEN, Look { glyph: "out", word: "not run", tone: "bad" }, why, None)
    };
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &format!("{checker} of {name}"));
    frame.live = false;
    html(status, &RanPage { frame, module: name, checker, look, summary, took })
}
