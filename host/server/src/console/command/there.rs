//! A command for a module of another node: the preview of its effect and its execution, both by that node.

use axum::Form;
use axum::extract::{Extension, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use bellwether_api::{CommandAnswer, ModuleStatus, PlanAnswer};
use bellwether_core::command::{Command, MAX_REASON, Order};
use bellwether_core::consequence::Consequence;
use bellwether_core::id::{ModuleName, NodeName};
use bellwether_core::permission::COMMANDS_NEED;

use super::{CommandForm, ConfirmPage, LASTS, needs, nothing, occasion, order};
use crate::api::Caller;
use crate::console::farm::{look_of_module, membership};
use crate::console::frame::{Frame, Page};
use crate::console::missing::not_there;
use crate::console::node::capitalised;
use crate::console::nodes::ask as ask_there;
use crate::console::outcome::{Outcome, told};
use crate::console::{Handle, encoded, html};

/// The parts of the address, if they are valid names.
fn valid(node: &str, module: &str, word: &str) -> Option<(NodeName, ModuleName, Command)> {
    Some((NodeName::new(node).ok()?, ModuleName::new(module).ok()?, word.parse().ok()?))
}

/// `GET /nodes/NODE/modules/MODULE/COMMAND`: the preview of its effect.
pub(in crate::console) async fn ask(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((node, name, word)): Path<(String, String, String)>,
) -> Response {
    let Some((_, _, command)) = valid(&node, &name, &word) else {
        return not_there(&daemon, caller, nothing(&name, &word));
    };
    if daemon.snapshot().node.as_str() == node {
        return Redirect::to(&format!("/modules/{name}/{command}")).into_response();
    }
    let base = format!("/nodes/{node}/modules/{name}");
    let (path, effects) = (format!("/modules/{name}"), format!("/modules/{name}/consequences"));
    // In this order: a change between the two is detected by that node.
    let module = ask_there::<ModuleStatus>(&daemon, &caller, &node, Method::GET, &path).await;
    let effects = ask_there::<Vec<Consequence>>(&daemon, &caller, &node, Method::GET, &effects).await;
    let (module, effects) = match (module, effects) {
        (Ok(module), Ok(effects)) => (module, effects),
        (Err(problem), _) | (_, Err(problem)) => {
            return membership::refused(&daemon, caller, &problem, (format!("/nodes/{node}"), node));
        }
    };
    let Some(consequence) = effects.into_iter().find(|effect| effect.command == command) else {
        return not_there(&daemon, caller, nothing(&name, &word));
    };
    let plan = match occasion(command) {
        Some(_) => {
            let path = format!("/modules/{name}/plans/{command}");
            let plan = ask_there::<PlanAnswer>(&daemon, &caller, &node, Method::GET, &path).await;
            Some(plan.map(|plan| (plan.summary, plan.steps)).map_err(|problem| problem.detail))
        }
        None => None,
    };
    let forbidden = (!caller.role.may(COMMANDS_NEED)).then(|| needs(&caller));
    let title = format!("{} {name} on {node}?", capitalised(command.word()));
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &format!("{command} {name} on {node}"));
    frame.live = false;
    let page = ConfirmPage {
        frame,
        plan,
        title,
        word: command.word(),
        look: look_of_module(&module),
        reason: module.reason,
        forbidden,
        by_name: consequence.last_ready,
        idle: consequence.idle.clone(),
        consequence,
        seen: module.changed,
        longest: MAX_REASON,
        lasts: LASTS.iter().filter(|_| command == Command::Suspend).map(|(word, _)| *word).collect(),
        arguments: format!("{command} {name} --node {node}"),
        base,
        module: name,
    };
    html(StatusCode::OK, &page)
}

/// `POST /nodes/NODE/modules/MODULE/COMMAND`: that node carries it out, if the module has not changed since the
/// preview.
pub(in crate::console) async fn give(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((node, name, word)): Path<(String, String, String)>,
    Form(given): Form<CommandForm>,
) -> Response {
    let Some((_, _, command)) = valid(&node, &name, &word) else {
        return not_there(&daemon, caller, nothing(&name, &word));
    };
    let base = format!("/nodes/{node}/modules/{name}");
    let back = (base.clone(), format!("{name} on {node}"));
    if !caller.role.may(COMMANDS_NEED) {
        let why = needs(&caller);
        return told(&daemon, caller, StatusCode::FORBIDDEN, Outcome::no(why), back);
    }
    let order = match order(command, &given) {
        Ok(order) => order,
        Err(why) => {
            let outcome = Outcome::no(why.to_string()).again(format!("{base}/{command}"));
            return told(&daemon, caller, StatusCode::BAD_REQUEST, outcome, back);
        }
    };
    let path = path(&name, command, &order, &given);
    match ask_there::<CommandAnswer>(&daemon, &caller, &node, Method::POST, &path).await {
        // The module's page shows what has come of it.
        Ok(_) => Redirect::to(&base).into_response(),
        Err(problem) => membership::refused(&daemon, caller, &problem, back),
    }
}

/// The path of the command in the API of that node.
fn path(module: &str, command: Command, order: &Order, given: &CommandForm) -> String {
    let lasts = order.lasts.map(|lasts| format!("&for_s={}", lasts.as_secs()));
    let reason = order.reason.as_ref().map(|reason| format!("&reason={}", encoded(reason)));
    let typed = Some(given.typed.trim()).filter(|typed| !typed.is_empty());
    let confirm = typed.map(|typed| format!("&confirm={}", encoded(typed)));
    let parts: String = [lasts, reason, confirm].into_iter().flatten().collect();
    format!("/modules/{module}/{command}?seen={}{parts}", given.seen)
}
