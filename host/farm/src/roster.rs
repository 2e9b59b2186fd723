//! The roster: who is a member of the farm.
//!
//! ```text
//!   unknown ──admitted──▶ member ──removed──▶ removed (for good: the same key is never admitted again)
//!                          │  ▲
//!                          └──┘ updated: address, zone, name; the entry's counter grows
//! ```
//! Every node has a copy. Copies are merged entry by entry: the larger counter wins, and a removal wins over any entry.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bellwether_core::id::NodeName;
use serde::{Deserialize, Serialize};

use crate::id::{FarmId, NodeId};

/// The maximum number of members.
pub const MAX_MEMBERS: usize = 256;
/// The maximum number of removed nodes that are remembered. The oldest is forgotten first; its certificate has
/// expired by then.
pub const MAX_REMOVED: usize = 1024;

/// The members of a farm, and those that were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    farm: FarmId,
    members: BTreeMap<NodeId, Member>,
    removed: BTreeMap<NodeId, Removal>,
}

/// What all nodes know of a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Grows with every change of this entry.
    pub counter: u64,
    /// The name of the node, as its operator gave it.
    pub name: NodeName,
    /// The address and port at which other nodes reach it.
    pub address: String,
    /// Its zone, if it has one.
    #[serde(default)]
    pub zone: Option<String>,
    /// Whether it holds the key of the farm's authority.
    #[serde(default)]
    pub holds_ca_key: bool,
}

/// How a member was removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Removal {
    /// When it was removed, in seconds since 1970.
    pub at: u64,
    /// The name that the node had.
    pub name: NodeName,
    /// Who removed it: `alice from 192.0.2.7`.
    pub by: String,
}

/// Why a node is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Another member has the name.
    #[error("a node named {name} is already a member of the farm")]
    NameTaken {
        /// The name that both want.
        name: NodeName,
    },
    /// A node with this key was removed.
    #[error("this node was removed from the farm by {}", .0.by)]
    Removed(Removal),
    /// There is no room.
    #[error("the farm has {MAX_MEMBERS} nodes, which is the maximum")]
    Full,
    /// The node to be replaced is not a member.
    #[error("there is no node named {name} to replace")]
    NothingToReplace {
        /// The name that was given.
        name: NodeName,
    },
}

/// There is no such member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node is not a member of the farm")]
pub struct NotAMember;

/// What a new node is admitted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The identity of its key.
    pub id: NodeId,
    /// The name that it gives itself.
    pub name: NodeName,
    /// The address and port at which other nodes reach it.
    pub address: String,
    /// Its zone, if it has one.
    pub zone: Option<String>,
    /// The member whose place it takes, which is removed.
    pub replace: Option<NodeName>,
}

impl Roster {
    /// A farm without members.
    pub fn new(farm: FarmId) -> Self {
        Self { farm, members: BTreeMap::new(), removed: BTreeMap::new() }
    }

    /// The farm of this roster.
    pub fn farm(&self) -> FarmId {
        self.farm
    }

    /// All members.
    pub fn members(&self) -> &BTreeMap<NodeId, Member> {
        &self.members
    }

    /// How this node was removed, if it was.
    pub fn removal(&self, id: NodeId) -> Option<&Removal> {
        self.removed.get(&id)
    }

    /// The member with this name. Of two with the same name, it is the one with the smaller identity.
    pub fn id_of(&self, name: &NodeName) -> Option<NodeId> {
        self.members.iter().find(|(_, member)| member.name == *name).map(|(id, _)| *id)
    }

    /// Names that two members have. That is possible if both joined at the same time, through different nodes.
    pub fn conflicts(&self) -> Vec<NodeName> {
        let mut names = BTreeSet::new();
        let twice = self.members.values().filter(|member| !names.insert(&member.name));
        let twice: BTreeSet<&NodeName> = twice.map(|member| &member.name).collect();
        twice.into_iter().cloned().collect()
    }

