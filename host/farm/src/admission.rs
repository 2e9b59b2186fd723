//! Who is let in: the standing of a node that connects, the clocks of two nodes, and which nodes hold the key of the
//! authority.

use std::time::Duration;

use bellwether_core::moment::plain;

use crate::id::NodeId;
use crate::roster::{Removal, Roster};

/// Two clocks of one farm may differ by this, in milliseconds.
const CLOCKS_WITHIN: i64 = 60_000;
/// So many nodes hold the key of the authority: one may be lost.
pub const KEY_HOLDERS: usize = 2;

/// What a node is to the farm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A member.
    Member,
    /// It was one, until it was removed.
    Removed(Removal),
    /// It never was one, as far as this node knows.
    Unknown,
}

/// The standing of a node by this roster.
pub fn standing(roster: &Roster, node: NodeId) -> Standing {
    match roster.removal(node) {
        Some(removal) => Standing::Removed(removal.clone()),
        None if roster.members().contains_key(&node) => Standing::Member,
        None => Standing::Unknown,
    }
}

/// Two clocks that differ by too much for one farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOff {
    /// By how much the clock here is ahead of the other one, in milliseconds.
    pub ahead: i64,
}

/// Compares the clock of this node with that of another: milliseconds since 1970.
pub fn compare_clocks(here: i64, there: i64) -> Result<(), ClockOff> {
    let ahead = here.saturating_sub(there);
    if ahead.saturating_abs() > CLOCKS_WITHIN { Err(ClockOff { ahead }) } else { Ok(()) }
}

impl ClockOff {
    /// The sentence about the clock of this node, `here`, and that of the other one, `there`.
    pub fn sentence(self, here: &str, there: &str) -> String {
        // The rest of a second is the time that the question took.
        let seconds = self.ahead.unsigned_abs().saturating_add(500) / 1_000;
        let difference = plain(Duration::from_secs(seconds));
        let direction = if self.ahead > 0 { "ahead of" } else { "behind" };
        format!("the clock of {here} is {difference} {direction} the clock of {there}")
    }
}

/// Whether this node, which does not hold the key of the authority, should get it: too few members hold it, and no
/// other node that could is more eligible. `is_heard` says whether this node hears another.
pub fn should_hold_key(roster: &Roster, me: NodeId, is_heard: impl Fn(NodeId) -> bool) -> bool {
    let is_candidate = roster.members().get(&me).is_some_and(|member| !member.holds_ca_key);
    let mut smaller = roster.members().range(..me);
    let is_next = !smaller.any(|(id, member)| !member.holds_ca_key && is_heard(*id));
    is_candidate && is_next && may_have_key(roster, me)
}

/// Whether a member may be given the key of the authority when it asks for it.
pub fn may_have_key(roster: &Roster, asker: NodeId) -> bool {
    roster.members().contains_key(&asker) && key_holders(roster) < KEY_HOLDERS
}

/// How many members hold the key of the authority.
pub fn key_holders(roster: &Roster) -> usize {
    roster.members().values().filter(|member| member.holds_ca_key).count()
}

#[cfg(test)]
mod tests {
    use bellwether_core::id::NodeName;

    use super::*;
    use crate::id::FarmId;
    use crate::roster::Candidate;

    fn node(first: u8) -> NodeId {
        NodeId::from_bytes([first; 16])
    }

    fn roster(members: u8) -> Roster {
        let mut roster = Roster::new(FarmId::from_bytes([9; 16]));
        for number in 1..=members {
            let name = NodeName::new(&format!("node-{number}")).unwrap();
            let address = format!("10.0.0.{number}:9013");
            let candidate = Candidate { id: node(number), name, address, zone: None, replace: None };
            roster.admit(candidate, "alice", 0).unwrap();
        }
        roster
    }

    #[test]
    fn a_removed_node_is_told_so_and_a_stranger_is_not_a_member() {
        let mut roster = roster(2);
        let removal = roster.remove(node(2), "alice", 77).unwrap();
        assert_eq!(standing(&roster, node(1)), Standing::Member);
        assert_eq!(standing(&roster, node(2)), Standing::Removed(removal));
        assert_eq!(standing(&roster, node(3)), Standing::Unknown);
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        for (here, there, expected) in [
            (1_000_000, 1_000_000, Ok(())),
            (1_060_000, 1_000_000, Ok(())),
            (1_000_000, 1_060_000, Ok(())),
            (1_060_001, 1_000_000, Err("the clock of b is 1m ahead of the clock of a")),
            (1_000_000, 8_200_000, Err("the clock of b is 2h behind the clock of a")),
            (0, i64::MAX, Err("the clock of b is 106751991167d 7h behind the clock of a")),
        ] {
            let compared = compare_clocks(here, there).map_err(|off| off.sentence("b", "a"));
            assert_eq!(compared, expected.map_err(str::to_owned), "{here} {there}");
        }
    }

    #[test]
    fn two_nodes_hold_the_key_and_the_first_that_is_heard_is_the_next_holder() {
        let mut roster = roster(4);
        roster.update(node(2), |member| member.holds_ca_key = true);
        let all = |_| true;
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| should_hold_key(&roster, node(n), all)),
            [true, false, false, false, false]
        );
        let not_1 = |id| id != node(1);
        assert_eq!([3, 4].map(|n| should_hold_key(&roster, node(n), not_1)), [true, false]);
        assert_eq!([1, 5].map(|n| may_have_key(&roster, node(n))), [true, false]);
        roster.update(node(3), |member| member.holds_ca_key = true);
        assert_eq!([1, 4].map(|n| should_hold_key(&roster, node(n), all)), [false, false]);
        assert!(!may_have_key(&roster, node(1)));
    }
}
