//! Merging is the same in any order; admissions and removals follow their rules.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn farm() -> FarmId {
    FarmId::from_bytes([1; 16])
}

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

fn candidate(number: u8, text: &str) -> Candidate {
    Candidate {
        id: id(number),
        name: name(text),
        address: format!("10.0.0.{number}:9013"),
        zone: None,
        replace: None,
    }
}

fn admitted(roster: &mut Roster, number: u8, text: &str) {
    roster.admit(candidate(number, text), "root", 0).expect("admitted");
}

/// One change of a copy.
#[derive(Debug, Clone)]
enum Change {
    Admit(u8, u8),
    Replace(u8, u8, u8),
    Move(u8, u8),
    HoldKey(u8),
    Remove(u8, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let node = 1..6_u8;
    prop_oneof![
        (node.clone(), node.clone()).prop_map(|(id, name)| Change::Admit(id, name)),
        (node.clone(), node.clone(), node.clone()).prop_map(|(id, name, old)| Change::Replace(id, name, old)),
        (node.clone(), node.clone()).prop_map(|(id, to)| Change::Move(id, to)),
        node.clone().prop_map(Change::HoldKey),
        (node.clone(), node).prop_map(|(id, at)| Change::Remove(id, at)),
    ]
}

fn apply(roster: &mut Roster, change: &Change) {
    match *change {
        Change::Admit(number, named) => {
            let _ = roster.admit(candidate(number, &format!("node-{named}")), "root", 0);
        }
        Change::Replace(number, named, old) => {
            let replace = Some(name(&format!("node-{old}")));
            let candidate = Candidate { replace, ..candidate(number, &format!("node-{named}")) };
            let _ = roster.admit(candidate, "root", 5);
        }
        Change::Move(number, to) => {
            roster.update(id(number), |member| member.address = format!("10.1.0.{to}:9013"));
        }
        Change::HoldKey(number) => {
            roster.update(id(number), |member| member.holds_ca_key = true);
        }
        Change::Remove(number, at) => {
            let _ = roster.remove(id(number), "alice", u64::from(at));
        }
    }
}

fn changed(changes: &[Change]) -> Roster {
    let mut roster = Roster::new(farm());
    for change in changes {
        apply(&mut roster, change);
    }
    roster
}

fn merged(a: &Roster, b: &Roster) -> Roster {
    let mut merged = a.clone();
    merged.merge(b);
    merged
}

proptest! {
    #[test]
    fn merging_is_the_same_in_any_order(
        a in vec(change(), 0..12),
        b in vec(change(), 0..12),
        c in vec(change(), 0..12),
    ) {
        let (a, b, c) = (changed(&a), changed(&b), changed(&c));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        let both = merged(&a, &b);
        prop_assert_eq!(merged(&both, &a), both.clone());
        prop_assert!(!both.clone().merge(&b), "there is nothing left to take over");
        for removed in a.removed.keys().chain(b.removed.keys()) {
            prop_assert!(!both.members.contains_key(removed), "a removal wins");
        }
        prop_assert_eq!(both.digest() == a.digest(), both == a);
    }

    #[test]
    fn members_and_removed_nodes_are_never_the_same(changes in vec(change(), 0..30)) {
        let roster = changed(&changes);
        prop_assert!(roster.members.keys().all(|id| !roster.removed.contains_key(id)));
        prop_assert_eq!(roster.conflicts(), Vec::new(), "one copy alone has each name once");
        let text = serde_json::to_string(&roster).unwrap();
        prop_assert_eq!(serde_json::from_str::<Roster>(&text).unwrap(), roster);
    }
}

#[test]
fn a_name_is_given_once() {
    let mut roster = Roster::new(farm());
    admitted(&mut roster, 1, "web-1");
    let taken = NotAdmitted::NameTaken { name: name("web-1") };
    assert_eq!(roster.admit(candidate(2, "web-1"), "root", 0), Err(taken));
    // The same node may try again.
    admitted(&mut roster, 1, "web-1");
    assert_eq!(roster.members().len(), 1);
}

#[test]
fn a_replaced_node_is_removed() {
    let mut roster = Roster::new(farm());
    admitted(&mut roster, 1, "web-1");
    let replace = Some(name("web-1"));
    roster.admit(Candidate { replace, ..candidate(2, "web-1") }, "root", 7).expect("admitted");
    assert_eq!(roster.id_of(&name("web-1")), Some(id(2)));
    assert_eq!(roster.removal(id(1)).map(|removal| removal.at), Some(7));

    let replace = Some(name("web-9"));
    let nothing = NotAdmitted::NothingToReplace { name: name("web-9") };
    assert_eq!(roster.admit(Candidate { replace, ..candidate(3, "web-3") }, "root", 0), Err(nothing));
}

#[test]
fn a_removed_node_stays_out() {
    let mut roster = Roster::new(farm());
    admitted(&mut roster, 1, "web-1");
    let before = roster.clone();
    let removal = roster.remove(id(1), "alice", 5).expect("a member");
    assert_eq!(roster.remove(id(1), "alice", 6), Err(NotAMember));
    assert_eq!(roster.admit(candidate(1, "web-1"), "root", 9), Err(NotAdmitted::Removed(removal)));
    roster.merge(&before);
    assert!(roster.members().is_empty(), "an old copy does not bring it back");
}

#[test]
fn both_nodes_with_one_name_are_shown() {
    let (mut here, mut there) = (Roster::new(farm()), Roster::new(farm()));
    admitted(&mut here, 1, "web-1");
    admitted(&mut there, 2, "web-1");
    here.merge(&there);
    assert_eq!(here.conflicts(), [name("web-1")]);
}

#[test]
fn another_farm_is_ignored() {
    let mut here = Roster::new(farm());
    let mut other = Roster::new(FarmId::from_bytes([2; 16]));
    admitted(&mut other, 1, "web-1");
    assert!(!here.merge(&other));
    assert!(here.members().is_empty());
}

#[test]
fn only_a_real_change_counts() {
    let mut roster = Roster::new(farm());
    admitted(&mut roster, 1, "web-1");
    let before = roster.clone();
    assert!(!roster.update(id(1), |member| member.counter = 99));
    assert_eq!(roster, before);
    assert!(roster.update(id(1), |member| member.zone = Some("b".to_owned())));
    assert_eq!(roster.members()[&id(1)].counter, 2);
    assert!(!roster.update(id(2), |member| member.zone = None));
}

#[test]
fn the_roster_is_bounded() {
    let mut roster = Roster::new(farm());
    let many = |number: usize| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Candidate { id: NodeId::from_bytes(bytes), ..candidate(1, &format!("node-{number}")) }
    };
    for number in 0..MAX_MEMBERS {
        roster.admit(many(number), "root", 0).expect("there is room");
    }
    assert_eq!(roster.admit(many(MAX_MEMBERS), "root", 0), Err(NotAdmitted::Full));
    for number in 0..MAX_REMOVED + 50 {
        let at = number as u64;
        if number >= MAX_MEMBERS {
            roster.admit(many(number), "root", 0).expect("there is room");
        }
        roster.remove(many(number).id, "root", at).expect("a member");
    }
    assert_eq!(roster.removed.len(), MAX_REMOVED);
    assert!(roster.removal(many(0).id).is_none(), "the oldest is forgotten");
}
