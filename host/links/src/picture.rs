//! What this node knows of the farm, as one immutable value.

use bellwether_core::id::NodeName;
use bellwether_farm::id::{FarmId, NodeId};
use bellwether_farm::membership::PeerView;
use bellwether_farm::roster::{Member, Removal};
use jiff::Timestamp;

/// What this node knows of the farm at one moment.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The farm that this node is a member of, or was until it was removed.
    pub farm: Option<FarmId>,
    /// The identity of this node in the farm.
    pub me: Option<NodeId>,
    /// The name of this node.
    pub name: NodeName,
    /// The entry of this node in the roster, while it is a member.
    pub this: Option<Member>,
    /// The other members, by name.
    pub nodes: Vec<NodePicture>,
    /// Who removed this node from the farm, and when.
    pub removed: Option<Removal>,
    /// When the certificate of this node expires.
    pub certificate_ends: Option<Timestamp>,
    /// When the certificate of the farm's authority expires.
    pub authority_ends: Option<Timestamp>,
    /// Names that two members have.
    pub conflicts: Vec<NodeName>,
}

/// What is known of another node.
#[derive(Debug, Clone)]
pub struct NodePicture {
    /// Its identity.
    pub id: NodeId,
    /// Its entry in the roster.
    pub member: Member,
    /// Whether it is heard, what it said last, and which nodes hear it.
    pub view: PeerView,
    /// The connection to it.
    pub link: LinkState,
}

/// The state of the connection between this node and another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// There is one, and both sides are authenticated.
    Open,
    /// There is none.
    Closed {
        /// Why the last attempt failed, if there was one: a sentence.
        why: Option<String>,
    },
    /// The other node answers, and one of the two rejects the certificate of the other.
    CannotAuthenticate {
        /// Which certificate, and what is wrong with it: a sentence.
        why: String,
    },
}

impl Picture {
    /// The picture of a node that is in no farm.
    pub fn alone(name: NodeName) -> Self {
        Self {
            farm: None,
            me: None,
            name,
            this: None,
            nodes: Vec::new(),
            removed: None,
            certificate_ends: None,
            authority_ends: None,
            conflicts: Vec::new(),
        }
    }
}