    /// Admits a node, in the place of another one if it replaces it; `by` and `at` are for the removal of that one.
    pub fn admit(&mut self, candidate: Candidate, by: &str, at: u64) -> Result<(), NotAdmitted> {
        let Candidate { id, name, address, zone, replace } = candidate;
        if let Some(removal) = self.removed.get(&id) {
            return Err(NotAdmitted::Removed(removal.clone()));
        }
        let replaced = replace.map(|name| self.id_of(&name).ok_or(NotAdmitted::NothingToReplace { name }));
        let replaced = replaced.transpose()?.filter(|replaced| *replaced != id);
        let others = self.members.iter().filter(|(other, _)| **other != id && Some(**other) != replaced);
        if others.clone().any(|(_, member)| member.name == name) {
            return Err(NotAdmitted::NameTaken { name });
        }
        if others.count() >= MAX_MEMBERS {
            return Err(NotAdmitted::Full);
        }
        if let Some(replaced) = replaced {
            // It is a member: it was looked up just now.
            let _ = self.remove(replaced, by, at);
        }
        let counter = self.members.get(&id).map_or(0, |member| member.counter) + 1;
        self.members.insert(id, Member { counter, name, address, zone, holds_ca_key: false });
        Ok(())
    }

    /// Changes the entry of a member. Returns whether anything has changed.
    pub fn update(&mut self, id: NodeId, change: impl FnOnce(&mut Member)) -> bool {
        let Some(member) = self.members.get_mut(&id) else { return false };
        let before = member.clone();
        change(member);
        member.counter = before.counter;
        let changed = *member != before;
        member.counter += u64::from(changed);
        changed
    }

    /// Removes a member. The time is in seconds since 1970.
    pub fn remove(&mut self, id: NodeId, by: &str, at: u64) -> Result<Removal, NotAMember> {
        let member = self.members.remove(&id).ok_or(NotAMember)?;
        let removal = Removal { at, name: member.name, by: by.to_owned() };
        self.removed.insert(id, removal.clone());
        self.forget();
        Ok(removal)
    }

    /// Takes over what another copy knows better. Returns whether anything has changed. The copy of another farm is
    /// ignored.
    pub fn merge(&mut self, other: &Self) -> bool {
        if other.farm != self.farm {
            return false;
        }
        let before = self.clone();
        for (id, removal) in &other.removed {
            let mine = self.removed.entry(*id).or_insert_with(|| removal.clone());
            // Removed twice: all copies must agree on one of them.
            if removal < mine {
                *mine = removal.clone();
            }
        }
        for (id, member) in &other.members {
            let mine = self.members.entry(*id).or_insert_with(|| member.clone());
            // Equal counters with different content: all copies must agree on one of them.
            if member.cmp(mine) == Ordering::Greater {
                *mine = member.clone();
            }
        }
        self.members.retain(|id, _| !self.removed.contains_key(id));
        self.forget();
        *self != before
    }

    /// Keeps the roster within its bounds. Every copy drops the same entries.
    fn forget(&mut self) {
        while self.removed.len() > MAX_REMOVED {
            let oldest = self.removed.iter().min_by_key(|(id, removal)| (removal.at, **id));
            let Some(oldest) = oldest.map(|(id, _)| *id) else { return };
            self.removed.remove(&oldest);
        }
        while self.members.len() > MAX_MEMBERS {
            self.members.pop_last();
        }
    }

    /// A number that differs, as good as certainly, between two rosters that differ: FNV-1a of all entries.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        digest.add(self.farm.as_bytes());
        for (id, member) in &self.members {
            digest.add(id.as_bytes());
            digest.add(&member.counter.to_be_bytes());
            digest.text(member.name.as_str());
            digest.text(&member.address);
            digest.text(member.zone.as_deref().unwrap_or(""));
            digest.add(&[u8::from(member.zone.is_some()), u8::from(member.holds_ca_key)]);
        }
        for (id, removal) in &self.removed {
            digest.add(id.as_bytes());
            digest.add(&removal.at.to_be_bytes());
            digest.text(removal.name.as_str());
            digest.text(&removal.by);
        }
        digest.0
    }
}

/// FNV-1a, 64 bits. See <http://www.isthe.com/chongo/tech/comp/fnv/>.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// With its length, so that the end of a text cannot be taken for the beginning of the next one.
    fn text(&mut self, text: &str) {
        self.add(&(text.len() as u64).to_be_bytes());
        self.add(text.as_bytes());
    }
}

#[cfg(test)]
mod tests;
