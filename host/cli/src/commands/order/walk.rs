//! A command for all nodes of the farm, one after the other: which node is next, and when to stop.
//!
//! ```text
//!   planned ──▶ next node ──▶ given, and waited for ──▶ next node … ──▶ finished
//!                   │                   └─ failed there: the caller stops
//!                   └─ a node is unknown, or one that is done is not ready any more: stopped
//! ```

use std::collections::VecDeque;
use std::fmt;

use bellwether_api::ModuleStatus;
use bellwether_api::farm::{FarmNode, FarmStatus, Hearing};
use bellwether_core::command::Command;
use bellwether_core::id::{ModuleName, NodeName};

/// The nodes that are done and those to come.
#[derive(Debug)]
pub(super) struct Walk {
    command: Command,
    module: ModuleName,
    to_come: VecDeque<NodeName>,
    done: Vec<NodeName>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Give the command to this node, and wait until it is done.
    Give(NodeName),
    /// All nodes are done.
    Finished,
    /// Give it to no further node.
    Stop(Obstacle),
}

/// Why the command is given to no node, or to no further one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The node that is asked is in no farm.
    NoFarm,
    /// No node has the module.
    NoSuchModule(ModuleName),
    /// There is no contact with this node.
    Unknown(NodeName),
    /// There is contact with this node, and no status.
    NoStatus(NodeName),
    /// A node that was done is not ready any more.
    NotReady { module: ModuleName, node: NodeName },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFarm => f.write_str("this node is in no farm"),
            Self::NoSuchModule(module) => write!(f, "no node of the farm has a module `{module}`"),
            Self::Unknown(node) => write!(f, "node `{node}` is unknown: its state cannot be seen"),
            Self::NoStatus(node) => write!(f, "node `{node}` has not sent its status"),
            Self::NotReady { module, node } => write!(f, "`{module}` is not ready on node `{node}` any more"),
        }
    }
}

impl Walk {
    /// The way through all nodes that have the module: first those on which it is not ready, then the others, and
    /// the node that is asked last of all.
    pub(super) fn plan(command: Command, module: &ModuleName, farm: &FarmStatus) -> Result<Self, Obstacle> {
        if farm.farm.is_none() {
            return Err(Obstacle::NoFarm);
        }
        all_seen(farm)?;
        let mut nodes: Vec<(&FarmNode, &ModuleStatus)> =
            farm.nodes.iter().filter_map(|node| Some((node, of(node, module)?))).collect();
        if nodes.is_empty() {
            return Err(Obstacle::NoSuchModule(module.clone()));
        }
        nodes.sort_by_key(|(node, module)| (node.hearing == Hearing::This, module.ready, &node.name));
        let to_come = nodes.into_iter().map(|(node, _)| node.name.clone()).collect();
        Ok(Self { command, module: module.clone(), to_come, done: Vec::new() })
    }

    /// The nodes to come.
    pub(super) fn to_come(&self) -> Vec<&NodeName> {
        self.to_come.iter().collect()
    }

    /// The number of nodes that are done.
    pub(super) fn count_done(&self) -> usize {
        self.done.len()
    }

    /// What to do next, if this is the farm now. The node of the last [`Next::Give`] counts as done.
    pub(super) fn next(&mut self, farm: &FarmStatus) -> Next {
        if let Err(obstacle) = all_seen(farm) {
            return Next::Stop(obstacle);
        }
        if matches!(self.command, Command::Start | Command::Restart)
            && let Some(node) = self.done.iter().find(|done| !is_ready(farm, done, &self.module))
        {
            return Next::Stop(Obstacle::NotReady { module: self.module.clone(), node: node.clone() });
        }
        match self.to_come.pop_front() {
            None => Next::Finished,
            Some(node) => {
                self.done.push(node.clone());
                Next::Give(node)
            }
        }
    }
}

/// Nothing is done while the state of a node is not known: the module may be down there.
fn all_seen(farm: &FarmStatus) -> Result<(), Obstacle> {
    for node in &farm.nodes {
        if !node.hearing.is_current() {
            return Err(Obstacle::Unknown(node.name.clone()));
        }
        if node.status.is_none() {
            return Err(Obstacle::NoStatus(node.name.clone()));
        }
    }
    Ok(())
}

fn of<'a>(node: &'a FarmNode, module: &ModuleName) -> Option<&'a ModuleStatus> {
    node.status.as_ref()?.modules.iter().find(|own| own.name == *module)
}

