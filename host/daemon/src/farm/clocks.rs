//! How far the clocks of other nodes are from this one's.
//!
//! Each node says with its facts what its clock shows. That arrives later than it was said, by a moment or, from a node
//! that has just been heard again, by much more; so only several in a row tell that a clock is behind.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bellwether_farm::id::NodeId;

/// The number of facts that are compared: half a minute of them, if nothing else happens.
const COMPARED: usize = 6;
/// With fewer, nothing is said.
const ENOUGH: usize = 2;
/// An offset that is shown as a problem.
pub(super) const TOO_FAR: Duration = Duration::from_secs(2);

/// The latest clocks of each node.
#[derive(Debug, Default)]
pub(super) struct Clocks(BTreeMap<NodeId, VecDeque<Reading>>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    /// The number of the facts.
    sequence: u64,
    /// How far the other clock was ahead when they arrived, in seconds.
    ahead: f64,
}

impl Clocks {
    /// A node said this with its facts of this number. `own`: this node's clock when they arrived. Both in seconds.
    pub(super) fn read(&mut self, node: NodeId, sequence: u64, other: u64, own: f64) {
        let readings = self.0.entry(node).or_default();
        if readings.back().is_some_and(|last| last.sequence == sequence) {
            return;
        }
        // The other clock was read somewhere within its second.
        #[expect(clippy::cast_precision_loss, reason = "exact until long after 2100")]
        let ahead = other as f64 + 0.5 - own;
        readings.push_back(Reading { sequence, ahead });
        if readings.len() > COMPARED {
            readings.pop_front();
        }
    }

    /// Forgets a node that is not heard: its clock may be set until it is.
    pub(super) fn forget_all_but(&mut self, heard: impl Fn(&NodeId) -> bool) {
        self.0.retain(|node, _| heard(node));
    }

    /// How far the clock of a node is ahead of this one's, in seconds: of the facts that arrived with the least delay.
    pub(super) fn ahead(&self, node: NodeId) -> Option<f64> {
        let readings = self.0.get(&node).filter(|readings| readings.len() >= ENOUGH)?;
        readings.iter().map(|reading| reading.ahead).max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(last: u8) -> NodeId {
        NodeId::from_bytes([last; 16])
    }

    #[test]
    fn a_clock_that_is_ahead_or_behind_is_told_from_one_that_is_told_late() {
        let mut clocks = Clocks::default();
        clocks.read(node(1), 1, 1_000, 1_700.0);
        assert_eq!(clocks.ahead(node(1)), None, "one may have been on its way for long");
        clocks.read(node(1), 1, 1_000, 1_701.0);
        assert_eq!(clocks.ahead(node(1)), None, "it is the same one");
        clocks.read(node(1), 2, 1_702, 1_702.3);
        assert!(clocks.ahead(node(1)).unwrap().abs() < 1.0, "{clocks:?}");
        for sequence in 3..20 {
            clocks.read(
                node(1),
                sequence,
                1_700 + sequence - 60,
                1_700.0 + f64::from(u32::try_from(sequence).unwrap()),
            );
        }
        assert!(clocks.ahead(node(1)).unwrap() < -TOO_FAR.as_secs_f64(), "it was set back: {clocks:?}");
        clocks.forget_all_but(|id| *id != node(1));
        assert_eq!(clocks.ahead(node(1)), None);
    }
}
