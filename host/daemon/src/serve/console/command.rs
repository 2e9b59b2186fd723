//! A command: first what it will do, then, if the person says so, doing it.

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::access::Role;
use bellwether_core::command::{Command, CommandOutcome};
use bellwether_core::consequence::Consequence;
use bellwether_core::snapshot::ModuleView;
use serde::Deserialize;

use super::farm::capitalised;
use super::frame::{Frame, Page};
use super::look::Look;
use super::missing::not_there;
use super::{Handle, filters, html};
use crate::serve::api::{COMMAND_WITHIN, Caller};

#[derive(Debug, Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    module: String,
    word: &'static str,
    title: String,
    look: Look,
    reason: String,
    consequence: Consequence,
    /// Why this person may not.
    forbidden: Option<String>,
    seen: u64,
}

#[derive(Debug, Template)]
#[template(path = "outcome.html")]
struct OutcomePage {
    frame: Frame,
    module: String,
    title: String,
    detail: String,
    look: Look,
    /// The command again, with what is so now.
    again: Option<String>,
}

/// As the form sends it.
#[derive(Debug, Deserialize)]
pub(super) struct Given {
    seen: u64,
    /// The module's name, typed; asked for where nobody would serve any more.
    #[serde(default)]
    typed: String,
}

/// `GET /modules/M/COMMAND`: what it will do.
pub(super) async fn ask(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((name, word)): Path<(String, String)>,
) -> Response {
    let snapshot = daemon.snapshot();
    let (Some(module), Ok(command)) = (snapshot.module(&name), word.parse::<Command>()) else {
        return not_there(&daemon, caller, nothing(&name, &word));
    };
    let forbidden = (!caller.role.may(Role::Control)).then(|| needs(&caller));
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &format!("{command} {name}"));
    frame.live = false;
    let page = ConfirmPage {
        title: format!("{} {name}?", capitalised(command.word())),
        word: command.word(),
        look: Look::module(module),
        reason: module.reason.clone(),
        consequence: Consequence::of(module, command, 0),
        forbidden,
        // Of the picture that this very page was made of.
        seen: snapshot.generation,
        module: name,
        frame,
    };
    html(StatusCode::OK, &page)
}

/// `POST /modules/M/COMMAND`: do it, if the module has not moved since the page was made.
pub(super) async fn give(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((name, word)): Path<(String, String)>,
    Form(given): Form<Given>,
) -> Response {
    let snapshot = daemon.snapshot();
    let (Some(module), Ok(command)) = (snapshot.module(&name), word.parse::<Command>()) else {
        return not_there(&daemon, caller, nothing(&name, &word));
    };
    if !caller.role.may(Role::Control) {
        let why = needs(&caller);
        return told(&daemon, caller, module, StatusCode::FORBIDDEN, Told::No(why, None));
    }
    if Consequence::of(module, command, 0).last_ready && given.typed.trim() != name {
        let why = format!("No other node serves {name}: type its name to {command} it nevertheless.");
        return told(&daemon, caller, module, StatusCode::CONFLICT, Told::No(why, Some(command)));
    }
    let order = daemon.command(module.name.clone(), command, Some(given.seen), caller.by());
    let Ok(outcome) = tokio::time::timeout(COMMAND_WITHIN, order).await else {
        let why = "The daemon did not answer in time. Look at the state before you try again.".to_owned();
        return told(&daemon, caller, module, StatusCode::GATEWAY_TIMEOUT, Told::No(why, None));
    };
    let (status, outcome) = match outcome {
        CommandOutcome::Accepted(what) => (StatusCode::OK, Told::Yes(what)),
        CommandOutcome::AlreadySo(why) => (StatusCode::OK, Told::Nothing(why)),
        CommandOutcome::Denied(why) => (StatusCode::CONFLICT, Told::No(why.to_string(), Some(command))),
    };
    told(&daemon, caller, module, status, outcome)
}

/// What became of it.
enum Told {
    Yes(String),
    Nothing(String),
    /// Why not, and the command to think about again.
    No(String, Option<Command>),
}

fn told(daemon: &Handle, caller: Caller, module: &ModuleView, status: StatusCode, told: Told) -> Response {
    let name = module.name.to_string();
    let (title, detail, look, again) = match told {
        Told::Yes(what) => ("Done", what, Look { glyph: "yes", word: "accepted", tone: "ok" }, None),
        Told::Nothing(why) => {
            ("Nothing to do", why, Look { glyph: "no", word: "nothing to do", tone: "idle" }, None)
        }
        Told::No(why, again) => {
            let again = again.map(|command| format!("/modules/{name}/{command}"));
            ("Not carried out", why, Look { glyph: "out", word: "denied", tone: "bad" }, again)
        }
    };
    let mut frame = Frame::new(daemon, caller, Page::Elsewhere, title);
    frame.live = false;
    html(status, &OutcomePage { frame, module: name, title: title.to_owned(), detail, look, again })
}

fn nothing(name: &str, word: &str) -> String {
    format!("There is no module `{name}` on this node, or nothing called `{word}` can be done with it.")
}

fn needs(caller: &Caller) -> String {
    format!("{} has the role {}: commands need the role {}.", caller.name, caller.role, Role::Control)
}
