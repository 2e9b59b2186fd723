//! The pages of other nodes: what they answer to this one, which passes on the user's name and role.

use std::time::Duration;

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use bellwether_api::Problem;
use bellwether_api::farm::FarmNode;
use bellwether_api::{CheckerStatus, ModuleStatus};
use bellwether_core::attention::Attention;
use bellwether_core::id::NodeName;
use bellwether_core::verdict::Verdict;
use serde::de::DeserializeOwned;

use super::farm::{look_of_module, of_node, tone_of_module};
use super::frame::{Frame, Others, Page, Time, Times};
use super::look::Look;
use super::missing::not_there;
use super::{Handle, filters, html, node};
use crate::api::Caller;
use crate::api::farm::handlers::part;

pub(super) mod module;
#[cfg(test)]
mod tests;

/// How long a page waits for another node.
const WITHIN: Duration = Duration::from_secs(4);
/// The maximum size of an answer.
const MAX_ANSWER: usize = 16 << 20;

#[derive(Debug, Template)]
#[template(path = "other_node.html")]
struct NodePage {
    frame: Frame,
    node: OtherNode,
}

/// One node as a page shows it.
#[derive(Debug)]
struct OtherNode {
    name: String,
    headline: String,
    look: Look,
    /// Whether its state is known now.
    current: bool,
    /// Since when it is not.
    since: Option<Time>,
    explanation: String,
    /// The time of the last status, if it is not the current one.
    as_of: Option<Time>,
    problems: Vec<String>,
    modules: Vec<ModuleRow>,
    facts: Vec<(&'static str, String)>,
}

/// One module of another node.
#[derive(Debug)]
struct ModuleRow {
    name: String,
    look: Look,
    tone: &'static str,
    suspended: bool,
    since: Time,
    reason: String,
    answer: Look,
    checkers: Vec<(usize, Look)>,
    restarts: String,
}

/// The handler of `GET /nodes/NODE`.
pub(super) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    if daemon.snapshot().node.as_str() == name {
        return node::page(daemon, caller).await;
    }
    let Some(farm) = daemon.farm() else {
        return not_there(&daemon, caller, format!("There is no node `{name}`."));
    };
    let status = farm.status(WITHIN).await;
    let Some(found) = status.nodes.iter().find(|node| node.name.as_str() == name) else {
        return not_there(&daemon, caller, format!("The farm has no node `{name}`."));
    };
    let node = OtherNode::new(found, &Times::new(daemon.clock()));
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &name);
    frame.others = Others::Here;
    html(StatusCode::OK, &NodePage { frame, node })
}

impl OtherNode {
    fn new(node: &FarmNode, times: &Times) -> Self {
        let current = node.hearing.is_current();
        let status = node.status.as_ref();
        let mut modules: Vec<&ModuleStatus> = status.iter().flat_map(|status| &status.modules).collect();
        modules.sort_by(|a, b| (a.attention, &a.name).cmp(&(b.attention, &b.name)));
        let facts = [
            ("Zone", node.zone.clone()),
            ("Address", node.address.clone()),
            ("Version", node.version.clone()),
            ("Certificate valid until", node.certificate_ends.clone().map(|ends| times.told(ends).clock)),
        ];
        Self {
            name: node.name.to_string(),
            headline: node.headline().unwrap_or_default().to_owned(),
            look: of_node(node),
            current,
            since: node.since.clone().filter(|_| !current).map(|since| times.told(since)),
            explanation: node.explanation.clone(),
            as_of: node.status_at.clone().filter(|_| !current && status.is_some()).map(|at| times.told(at)),
            problems: status.filter(|_| current).map(|status| status.problems.clone()).unwrap_or_default(),
            modules: modules.into_iter().map(|module| ModuleRow::new(module, times)).collect(),
            facts: facts.into_iter().filter_map(|(what, value)| Some((what, value?))).collect(),
        }
    }
}

impl ModuleRow {
    fn new(module: &ModuleStatus, times: &Times) -> Self {
        let (restarts, budget) = (module.restarts, &module.budget);
        Self {
            name: module.name.to_string(),
            look: look_of_module(module),
            tone: tone_of_module(module),
            suspended: module.suspended,
            since: times.told(module.shown_since().to_owned()),
            reason: module.reason.clone(),
            answer: answer(module),
            checkers: tally(&module.checkers),
            restarts: format!("{restarts} of {} in {}", budget.restarts, budget.within),
        }
    }
}

/// A module that should not run raises no alarm when it does not run.
fn answer(module: &ModuleStatus) -> Look {
    let look = Look::answer(module.ready);
    if module.ready || module.attention != Attention::Held { look } else { Look { tone: "idle", ..look } }
}

fn tally(checkers: &[CheckerStatus]) -> Vec<(usize, Look)> {
    let mut tallies: Vec<(usize, Look)> = Vec::new();
    for look in worst_first(checkers).into_iter().map(Look::checker) {
        match tallies.iter_mut().find(|(_, known)| *known == look) {
            Some((count, _)) => *count += 1,
            None => tallies.push((1, look)),
        }
    }
    tallies
}

fn worst_first(checkers: &[CheckerStatus]) -> Vec<&CheckerStatus> {
    let mut checkers: Vec<&CheckerStatus> = checkers.iter().collect();
    checkers.sort_by_key(|checker| match checker.verdict {
        _ if !checker.watched => 3,
        Verdict::Down => 0,
        Verdict::Undecided => 1,
        Verdict::Up => 2,
    });
    checkers
}

/// Asks another node, and reads its answer.
pub(super) async fn ask<T: DeserializeOwned>(
    daemon: &Handle,
    caller: &Caller,
    node: &str,
    method: Method,
    path: &str,
) -> Result<T, Problem> {
    let farm = part(&**daemon)?;
    let wrong = |detail: String| Problem {
        title: "not understood".into(),
        status: 502,
        detail,
        next: "the two nodes may run different versions: see `bellwether farm status`".into(),
    };
    let node_name = NodeName::new(node).map_err(|error| Problem::bad_request(error.to_string()))?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() =
        format!("/api/v1{path}").parse().map_err(|_| Problem::bad_request("the path of the request"))?;
    let answer = async {
        let response = farm.ask(node_name, request, (caller.name.clone(), caller.role)).await?;
        let status = response.status();
        let body = to_bytes(response.into_body(), MAX_ANSWER).await;
        let body = body.map_err(|error| wrong(format!("the answer of `{node}` is incomplete: {error}")))?;
        if !status.is_success() {
            let problem = serde_json::from_slice::<Problem>(&body);
            return Err(problem.unwrap_or_else(|_| wrong(format!("`{node}` answered with status {status}"))));
        }
        serde_json::from_slice(&body)
            .map_err(|error| wrong(format!("the answer of `{node}` is not understood: {error}")))
    };
    tokio::time::timeout(WITHIN, answer).await.unwrap_or_else(|_| {
        Err(Problem {
            title: "overdue".into(),
            status: 504,
            detail: format!("`{node}` did not answer in time"),
            next: "check the state of that node before you try again".into(),
        })
    })
}
