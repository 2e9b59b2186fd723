//! The farm: all nodes as one of them sees them, and the bodies of the requests about it.

use bellwether_core::attention::Attention;
use bellwether_core::id::NodeName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NodeStatus, shapes};

/// The farm as this node sees it: `GET /api/v1/farm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FarmStatus {
    /// The id of the farm; absent while this node is in no farm.
    pub farm: Option<String>,
    /// The node that answers.
    #[schemars(with = "String")]
    pub node: NodeName,
    /// The worst problem of all nodes, in one sentence.
    pub headline: String,
    /// All nodes, this one included, ordered by name. A node in no farm is alone here.
    pub nodes: Vec<FarmNode>,
    /// Problems of the farm, as opposed to those of one node: two nodes with one name, a certificate that expires.
    pub problems: Vec<String>,
}

/// One node of the farm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FarmNode {
    /// The name of the node.
    #[schemars(with = "String")]
    pub name: NodeName,
    /// Its id, which is derived from its key; absent while this node is in no farm.
    #[serde(default)]
    pub id: Option<String>,
    /// The zone of its file.
    #[serde(default)]
    pub zone: Option<String>,
    /// The host and port at which other nodes connect to it.
    #[serde(default)]
    pub address: Option<String>,
    /// The version of its daemon, as last reported.
    #[serde(default)]
    pub version: Option<String>,
    /// Whether the node that answers is in contact with it.
    pub hearing: Hearing,
    /// Since when that is so.
    #[serde(default)]
    pub since: Option<String>,
    /// Other nodes that say they are in contact with it.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub heard_by: Vec<NodeName>,
    /// The nodes that it is not in contact with, as it last reported.
    #[serde(default)]
    pub not_hearing: Vec<NotHearing>,
    /// Its connection in one sentence, with what to do where something has to be done; empty if all is well.
    pub explanation: String,
    /// Whether it has the key of the farm's certificate authority.
    #[serde(default)]
    pub holds_authority_key: bool,
    /// When its certificate expires.
    #[serde(default)]
    pub certificate_ends: Option<String>,
    /// How far its clock is ahead of the clock of the node that answers, in seconds.
    #[serde(default)]
    pub clock_offset_s: Option<f64>,
    /// Its short report, which every node sends to every other.
    #[serde(default)]
    pub summary: Option<NodeSummary>,
    /// Its status, if it could be obtained; for an unknown node the last one, if there is one.
    #[serde(default)]
    pub status: Option<NodeStatus>,
    /// When `status` was obtained. For an unknown node this is in the past.
    #[serde(default)]
    pub status_at: Option<String>,
}

/// How urgent a node is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// There is no contact with it, so nothing is known about it.
    NoContact,
    /// There is contact, and its modules are as urgent as this.
    Known(Attention),
    /// There is contact, and it has not reported yet.
    NoReport,
}

impl FarmNode {
    /// How urgent it is. What is known from before a loss of contact does not count.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        if !self.hearing.is_current() {
            return Urgency::NoContact;
        }
        match (&self.status, &self.summary) {
            (Some(status), _) => {
                let of_modules = status.modules.iter().map(|module| module.attention).min();
                let besides = if status.problems.is_empty() { Attention::Well } else { Attention::Warned };
                Urgency::Known(of_modules.unwrap_or_default().min(besides))
            }
            (None, Some(summary)) => Urgency::Known(summary.attention),
            (None, None) => Urgency::NoReport,
        }
    }

    /// The number of its modules that are ready, and of all its modules; `None` without current data.
    #[must_use]
    pub fn ready(&self) -> Option<(usize, usize)> {
        if !self.hearing.is_current() {
            return None;
        }
        if let Some(status) = &self.status {
            let ready = status.modules.iter().filter(|module| module.ready).count();
            return Some((ready, status.modules.len()));
        }
        let summary = self.summary.as_ref()?;
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Some((count(summary.ready), count(summary.modules)))
    }

    /// Its worst problem in one sentence; `None` without current data.
    #[must_use]
    pub fn headline(&self) -> Option<&str> {
        let of_status = self.status.as_ref().map(|status| status.headline.as_str());
        let of_summary = self.summary.as_ref().map(|summary| summary.headline.as_str());
        of_status.or(of_summary).filter(|_| self.hearing.is_current())
    }
}

impl FarmStatus {
    /// Whether there are other nodes.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.nodes.len() > 1
    }

    /// The nodes, the most urgent first, then by name.
    #[must_use]
    pub fn worst_first(&self) -> Vec<&FarmNode> {
        let mut nodes: Vec<&FarmNode> = self.nodes.iter().collect();
        nodes.sort_by(|a, b| (a.urgency(), &a.name).cmp(&(b.urgency(), &b.name)));
        nodes
    }
}

/// Whether a node is in contact with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hearing {
    /// It is the node that answers.
    This,
    /// There is contact now.
    Heard,
    /// There was contact, and there is none now: its state is unknown.
    Unknown,
    /// There has been no contact since this daemon started.
    Never,
    /// It can be reached, but one of the two does not accept the certificate of the other.
    CannotAuthenticate,
}

impl Hearing {
    /// Whether what is shown of the node is its state now.
    #[must_use]
    pub fn is_current(self) -> bool {
        matches!(self, Self::This | Self::Heard)
    }
}

/// A node that another node is not in contact with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotHearing {
    /// The name of that node.
    #[schemars(with = "String")]
    pub node: NodeName,
    /// Since when.
    #[serde(default)]
    pub since: Option<String>,
}

/// The short report of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeSummary {
    /// Its worst problem, in one sentence.
    pub headline: String,
    /// How much attention it needs.
    #[schemars(with = "shapes::Attention")]
    pub attention: Attention,
    /// The number of its modules.
    pub modules: u32,
    /// The number of modules whose health check is answered with 200.
    pub ready: u32,
    /// When the report arrived.
    pub at: String,
}

/// An invitation: `POST /api/v1/farm/invitations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationAnswer {
    /// The line for `bellwether farm join` on the new node. It is valid once.
    pub line: String,
    /// When it expires.
    pub expires: String,
}

/// What a node joins with: `POST /api/v1/farm/join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The line that `bellwether farm invite` printed.
    #[schemars(length(min = 1, max = 1024))]
    pub line: String,
    /// The name of the node that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub replace: Option<String>,
}

/// The key of the farm's certificate authority: `POST` and `PUT /api/v1/farm/authority-key`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorityKey {
    /// The key and the certificate, as PEM.
    #[schemars(length(min = 1, max = 16_384))]
    pub pem: String,
}

impl std::fmt::Debug for AuthorityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthorityKey(…)")
    }
}
