//! The data for a replay. The journal does not interpret the bodies.

use bellwether_core::id::ModuleName;
use bellwether_core::moment::Moment;

/// One input of the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRow {
    /// When the core handled it.
    pub at: Moment,
    /// The module, if it concerns one.
    pub module: Option<ModuleName>,
    /// The input in its serialised form.
    pub body: String,
}

/// A checkpoint of the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// When the checkpoint was made.
    pub at: Moment,
    /// The number of the last input that is included, as returned by [`Journal::input`](super::Journal::input).
    pub input: u64,
    /// The core in its serialised form.
    pub body: Vec<u8>,
}
