//! Inviting and removing nodes.

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_api::Problem;
use bellwether_core::id::NodeName;

use crate::api::Caller;
use crate::api::farm::handlers::{no_such_node, part};
use crate::console::frame::{Frame, Page, Times};
use crate::console::missing::not_there;
use crate::console::outcome::{Outcome, told};
use crate::console::{Handle, html};

#[derive(Debug, Template)]
#[template(path = "remove_node.html")]
struct RemoveNodePage {
    frame: Frame,
    node: String,
}

fn back() -> (String, String) {
    ("/".to_owned(), "the farm".to_owned())
}

/// The page for a request that was not carried out.
pub(in crate::console) fn refused(
    daemon: &Handle,
    caller: Caller,
    problem: &Problem,
    back: (String, String),
) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    told(daemon, caller, status, Outcome::no(format!("{}: {}.", problem.detail, problem.next)), back)
}

/// The handler of `POST /farm/invitations`.
pub(in crate::console) async fn invite(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let invited = match part(&*daemon) {
        Ok(farm) => farm.invite(caller.by()).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match invited {
        Ok(invitation) => {
            let until = Times::new(daemon.clock()).told(invitation.expires).clock;
            let done =
                Outcome::yes(format!("On the new server run this command. It is valid once, until {until}."));
            let line = format!("bellwether farm join {}", invitation.line);
            told(&daemon, caller, StatusCode::OK, done.copied("The command", line), back())
        }
        Err(problem) => refused(&daemon, caller, &problem, back()),
    }
}

/// The handler of `GET /farm/nodes/NODE/remove`.
pub(in crate::console) async fn ask_remove(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(node): Path<String>,
) -> Response {
    if NodeName::new(&node).is_err() {
        return not_there(&daemon, caller, format!("The farm has no node `{node}`."));
    }
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &format!("Remove {node}"));
    frame.live = false;
    html(StatusCode::OK, &RemoveNodePage { frame, node })
}

/// The handler of `POST /farm/nodes/NODE/remove`.
pub(in crate::console) async fn remove(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let removed = match (part(&*daemon), NodeName::new(&name)) {
        (Ok(farm), Ok(node)) => farm.remove(node, caller.by()).await.map_err(Problem::from),
        (Ok(_), Err(_)) => Err(no_such_node(&*daemon, &name).await),
        (Err(problem), _) => Err(problem),
    };
    match removed {
        Ok(()) => {
            let done = Outcome::yes(format!("Node `{name}` is removed from the farm."));
            told(&daemon, caller, StatusCode::OK, done, back())
        }
        Err(problem) => refused(&daemon, caller, &problem, back()),
    }
}
