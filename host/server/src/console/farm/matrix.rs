//! Nodes across, modules down.

use std::collections::BTreeMap;

use bellwether_api::ModuleStatus;
use bellwether_api::farm::{FarmNode, Hearing};
use bellwether_core::attention::Attention;
use bellwether_core::state::StateName;

use super::search::Search;
use super::{heard_by, of_node};
use crate::console::frame::{Time, Times};
use crate::console::look::Look;

/// With more modules, those that are healthy on all nodes are folded.
const MAX_OPEN: usize = 12;

#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) columns: Vec<Column>,
    /// Worst first.
    pub(super) rows: Vec<Row>,
    /// Modules that are healthy on all nodes with contact, if there are many.
    pub(super) quiet: Vec<Row>,
}

/// One node.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) zone: Option<String>,
    pub(super) look: Look,
    /// Since when there is no contact.
    pub(super) since: Option<Time>,
    pub(super) heard_by: String,
    /// `2 of 3 modules ready`, with contact.
    pub(super) ready: Option<String>,
    pub(super) this: bool,
}

/// One module.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
    /// How urgent it is on the nodes with contact.
    worst: Attention,
}

/// One module on one node.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) node: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Its state now.
    Known {
        href: String,
        look: Look,
        tone: &'static str,
        suspended: bool,
        since: Time,
        reason: Option<String>,
    },
    /// There is no contact with the node. Its last known state is only a hint.
    Unknown { before: Option<&'static str> },
    /// The node has no such module.
    Absent,
    /// The node has not sent its status.
    NoReport,
}

impl Matrix {
    pub(super) fn new(nodes: &[&FarmNode], search: &Search, times: &Times) -> Self {
        // Columns keep their places while states change.
        let mut nodes = nodes.to_vec();
        nodes.sort_by(|a, b| (&a.zone, &a.name).cmp(&(&b.zone, &b.name)));
        let modules: Vec<BTreeMap<&str, &ModuleStatus>> = nodes.iter().map(|node| modules(node)).collect();
        let mut names: Vec<&str> = modules.iter().flat_map(|modules| modules.keys().copied()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| search.wants_module(name));
        let mut rows: Vec<Row> = names
            .into_iter()
            .map(|name| {
                let on_nodes = nodes.iter().zip(&modules);
                let cells =
                    on_nodes.clone().map(|(node, modules)| cell(node, modules.get(name).copied(), times));
                let known = on_nodes.filter(|(node, _)| node.hearing.is_current());
                let worst =
                    known.filter_map(|(_, modules)| modules.get(name)).map(|module| module.attention).min();
                Row { name: name.to_owned(), cells: cells.collect(), worst: worst.unwrap_or_default() }
            })
            .collect();
        rows.sort_by(|a, b| (a.worst, &a.name).cmp(&(b.worst, &b.name)));
        let open = rows.iter().take_while(|row| row.worst != Attention::Well).count();
        let quiet = if rows.len() > MAX_OPEN { rows.split_off(open) } else { Vec::new() };
        Self { columns: nodes.iter().map(|node| column(node, times)).collect(), rows, quiet }
    }
}

fn modules(node: &FarmNode) -> BTreeMap<&str, &ModuleStatus> {
    let modules = node.status.iter().flat_map(|status| &status.modules);
    modules.map(|module| (module.name.as_str(), module)).collect()
}

fn column(node: &FarmNode, times: &Times) -> Column {
    Column {
        name: node.name.to_string(),
        zone: node.zone.clone(),
        look: of_node(node),
        since: node.since.clone().filter(|_| !node.hearing.is_current()).map(|since| times.told(since)),
        heard_by: heard_by(node),
        ready: node.ready().map(|(ready, all)| format!("{ready} of {all} ready")),
        this: node.hearing == Hearing::This,
    }
}

fn cell(node: &FarmNode, module: Option<&ModuleStatus>, times: &Times) -> Cell {
    let kind = match module {
        _ if !node.hearing.is_current() => Kind::Unknown { before: module.map(|module| look(module).word) },
        None if node.status.is_none() => Kind::NoReport,
        None => Kind::Absent,
        Some(module) => Kind::Known {
            href: href(node, module),
            look: look(module),
            tone: tone(module),
            suspended: module.suspended,
            since: times.told(module.shown_since().to_owned()),
            reason: (module.attention != Attention::Well).then(|| module.reason.clone()),
        },
    };
    Cell { node: node.name.to_string(), kind }
}

/// The page of a module on a node.
pub(super) fn href(node: &FarmNode, module: &ModuleStatus) -> String {
    match node.hearing {
        Hearing::This => format!("/modules/{}", module.name),
        _ => format!("/nodes/{}/modules/{}", node.name, module.name),
    }
}

pub(in crate::console) fn look(module: &ModuleStatus) -> Look {
    Look::state(module.state, module.ready)
}

/// The style of its cell: a held module stays conspicuous even if it is healthy.
pub(in crate::console) fn tone(module: &ModuleStatus) -> &'static str {
    match (module.attention, module.state) {
        (Attention::Held, _) => "held",
        (Attention::Warned, StateName::Up) => "warn",
        _ => look(module).tone,
    }
}
