//! A row for each node, grouped by zone, for farms that are too large for columns.

use std::collections::BTreeMap;

use bellwether_api::ModuleStatus;
use bellwether_api::farm::{FarmNode, Hearing, Urgency};
use bellwether_core::attention::Attention;

use super::matrix::{href, look};
use super::search::Search;
use super::{heard_by, of_node};
use crate::console::frame::{Time, Times};
use crate::console::look::Look;

/// This many modules of a node are listed.
const MAX_LISTED: usize = 8;
/// With more modules, those that are ready everywhere are folded.
const MAX_OPEN: usize = 8;

/// The nodes of one zone.
#[derive(Debug)]
pub(super) struct Zone {
    /// Empty for nodes without a zone.
    pub(super) name: String,
    pub(super) nodes: Vec<NodeRow>,
    /// Healthy nodes, which are folded.
    pub(super) quiet: Vec<NodeRow>,
}

#[derive(Debug)]
pub(super) struct NodeRow {
    pub(super) name: String,
    pub(super) this: bool,
    pub(super) look: Look,
    /// Since when there is no contact.
    pub(super) since: Option<Time>,
    pub(super) heard_by: String,
    /// `2 of 3`, with contact.
    pub(super) ready: Option<String>,
    pub(super) what: String,
    pub(super) version: Option<String>,
    /// Its modules that need attention, worst first; none without contact.
    pub(super) modules: Vec<ModuleMark>,
    pub(super) more: usize,
}

#[derive(Debug)]
pub(super) struct ModuleMark {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) look: Look,
}

/// One module on all nodes with contact.
#[derive(Debug)]
pub(super) struct ModuleTally {
    pub(super) name: String,
    pub(super) ready: usize,
    pub(super) nodes: usize,
    pub(super) states: Vec<(usize, Look)>,
    worst: Attention,
}

/// The zones, the one with the most urgent node first. `nodes` are the most urgent first.
pub(super) fn zones(nodes: &[&FarmNode], search: &Search, times: &Times) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for node in nodes {
        let name = node.zone.as_deref().unwrap_or_default();
        let known = zones.iter().position(|zone| zone.name == name);
        let index = known.unwrap_or_else(|| {
            zones.push(Zone { name: name.to_owned(), nodes: Vec::new(), quiet: Vec::new() });
            zones.len() - 1
        });
        let Some(zone) = zones.get_mut(index) else { continue };
        let row = row(node, search, times);
        let quiet = node.urgency() == Urgency::Known(Attention::Well);
        if quiet { zone.quiet.push(row) } else { zone.nodes.push(row) }
    }
    zones
}

fn row(node: &FarmNode, search: &Search, times: &Times) -> NodeRow {
    let current = node.hearing.is_current();
    let status = node.status.iter().filter(|_| current);
    let mut modules: Vec<&ModuleStatus> = status
        .flat_map(|status| &status.modules)
        .filter(|module| module.attention != Attention::Well && search.wants_module(module.name.as_str()))
        .collect();
    modules.sort_by(|a, b| (a.attention, &a.name).cmp(&(b.attention, &b.name)));
    let more = modules.len().saturating_sub(MAX_LISTED);
    modules.truncate(MAX_LISTED);
    let marks = modules.into_iter().map(|module| ModuleMark {
        name: module.name.to_string(),
        href: href(node, module),
        look: look(module),
    });
    NodeRow {
        name: node.name.to_string(),
        this: node.hearing == Hearing::This,
        look: of_node(node),
        since: node.since.clone().filter(|_| !current).map(|since| times.told(since)),
        heard_by: heard_by(node),
        ready: node.ready().map(|(ready, all)| format!("{ready} of {all}")),
        what: node.headline().unwrap_or_default().to_owned(),
        version: node.version.clone(),
        modules: marks.collect(),
        more,
    }
}

/// The modules of the nodes with contact, the worst first; and those that are ready everywhere, if there are many.
pub(super) fn modules(nodes: &[&FarmNode], search: &Search) -> (Vec<ModuleTally>, Vec<ModuleTally>) {
    let mut tallies: BTreeMap<&str, ModuleTally> = BTreeMap::new();
    let current = nodes.iter().filter(|node| node.hearing.is_current());
    for module in current.flat_map(|node| &node.status).flat_map(|status| &status.modules) {
        let name = module.name.as_str();
        if !search.wants_module(name) {
            continue;
        }
        let tally = tallies.entry(name).or_insert_with(|| ModuleTally {
            name: name.to_owned(),
            ready: 0,
            nodes: 0,
            states: Vec::new(),
            worst: Attention::Well,
        });
        tally.nodes += 1;
        tally.ready += usize::from(module.ready);
        tally.worst = tally.worst.min(module.attention);
        let look = look(module);
        match tally.states.iter_mut().find(|(_, known)| *known == look) {
            Some((count, _)) => *count += 1,
            None => tally.states.push((1, look)),
        }
    }
    let mut tallies: Vec<ModuleTally> = tallies.into_values().collect();
    tallies.sort_by(|a, b| (a.worst, &a.name).cmp(&(b.worst, &b.name)));
    let open = tallies.iter().take_while(|tally| tally.worst != Attention::Well).count();
    let quiet = if tallies.len() > MAX_OPEN { tallies.split_off(open) } else { Vec::new() };
    (tallies, quiet)
}
