//! One module of another node.

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use bellwether_api::{CheckerStatus, ModuleStatus, WhyAnswer};
use bellwether_core::command::Command;
use bellwether_core::consequence::Consequence;
use bellwether_core::id::ModuleName;
use bellwether_core::permission::COMMANDS_NEED;

use super::{answer, ask, worst_first};
use crate::api::Caller;
use crate::console::farm::{look_of_module, membership};
use crate::console::frame::{Frame, Others, Page, Time, Times};
use crate::console::look::Look;
use crate::console::missing::not_there;
use crate::console::node::capitalised;
use crate::console::{Handle, filters, html};

#[derive(Debug, Template)]
#[template(path = "other_module.html")]
struct ModulePage {
    frame: Frame,
    node: String,
    name: String,
    look: Look,
    suspended: bool,
    since: Time,
    reason: String,
    answer: Look,
    restarts: String,
    next: String,
    chain: Vec<(Time, String)>,
    waits: Vec<String>,
    checkers: Vec<CheckerRow>,
    may_act: bool,
    buttons: Vec<Button>,
}

#[derive(Debug)]
struct CheckerRow {
    name: String,
    verdict: Look,
    since: Time,
    last: Option<(Look, String, Time)>,
}

#[derive(Debug)]
struct Button {
    word: String,
    href: String,
    danger: bool,
}

/// The handler of `GET /nodes/NODE/modules/MODULE`.
pub(in crate::console) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((node, name)): Path<(String, String)>,
) -> Response {
    if ModuleName::new(&name).is_err() {
        return not_there(&daemon, caller, format!("There is no module `{name}`."));
    }
    if daemon.snapshot().node.as_str() == node {
        return Redirect::to(&format!("/modules/{name}")).into_response();
    }
    let (path, get) = (format!("/modules/{name}"), || Method::GET);
    let (why_path, effects_path) = (format!("{path}/why"), format!("{path}/consequences"));
    let asked = tokio::join!(
        ask::<ModuleStatus>(&daemon, &caller, &node, get(), &path),
        ask::<WhyAnswer>(&daemon, &caller, &node, get(), &why_path),
        ask::<Vec<Consequence>>(&daemon, &caller, &node, get(), &effects_path),
    );
    let (module, why, effects) = match asked {
        (Ok(module), Ok(why), Ok(effects)) => (module, why, effects),
        (Err(problem), ..) | (_, Err(problem), _) | (.., Err(problem)) => {
            let back = (format!("/nodes/{node}"), node);
            return membership::refused(&daemon, caller, &problem, back);
        }
    };
    let times = Times::new(daemon.clock());
    let may_act = caller.role.may(COMMANDS_NEED);
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &format!("{name} on {node}"));
    frame.others = Others::Here;
    let (restarts, budget) = (module.restarts, &module.budget);
    let page = ModulePage {
        look: look_of_module(&module),
        suspended: module.suspended,
        since: times.told(module.shown_since().to_owned()),
        answer: answer(&module),
        restarts: format!("{restarts} of {} in {}", budget.restarts, budget.within),
        next: why.next,
        chain: why.chain.into_iter().map(|link| (times.told(link.at), link.text)).collect(),
        waits: why.waits,
        checkers: worst_first(&module.checkers).into_iter().map(|checker| row(checker, &times)).collect(),
        may_act,
        buttons: buttons(&format!("/nodes/{node}/modules/{name}"), &effects),
        reason: module.reason,
        frame,
        node,
        name,
    };
    html(StatusCode::OK, &page)
}

fn row(checker: &CheckerStatus, times: &Times) -> CheckerRow {
    let last = checker.last.as_ref();
    CheckerRow {
        name: checker.name.to_string(),
        verdict: Look::checker(checker),
        since: times.told(checker.since.clone()),
        last: last.map(|last| (Look::status(last.status), last.summary.clone(), times.told(last.at.clone()))),
    }
}

/// The commands that have an effect now.
fn buttons(base: &str, effects: &[Consequence]) -> Vec<Button> {
    let useful = effects.iter().filter(|effect| effect.idle.is_none());
    useful
        .map(|effect| Button {
            word: capitalised(effect.command.word()),
            href: format!("{base}/{}", effect.command),
            danger: effect.takes_out || effect.command == Command::Stop,
        })
        .collect()
}
