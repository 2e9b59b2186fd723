//! The answer of `GET /api/v1/farm`.

use serde::Deserialize;

use super::Status;

/// The farm as one node sees it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FarmStatus {
    /// The farm's id; `None` if the node is in no farm.
    #[serde(deserialize_with = "Option::deserialize")]
    pub farm: Option<String>,
    /// The node that answers.
    pub node: String,
    pub headline: String,
    pub nodes: Vec<FarmNode>,
    /// The problems, one sentence each.
    pub problems: Vec<String>,
}

/// One node of a farm.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FarmNode {
    pub name: String,
    pub zone: Option<String>,
    pub version: Option<String>,
    /// Whether the node that answers hears it.
    pub hearing: Hearing,
    pub since: Option<String>,
    /// The other nodes that hear it, as they say.
    pub heard_by: Vec<String>,
    /// Whom it does not hear, as it says.
    pub not_hearing: Vec<NotHearing>,
    /// What that means and what to do, in one sentence.
    pub explanation: String,
    pub holds_authority_key: bool,
    /// Its status when it was last known.
    pub status: Option<Status>,
    /// When that was.
    pub status_at: Option<String>,
}

/// Whether a node is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hearing {
    /// It is the node that answers.
    This,
    /// It is heard.
    Heard,
    /// It is not heard any more.
    Unknown,
    /// It has not been heard since the daemon started.
    Never,
    /// It can be reached, but one of the two does not accept the other's certificate.
    CannotAuthenticate,
}

/// A node that another one does not hear.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NotHearing {
    pub node: String,
}

impl FarmStatus {
    /// The node with that name.
    pub fn find(&self, name: &str) -> Option<&FarmNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The names of all nodes, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}
