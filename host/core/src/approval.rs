//! A version of a component that waits for a person, and what becomes of the approval.

/// A version that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its digest.
    pub digest: String,
    /// As it says itself.
    pub version: String,
    /// What it asks for beyond the version before it and its grants, in the notation of grants.
    pub asks: Vec<String>,
}

/// What was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// Its file: `checkers/http.wasm`.
    pub what: String,
    /// What was waiting.
    pub version: Waiting,
}

/// Why nothing was let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Nobody asked for that.
    #[error("no version of `{0}` waits for approval")]
    NothingWaits(String),
    /// A checker and a restart script have that name.
    #[error("both checkers/{0} and restart-scripts/{0} wait for approval")]
    Ambiguous(String),
    /// Another version waits than the person looked at.
    #[error("another version of `{0}` is waiting than the one that you reviewed")]
    Moved(String),
    /// It would be forgotten.
    #[error("the approval cannot be written down: {0}")]
    NotWritten(String),
    /// Nobody is there to do it.
    #[error("the daemon is just ending")]
    Ending,
}
