//! What a stretch of time is replayed from. What is in a body is not the
//! journal's affair.

use bellwether_core::id::ModuleName;
use bellwether_core::moment::Moment;

/// One thing that the core was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRow {
    /// When.
    pub at: Moment,
    /// About which module, if about one.
    pub module: Option<ModuleName>,
    /// What.
    pub body: String,
}

/// What the core was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// When.
    pub at: Moment,
    /// The number of the last input that is in it, as [`Journal::input`](super::Journal::input) gave it.
    pub input: u64,
    /// What.
    pub body: Vec<u8>,
}
