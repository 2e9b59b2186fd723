//! The overview of the farm, worst first: nodes across and modules down, or one row for each node if there are many.

use std::time::Duration;

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_api::farm::{FarmNode, FarmStatus, Hearing, Urgency};
use bellwether_core::access::Role;
use bellwether_core::attention::Attention;
use bellwether_core::id::NodeName;
use serde::Deserialize;

use self::contact::Contact;
use self::matrix::{Kind, Matrix};
use self::rows::{ModuleTally, Zone};
use self::search::Search;
use super::frame::{Frame, Others, Page, Time, Times};
use super::look::Look;
use super::{Handle, filters, html, node};
use crate::api::Caller;

pub(super) use self::matrix::{look as look_of_module, tone as tone_of_module};

mod contact;
mod matrix;
pub(super) mod membership;
mod rows;
mod search;
#[cfg(test)]
mod tests;

/// How long a page waits for the status of other nodes.
const WITHIN: Duration = Duration::from_millis(500);
/// This many nodes fit beside each other.
const MAX_COLUMNS: usize = 6;

#[derive(Debug, Template)]
#[template(path = "farm.html")]
struct FarmPage {
    frame: Frame,
    overview: Overview,
}

/// Everything on the page.
#[derive(Debug)]
struct Overview {
    headline: String,
    look: Look,
    tallies: Vec<Tally>,
    problems: Vec<String>,
    /// Nodes without contact.
    lost: Vec<LostNode>,
    /// What is searched for.
    search: String,
    /// The number of nodes and of modules that are found, if something is searched for.
    found: Option<String>,
    arrangement: Arrangement,
    contact: Contact,
    /// Whether the user may invite and remove nodes.
    may_manage: bool,
}

#[derive(Debug)]
enum Arrangement {
    /// Nodes across, modules down.
    Matrix(Matrix),
    /// A row for each node.
    Rows { zones: Vec<Zone>, modules: Vec<ModuleTally>, quiet: Vec<ModuleTally> },
}

/// The number of nodes in each state.
#[derive(Debug)]
struct Tally {
    count: usize,
    look: Look,
}

/// A node without contact: what is known, and what to do.
#[derive(Debug)]
struct LostNode {
    name: String,
    look: Look,
    since: Option<Time>,
    /// The nodes that are in contact with it: `node-2, node-3`.
    heard_by: String,
    explanation: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// A part of the name of a node, a zone or a module.
    #[serde(default)]
    q: String,
}

/// The handler of `GET /`.
pub(super) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Query(Asked { q }): Query<Asked>,
) -> Response {
    let Some(farm) = daemon.farm().filter(|farm| farm.size() > 1) else {
        return node::page(daemon, caller).await;
    };
    let status = farm.status(WITHIN).await;
    let may_manage = caller.role.may(Role::Admin);
    let overview = Overview::new(&status, &q, &Times::new(daemon.clock()), may_manage);
    let mut frame = Frame::new(&daemon, caller, Page::Overview, "Farm");
    frame.others = Others::Here;
    html(StatusCode::OK, &FarmPage { frame, overview })
}

impl Overview {
    fn new(farm: &FarmStatus, q: &str, times: &Times, may_manage: bool) -> Self {
        let search = Search::new(q, farm);
        let nodes = farm.worst_first();
        let shown: Vec<&FarmNode> = nodes.iter().copied().filter(|node| search.wants_node(node)).collect();
        let arrangement = if farm.nodes.len() <= MAX_COLUMNS {
            Arrangement::Matrix(Matrix::new(&shown, &search, times))
        } else {
            let (modules, quiet) = rows::modules(&shown, &search);
            Arrangement::Rows { zones: rows::zones(&shown, &search, times), modules, quiet }
        };
        let worst = nodes.first().map_or(Urgency::Known(Attention::Well), |node| node.urgency());
        Self {
            headline: farm.headline.clone(),
            look: of_farm(worst),
            tallies: tallies(&nodes),
            problems: farm.problems.clone(),
            lost: shown
                .iter()
                .filter(|node| !node.hearing.is_current())
                .map(|node| lost(node, times))
                .collect(),
            found: search.found(shown.len()),
            search: q.trim().to_owned(),
            arrangement,
            contact: Contact::new(farm, times),
            may_manage,
        }
    }
}

/// The look of a node, from its contact and its modules. What was known before a loss of contact does not count.
pub(super) fn of_node(node: &FarmNode) -> Look {
    match node.hearing {
        Hearing::Unknown => Look { glyph: "undecided", word: "unknown", tone: "bad" },
        Hearing::Never => Look { glyph: "undecided", word: "no contact yet", tone: "bad" },
        Hearing::CannotAuthenticate => Look { glyph: "out", word: "cannot authenticate", tone: "bad" },
        Hearing::This | Hearing::Heard => match node.urgency() {
            Urgency::Known(worst) => node::overall(worst),
            Urgency::NoContact | Urgency::NoReport => {
                Look { glyph: "undecided", word: "no report yet", tone: "idle" }
            }
        },
    }
}

fn of_farm(worst: Urgency) -> Look {
    match worst {
        Urgency::NoContact => Look { glyph: "undecided", word: "unknown", tone: "bad" },
        Urgency::Known(worst) => node::overall(worst),
        Urgency::NoReport => node::overall(Attention::Well),
    }
}

fn tallies(nodes: &[&FarmNode]) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for look in nodes.iter().map(|node| of_node(node)) {
        match tallies.iter_mut().find(|tally| tally.look == look) {
            Some(tally) => tally.count += 1,
            None => tallies.push(Tally { count: 1, look }),
        }
    }
    tallies
}

fn lost(node: &FarmNode, times: &Times) -> LostNode {
    LostNode {
        name: node.name.to_string(),
        look: of_node(node),
        since: node.since.clone().map(|since| times.told(since)),
        heard_by: heard_by(node),
        explanation: node.explanation.clone(),
    }
}

/// The nodes that are in contact with it, the first ones by name.
fn heard_by(node: &FarmNode) -> String {
    const LISTED: usize = 3;
    let listed: Vec<&str> = node.heard_by.iter().take(LISTED).map(NodeName::as_str).collect();
    let more = node.heard_by.len().saturating_sub(LISTED);
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    listed.join(", ") + &and
}
