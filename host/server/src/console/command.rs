//! A command: first the preview of its effect, then, after a confirmation, its execution. The outcome is shown at
//! the top of the module's page, to which the browser is redirected.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use bellwether_core::command::{BadReason, Command, CommandOutcome, DeniedReason, MAX_REASON, Order, reason};
use bellwether_core::consequence::Consequence;
use bellwether_core::permission::{Authorization, COMMANDS_NEED, OTHER_READY_NODES, Permission};
use bellwether_core::plan::Occasion;
use bellwether_core::snapshot::ModuleView;
use serde::Deserialize;

use super::frame::{Frame, Page};
use super::look::Look;
use super::missing::not_there;
use super::node::capitalised;
use super::outcome::{Outcome, told};
use super::{Handle, filters, html};
use crate::api::{COMMAND_WITHIN, Caller};

pub(super) mod there;

#[derive(Debug, Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    module: String,
    /// The address of the module's page.
    base: String,
    /// The same on the command line, after `bellwether`.
    arguments: String,
    word: &'static str,
    title: String,
    look: Look,
    reason: String,
    consequence: Consequence,
    /// Why this user may not give it.
    forbidden: Option<String>,
    /// Why it would have no effect.
    idle: Option<String>,
    /// Whether the module's name has to be typed.
    by_name: bool,
    seen: u64,
    /// The maximum length of a reason.
    longest: usize,
    /// The duration, if it can be chosen.
    lasts: Vec<&'static str>,
    /// The plan that the restart script would make now.
    plan: Option<Result<(String, Vec<String>), String>>,
}

/// The fields of the form.
#[derive(Debug, Deserialize)]
pub(super) struct CommandForm {
    seen: u64,
    /// The module's name as typed; required where no node would serve the module.
    #[serde(default)]
    typed: String,
    /// The reason, in one line.
    #[serde(default)]
    reason: String,
    /// The duration of a suspension: `30m`.
    #[serde(default)]
    lasts: String,
}

/// `GET /modules/M/COMMAND`: the preview of its effect.
pub(super) async fn ask(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((name, word)): Path<(String, String)>,
) -> Response {
    let snapshot = daemon.snapshot();
    let (Some(module), Ok(command)) = (snapshot.module(&name), word.parse::<Command>()) else {
        return not_there(&daemon, caller, nothing(&name, &word));
    };
    let permission = Permission::shown(command, caller.role, module);
    let forbidden = (permission == Permission::Forbidden).then(|| needs(&caller));
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &format!("{command} {name}"));
    frame.live = false;
    let page = ConfirmPage {
        plan: plan(&daemon, module, command).await,
        title: format!("{} {name}?", capitalised(command.word())),
        word: command.word(),
        look: Look::module(module),
        reason: module.reason.clone(),
        consequence: Consequence::of(module, command, OTHER_READY_NODES),
        forbidden,
        by_name: permission == Permission::Unconfirmed,
        idle: if let Permission::Idle(why) = permission { Some(why) } else { None },
        // From the same snapshot as this page.
        seen: snapshot.generation,
        longest: MAX_REASON,
        lasts: LASTS.iter().filter(|_| command == Command::Suspend).map(|(word, _)| *word).collect(),
        base: format!("/modules/{name}"),
        arguments: format!("{command} {name}"),
        module: name,
        frame,
    };
    html(StatusCode::OK, &page)
}

