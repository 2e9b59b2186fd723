//! The search field of the farm's page.

use bellwether_api::farm::{FarmNode, FarmStatus};
use bellwether_core::counting::counted;

/// A part of a name, ignoring case. It selects nodes by name and zone, and modules by name.
#[derive(Debug)]
pub(super) struct Search {
    text: String,
    /// Whether it is part of the name or zone of a node, and of the name of a module.
    finds: (bool, bool),
}

impl Search {
    pub(super) fn new(text: &str, farm: &FarmStatus) -> Self {
        let mut search = Self { text: text.trim().to_lowercase(), finds: (false, false) };
        let nodes = farm.nodes.iter().any(|node| search.names_node(node));
        let modules = farm.nodes.iter().any(|node| search.has_module(node));
        search.finds = (nodes, modules);
        search
    }

    fn is_in(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.text)
    }

    fn names_node(&self, node: &FarmNode) -> bool {
        self.is_in(node.name.as_str()) || node.zone.as_deref().is_some_and(|zone| self.is_in(zone))
    }

    fn has_module(&self, node: &FarmNode) -> bool {
        let mut modules = node.status.iter().flat_map(|status| &status.modules);
        modules.any(|module| self.is_in(module.name.as_str()))
    }

    /// Whether this node is shown: it is found itself, or no node is and it has a module that is found.
    pub(super) fn wants_node(&self, node: &FarmNode) -> bool {
        match self.finds {
            (true, _) => self.names_node(node),
            (false, true) => self.has_module(node),
            (false, false) => false,
        }
    }

    /// Whether this module is shown: it is found itself, or no module is.
    pub(super) fn wants_module(&self, name: &str) -> bool {
        !self.finds.1 || self.is_in(name)
    }

    /// What was found.
    pub(super) fn found(&self, nodes: usize) -> Option<String> {
        (!self.text.is_empty()).then(|| counted(nodes, "node found", "nodes found"))
    }
}
