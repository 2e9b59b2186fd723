//! Why something about the farm did not work.

use std::path::PathBuf;

use bellwether_core::id::NodeName;
use bellwether_core::moment::Moment;
use jiff::Timestamp;

/// An invitation that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// The line that the new node is given: `bw1.…`.
    pub line: String,
    /// When it expires.
    pub expires: Timestamp,
}

/// What kind of failure it is, for the status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarmErrorKind {
    /// It does not fit the present state: in a farm already, in none, a name that is taken.
    Conflict,
    /// No member has this name.
    NoSuchNode,
    /// What was given cannot be used, such as an invitation that is cut off.
    Invalid,
    /// The other node refuses: the invitation expired, the clock is wrong.
    Refused,
    /// The other node cannot be reached.
    NotReached,
    /// It took too long.
    Overdue,
    /// An error of the system, such as a full disk.
    Failed,
}

/// Why a change of the farm was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FarmError {
    pub kind: FarmErrorKind,
    /// What is wrong and what to do about it, for people.
    pub detail: String,
}

/// Why another node was not asked, or has not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// This node is in no farm.
    #[error("this node is in no farm: there are no other nodes to ask; see `bellwether farm`")]
    NoFarm,
    /// No member has this name.
    #[error("no node of the farm is called `{name}`; the nodes are {}", list(.nodes))]
    NoSuchNode {
        /// The name that was asked for.
        name: NodeName,
        /// The names of all nodes.
        nodes: Vec<NodeName>,
    },
    /// The node cannot be reached.
    #[error(
        "{node} was not asked, because this node does not hear it{}: {why}",
        if .since.is_some() { " any more" } else { "" }
    )]
    NotHeard {
        /// The node that was to be asked.
        node: NodeName,
        /// Since when it is not heard; `None` if it never was.
        since: Option<Moment>,
        /// Why no connection could be made, which ends the sentence.
        why: String,
    },
    /// One of the two nodes rejects the certificate of the other.
    #[error("{node} was not asked, because the two nodes cannot authenticate each other: {why}")]
    CannotAuthenticate {
        /// The node that was to be asked.
        node: NodeName,
        /// Which certificate, and what is wrong with it.
        why: String,
    },
    /// The request was sent, and has not been answered in time. It may have been carried out.
    #[error(
        "{node} has not answered in time; it may have done what it was asked for: see `bellwether events`"
    )]
    Overdue {
        /// The node that was asked.
        node: NodeName,
    },
    /// The connection was lost after the request was sent. It may have been carried out.
    #[error(
        "the connection to {node} was lost before it answered ({why}); it may have done what it was asked for"
    )]
    Lost {
        /// The node that was asked.
        node: NodeName,
        /// What was lost.
        why: String,
    },
}

fn list(names: &[NodeName]) -> String {
    names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

/// Why the links cannot be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// A file of the folder cannot be used, and nothing can take its place.
    #[error("{} {why}", .file.display())]
    File {
        /// The path of the file.
        file: PathBuf,
        /// What is wrong with it and what to do, which follows the file's name in a sentence.
        why: String,
    },
}
