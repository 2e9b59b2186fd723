//! Who is let in: the standing of a node that connects, the clocks of two nodes, and which nodes hold the key of the
//! authority.

use std::time::Duration;

use bellwether_core::id::NodeName;
use bellwether_core::moment::{Moment, plain};

use crate::id::NodeId;
use crate::roster::{Removal, Roster};

/// Two clocks of one farm may differ by this, in milliseconds.
const CLOCKS_WITHIN: i64 = 60_000;
/// So many nodes hold the key of the authority: one may be lost.
pub const KEY_HOLDERS: usize = 2;
/// A node that was given the key says that it holds it by then, or never.
const KEY_STORED_WITHIN: Duration = Duration::from_mins(1);

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

/// Whether one more node may be given the key of the authority: too few members hold it, and the node that was `given` it
/// last, if any, has said that it holds it or has had the time to.
pub fn may_give_key(roster: &Roster, given: Option<(NodeId, Moment)>, now: Moment) -> bool {
    let is_pending = given.is_some_and(|(id, at)| {
        let holds_none = roster.members().get(&id).is_some_and(|member| !member.holds_ca_key);
        holds_none && now.since(at) < KEY_STORED_WITHIN
    });
    key_holders(roster) + usize::from(is_pending) < KEY_HOLDERS
}

/// Whether another node may take the place of the member with this name. A node that is running keeps its place: its
/// name was given to another by mistake. `is_heard` says whether this node hears another.
pub fn may_be_replaced(
    roster: &Roster,
    me: NodeId,
    name: &NodeName,
    is_heard: impl Fn(NodeId) -> bool,
) -> bool {
    !roster.id_of(name).is_some_and(|id| id == me || is_heard(id))
}

/// How many members hold the key of the authority.
pub fn key_holders(roster: &Roster) -> usize {
    roster.members().values().filter(|member| member.holds_ca_key).count()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn no_third_node_is_given_the_key_while_the_second_stores_it() {
        let mut roster = roster(3);
        let at = |seconds| Moment::default() + Duration::from_secs(seconds);
        assert!(may_give_key(&roster, None, at(0)));
        roster.update(node(1), |member| member.holds_ca_key = true);
        let given = Some((node(2), at(100)));
        assert_eq!([100, 159, 160].map(|now| may_give_key(&roster, given, at(now))), [false, false, true]);
        let never_admitted = Some((node(9), at(100)));
        assert!(may_give_key(&roster, never_admitted, at(100)));
        roster.update(node(2), |member| member.holds_ca_key = true);
        assert!(!may_give_key(&roster, given, at(1_000)), "two hold it");
    }

    #[test]
    fn a_node_that_runs_keeps_its_place() {
        let roster = roster(3);
        let may = |number: u8| {
            let name = NodeName::new(&format!("node-{number}")).unwrap();
            may_be_replaced(&roster, node(1), &name, |id| id == node(2))
        };
        // Nobody has the last name: the roster says so itself.
        assert_eq!([1, 2, 3, 4].map(may), [false, false, true, true]);
    }
}
