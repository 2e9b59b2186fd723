//! Records of what happens in the farm.

use bellwether_core::record::{FarmEvent, RecordKind};

/// A sentence about the farm.
pub(crate) fn note(message: String) -> RecordKind {
    RecordKind::Farm { event: FarmEvent::Note, peer: None, message, by: None }
}
