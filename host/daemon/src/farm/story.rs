//! What happens in the farm, as records: the differences between one picture and the next.
//!
//! The first picture of a daemon tells nothing, except which nodes are heard: what was written about them before may say
//! that they are not.

use std::collections::BTreeMap;

use bellwether_core::id::NodeName;
use bellwether_core::record::{FarmEvent, RecordKind};
use bellwether_farm::id::NodeId;
use bellwether_farm::membership::Hearing;
use bellwether_links::{NodePicture, Picture};

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    begun: Option<Told>,
    expiring: bool,
}

#[derive(Debug)]
struct Told {
    nodes: BTreeMap<NodeId, (NodeName, Hears)>,
    removed: bool,
    is_member: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hears {
    Never,
    Yes,
    No,
}

impl Story {
    /// The records that this picture gives rise to. `expiring`: what expires soon, one sentence each.
    pub(super) fn next(&mut self, picture: &Picture, expiring: &[String]) -> Vec<RecordKind> {
        let now = Told {
            nodes: picture
                .nodes
                .iter()
                .map(|node| (node.id, (node.member.name.clone(), hears(node))))
                .collect(),
            removed: picture.removed.is_some(),
            is_member: picture.this.is_some(),
        };
        let mut records = Vec::new();
        if let Some(before) = &self.begun {
            records.extend(membership(before, &now, picture));
        }
        let unknown = (NodeName::clone(&picture.name), Hears::Never);
        for node in &picture.nodes {
            let before = self.begun.as_ref().and_then(|told| told.nodes.get(&node.id)).unwrap_or(&unknown);
            records.extend(heard(before.1, node, picture));
        }
        records.extend(self.expiry(expiring));
        self.begun = Some(now);
        records
    }

    fn expiry(&mut self, expiring: &[String]) -> Option<RecordKind> {
        let before = std::mem::replace(&mut self.expiring, !expiring.is_empty());
        match (before, expiring) {
            (false, [first, ..]) => Some(record(FarmEvent::Expires, None, first.clone())),
            (true, []) => {
                let message = "what was about to expire in the farm was renewed".to_owned();
                Some(record(FarmEvent::Renewed, None, message))
            }
            _ => None,
        }
    }
}

fn hears(node: &NodePicture) -> Hears {
    match node.view.hearing {
        Hearing::Never => Hears::Never,
        Hearing::Heard { .. } => Hears::Yes,
        Hearing::NotHeard { .. } => Hears::No,
    }
}

/// Who has come and gone.
fn membership(before: &Told, now: &Told, picture: &Picture) -> Vec<RecordKind> {
    let mut records = Vec::new();
    if let (false, Some(removal)) = (before.removed, &picture.removed) {
        let message = format!("this node was removed from the farm by {}", removal.by);
        records.push(record(FarmEvent::Left, None, message));
    }
    for (_, (name, _)) in before.nodes.iter().filter(|(id, _)| !now.nodes.contains_key(id)) {
        let message = format!("{name} is no longer a node of the farm of this node");
        records.push(record(FarmEvent::Left, Some(name), message));
    }
    // Whoever has just joined finds the others there.
    let joined = now.nodes.iter().filter(|(id, _)| before.is_member && !before.nodes.contains_key(id));
    for (_, (name, _)) in joined {
        records.push(record(FarmEvent::Joined, Some(name), format!("{name} has joined the farm")));
    }
    records
}

/// Whether a node is heard that was not, or the other way round.
fn heard(before: Hears, node: &NodePicture, picture: &Picture) -> Option<RecordKind> {
    let name = &node.member.name;
    match (before, hears(node)) {
        (Hears::Never, Hears::Yes) => Some(record(FarmEvent::Heard, Some(name), format!("{name} is heard"))),
        (Hears::No, Hears::Yes) => {
            Some(record(FarmEvent::Heard, Some(name), format!("{name} is heard again")))
        }
        (Hears::Never | Hears::Yes, Hears::No) => {
            let others = heard_by(node, picture);
            let others = match others.as_slice() {
                [] => "no other node hears it either".to_owned(),
                [one] => format!("{one} still hears it"),
                several => format!("{} still hear it", several.join(", ")),
            };
            let message = format!("{name} is not heard any more: its state is unknown; {others}");
            Some(record(FarmEvent::NotHeard, Some(name), message))
        }
        _ => None,
    }
}

/// The names of the nodes that say they hear this one.
pub(super) fn heard_by<'p>(node: &NodePicture, picture: &'p Picture) -> Vec<&'p str> {
    let of = |id: &NodeId| picture.nodes.iter().find(|other| other.id == *id);
    node.view.heard_by.iter().filter_map(of).map(|other| other.member.name.as_str()).collect()
}

fn record(event: FarmEvent, peer: Option<&NodeName>, message: String) -> RecordKind {
    RecordKind::Farm { event, peer: peer.cloned(), message, by: None }
}