/// `POST /modules/M/COMMAND`: carries it out, if the module has not changed since the preview.
pub(super) async fn give(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((name, word)): Path<(String, String)>,
    Form(given): Form<CommandForm>,
) -> Response {
    let snapshot = daemon.snapshot();
    let (Some(module), Ok(command)) = (snapshot.module(&name), word.parse::<Command>()) else {
        return not_there(&daemon, caller, nothing(&name, &word));
    };
    let (back, again) = ((format!("/modules/{name}"), name.clone()), format!("/modules/{name}/{command}"));
    if Permission::shown(command, caller.role, module) == Permission::Forbidden {
        let why = needs(&caller);
        return told(&daemon, caller, StatusCode::FORBIDDEN, Outcome::no(why), back);
    }
    let order = match order(command, &given) {
        Ok(order) => order,
        Err(why) => {
            return told(
                &daemon,
                caller,
                StatusCode::BAD_REQUEST,
                Outcome::no(why.to_string()).again(again),
                back,
            );
        }
    };
    let authorization =
        Authorization { role: caller.role, seen: Some(given.seen), confirmed: Some(given.typed) };
    let asked = daemon.command(module.name.clone(), order, authorization, caller.by());
    let Ok(outcome) = tokio::time::timeout(COMMAND_WITHIN, asked).await else {
        let why = "The daemon did not answer in time. Check the state before you try again.".to_owned();
        return told(&daemon, caller, StatusCode::GATEWAY_TIMEOUT, Outcome::no(why), back);
    };
    match outcome {
        // The module's page shows the command and its outcome at the top.
        CommandOutcome::Accepted(_) | CommandOutcome::AlreadySo(_) => Redirect::to(&back.0).into_response(),
        CommandOutcome::Denied(DeniedReason::Unconfirmed) => {
            let why =
                format!("This node would stop serving {name}: type its name to {command} it nevertheless.");
            told(&daemon, caller, StatusCode::CONFLICT, Outcome::no(why).again(again), back)
        }
        CommandOutcome::Denied(why) => {
            told(&daemon, caller, StatusCode::CONFLICT, Outcome::no(why.to_string()).again(again), back)
        }
    }
}

/// The durations of a suspension that this page offers.
const LASTS: [(&str, Duration); 4] = [
    ("30m", Duration::from_mins(30)),
    ("2h", Duration::from_hours(2)),
    ("8h", Duration::from_hours(8)),
    ("1d", Duration::from_hours(24)),
];

/// The error in the form.
#[derive(Debug, thiserror::Error)]
enum FormError {
    #[error(transparent)]
    Reason(#[from] BadReason),
    #[error("`{0}` is not one of the available durations")]
    Lasts(String),
}

/// The command with its parameters.
fn order(command: Command, given: &CommandForm) -> Result<Order, FormError> {
    let reason = reason(&given.reason)?;
    let lasts = match (command, given.lasts.as_str()) {
        (Command::Suspend, lasts) if !lasts.is_empty() => {
            let known = LASTS.into_iter().find(|(word, _)| *word == lasts);
            Some(known.ok_or_else(|| FormError::Lasts(lasts.to_owned()))?.1)
        }
        _ => None,
    };
    Ok(Order { command, lasts, reason })
}

/// The restart script's plan, for commands that request one.
async fn plan(
    daemon: &Handle,
    module: &ModuleView,
    command: Command,
) -> Option<Result<(String, Vec<String>), String>> {
    let occasion = occasion(command)?;
    let asked = daemon.preview(module.name.clone(), occasion).await;
    Some(
        asked
            .map_err(|why| why.to_string())
            .map(|plan| (plan.summary, plan.steps.iter().map(|step| step.action.to_string()).collect())),
    )
}

/// What the restart script is asked for; `None` for commands that need no plan.
fn occasion(command: Command) -> Option<Occasion> {
    match command {
        Command::Start => Some(Occasion::Start),
        Command::Stop => Some(Occasion::Stop),
        Command::Restart => Some(Occasion::Restart),
        Command::Suspend | Command::Resume | Command::Reset | Command::Confirm => None,
    }
}

fn nothing(name: &str, word: &str) -> String {
    format!("There is no module `{name}` on this node, or no command `{word}`.")
}

fn needs(caller: &Caller) -> String {
    format!("{} has the role {}: commands need the role {}.", caller.name, caller.role, COMMANDS_NEED)
}