fn is_ready(farm: &FarmStatus, node: &NodeName, module: &ModuleName) -> bool {
    let node = farm.nodes.iter().find(|known| known.name == *node);
    node.and_then(|node| of(node, module)).is_some_and(|module| module.ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nodes with the readiness of `web`; `None` for a node without this module.
    fn farm(nodes: &[(&str, Option<bool>)]) -> FarmStatus {
        let module = |ready: bool| {
            serde_json::json!([{
                "name": "web", "state": if ready { "up" } else { "failed" }, "ready": ready, "since": "s",
                "reason": "", "suspended": false, "wanted": "started", "next": null, "restarts": 0,
                "budget": { "restarts": 3, "within": "1d", "within_s": 86400 }, "plan": null,
                "processes": [], "checkers": [],
            }])
        };
        let nodes: Vec<serde_json::Value> = nodes
            .iter()
            .map(|(name, ready)| {
                serde_json::json!({
                    "name": name, "hearing": if *name == "a" { "this" } else { "heard" }, "explanation": "",
                    "status": {
                        "node": name, "generation": 1, "at": "t", "components": [], "problems": [],
                        "modules": ready.map_or(serde_json::json!([]), module),
                    },
                })
            })
            .collect();
        let farm = serde_json::json!({
            "farm": "f", "node": "a", "headline": "", "nodes": nodes, "problems": [],
        });
        serde_json::from_value(farm).unwrap()
    }

    fn plan(command: Command, farm: &FarmStatus) -> Result<Walk, Obstacle> {
        Walk::plan(command, &"web".parse().unwrap(), farm)
    }

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    #[test]
    fn nodes_that_are_not_ready_come_first_and_the_node_that_is_asked_last() {
        let farm = farm(&[("a", Some(false)), ("b", Some(true)), ("c", Some(false)), ("d", None)]);
        let walk = plan(Command::Restart, &farm).unwrap();
        assert_eq!(walk.to_come(), [&name("c"), &name("b"), &name("a")]);
    }

    #[test]
    fn each_node_is_given_the_command_once() {
        let farm = farm(&[("a", Some(true)), ("b", Some(true))]);
        let mut walk = plan(Command::Restart, &farm).unwrap();
        let given: Vec<Next> = (0..4).map(|_| walk.next(&farm)).collect();
        assert_eq!(given, [Next::Give(name("b")), Next::Give(name("a")), Next::Finished, Next::Finished]);
        assert_eq!(walk.count_done(), 2);
    }

    #[test]
    fn it_does_not_begin_or_go_on_while_a_node_is_unknown() {
        let well = farm(&[("a", Some(true)), ("b", Some(true)), ("c", None)]);
        for hearing in [Hearing::Unknown, Hearing::Never, Hearing::CannotAuthenticate] {
            let mut lost = well.clone();
            lost.nodes[2].hearing = hearing;
            assert_eq!(plan(Command::Stop, &lost).unwrap_err(), Obstacle::Unknown(name("c")));
            let mut walk = plan(Command::Stop, &well).unwrap();
            assert_eq!(walk.next(&well), Next::Give(name("b")));
            assert_eq!(walk.next(&lost), Next::Stop(Obstacle::Unknown(name("c"))));
        }
        let mut silent = well;
        silent.nodes[1].status = None;
        assert_eq!(plan(Command::Stop, &silent).unwrap_err(), Obstacle::NoStatus(name("b")));
    }

    #[test]
    fn a_restart_stops_if_a_node_that_is_done_goes_down_again_and_a_stop_does_not() {
        let before = farm(&[("a", Some(true)), ("b", Some(true))]);
        let after = farm(&[("a", Some(true)), ("b", Some(false))]);
        let mut restart = plan(Command::Restart, &before).unwrap();
        assert_eq!(restart.next(&before), Next::Give(name("b")));
        let stopped = Obstacle::NotReady { module: "web".parse().unwrap(), node: name("b") };
        assert_eq!(restart.next(&after), Next::Stop(stopped));
        let mut stop = plan(Command::Stop, &before).unwrap();
        assert_eq!(stop.next(&before), Next::Give(name("b")));
        assert_eq!(stop.next(&after), Next::Give(name("a")));
    }

    #[test]
    fn there_has_to_be_a_farm_with_this_module() {
        let mut alone = farm(&[("a", Some(true))]);
        alone.farm = None;
        assert_eq!(plan(Command::Stop, &alone).unwrap_err(), Obstacle::NoFarm);
        let without = farm(&[("a", None), ("b", None)]);
        let none = Obstacle::NoSuchModule("web".parse().unwrap());
        assert_eq!(plan(Command::Stop, &without).unwrap_err(), none);
    }
}
