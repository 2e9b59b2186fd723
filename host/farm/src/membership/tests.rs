//! Single rules of the membership, with frames as they come.

use super::*;
use crate::id::FarmId;
use crate::roster::Candidate;

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn at(ms: i64) -> Moment {
    Moment::from_micros(ms * 1000)
}

fn roster(numbers: &[u8]) -> Roster {
    let mut roster = Roster::new(FarmId::from_bytes([9; 16]));
    for number in numbers {
        let name = bellwether_core::id::NodeName::new(&format!("node-{number}")).unwrap();
        let candidate =
            Candidate { id: id(*number), name, address: "10.0.0.1:1".into(), zone: None, replace: None };
        roster.admit(candidate, "root", 0).unwrap();
    }
    roster
}

/// Node 1, with the members 1, 2 and 3.
fn membership() -> Membership {
    let beginning = Beginning { me: id(1), generation: 1, roster: roster(&[1, 2, 3]), seed: 1, now: at(0) };
    Membership::new(beginning).0
}

/// Node 1, which hears node 2 since 10 ms.
fn hearing_two() -> Membership {
    let mut membership = membership();
    membership.handle(Event::LinkOpened { with: id(2) }, at(5));
    let actions = frame(&mut membership, 2, &Frame::Beat { is_last: true }, 10);
    assert_eq!(actions, [Action::Heard { node: id(2) }]);
    membership
}

fn frame(membership: &mut Membership, from: u8, frame: &Frame, ms: i64) -> Vec<Action> {
    membership.handle(Event::Frame { from: id(from), bytes: frame.encode() }, at(ms))
}

fn hearing(membership: &Membership, of: u8) -> Hearing {
    membership.view().nodes[&id(of)].hearing
}

/// Lets time pass, with every deadline in it.
fn pass(membership: &mut Membership, until_ms: i64) -> Vec<Action> {
    let mut actions = Vec::new();
    while membership.next_deadline() <= at(until_ms) {
        let now = membership.next_deadline();
        actions.extend(membership.handle(Event::Due, now));
        assert!(membership.next_deadline() > now);
    }
    actions
}

#[test]
fn a_node_is_heard_with_its_first_frame_and_not_with_its_link() {
    let mut membership = membership();
    assert_eq!(hearing(&membership, 2), Hearing::Never);
    membership.handle(Event::LinkOpened { with: id(2) }, at(5));
    assert_eq!(hearing(&membership, 2), Hearing::Never);
    frame(&mut membership, 2, &Frame::Beat { is_last: true }, 10);
    assert_eq!(hearing(&membership, 2), Hearing::Heard { since: at(10) });
}

#[test]
fn a_link_that_closes_makes_its_node_unknown_at_once() {
    let mut membership = hearing_two();
    let actions = membership.handle(Event::LinkClosed { with: id(2) }, at(20));
    assert_eq!(actions, [Action::NotHeard { node: id(2) }]);
    assert_eq!(hearing(&membership, 2), Hearing::NotHeard { since: at(20) });
    // A frame of the closed stream that comes late does not change that.
    assert_eq!(frame(&mut membership, 2, &Frame::Beat { is_last: true }, 30), []);
    assert_eq!(hearing(&membership, 2), Hearing::NotHeard { since: at(20) });
}

#[test]
fn a_node_is_asked_when_it_misses_a_beat_and_only_its_silence_makes_it_unknown() {
    let mut membership = hearing_two();
    frame(&mut membership, 2, &Frame::Beat { is_last: false }, 20);
    let ask = membership.hello(true).encode();
    let asks = |actions: &[Action]| actions.contains(&Action::Send { to: id(2), bytes: ask.clone() });
    assert!(!asks(&pass(&mut membership, 1019)));
    assert!(asks(&pass(&mut membership, 1020)));
    assert!(hearing(&membership, 2).is_heard());
    frame(&mut membership, 2, &Frame::Beat { is_last: false }, 1400);
    assert!(!pass(&mut membership, 2399).contains(&Action::NotHeard { node: id(2) }));
    assert!(hearing(&membership, 2).is_heard());
    assert!(pass(&mut membership, 2800).contains(&Action::NotHeard { node: id(2) }));
    assert_eq!(hearing(&membership, 2), Hearing::NotHeard { since: at(2800) });
    assert!(asks(&pass(&mut membership, 3800)), "it is asked again while its link is open");
}

#[test]
fn the_doubt_of_another_node_is_not_believed_without_asking() {
    let mut membership = hearing_two();
    membership.handle(Event::LinkOpened { with: id(3) }, at(15));
    frame(&mut membership, 3, &Frame::Beat { is_last: true }, 20);
    let actions = frame(&mut membership, 3, &Frame::Doubt(id(2)), 30);
    let ask = membership.hello(true).encode();
    assert_eq!(actions, [Action::Send { to: id(2), bytes: ask }], "it is asked, and the doubt not passed on");
    assert!(hearing(&membership, 2).is_heard());
    let answer = membership.hello(false);
    frame(&mut membership, 2, &answer, 40);
    let mut actions = pass(&mut membership, 500);
    actions.retain(|action| matches!(action, Action::NotHeard { .. }));
    assert_eq!(actions, []);
    // Doubts about this node itself and about strangers have no effect.
    assert_eq!(frame(&mut membership, 3, &Frame::Doubt(id(1)), 510), []);
    assert_eq!(frame(&mut membership, 3, &Frame::Doubt(id(99)), 510), []);
}

#[test]
fn a_stranger_is_ignored_until_the_roster_has_it() {
    let mut membership = membership();
    assert_eq!(membership.handle(Event::LinkOpened { with: id(4) }, at(5)), []);
    assert_eq!(frame(&mut membership, 4, &Frame::Beat { is_last: true }, 10), []);
    assert!(!membership.view().nodes.contains_key(&id(4)));
    let actions = membership.handle(Event::Roster(roster(&[1, 2, 3, 4])), at(20));
    assert!(actions.iter().any(|action| matches!(action, Action::Send { to, .. } if *to == id(4))));
    let actions = frame(&mut membership, 4, &Frame::Beat { is_last: true }, 30);
    assert_eq!(actions, [Action::Heard { node: id(4) }]);
}

#[test]
fn a_node_with_frames_of_another_version_is_heard_and_shown() {
    let mut membership = hearing_two();
    let before = membership.changes();
    membership.handle(Event::Frame { from: id(2), bytes: Bytes::from_static(&[77, 0, 0]) }, at(20));
    assert_eq!(membership.view().nodes[&id(2)].other_version, Some(77));
    assert!(membership.changes() > before);
    assert!(hearing(&membership, 2).is_heard());
    frame(&mut membership, 2, &Frame::Beat { is_last: true }, 30);
    assert_eq!(membership.view().nodes[&id(2)].other_version, None);
}

#[test]
fn no_node_can_say_who_another_one_is() {
    let mut membership = hearing_two();
    let forged = Frame::Hello { identity: Identity::new(id(3), 1000), wants_answer: true };
    assert_eq!(frame(&mut membership, 2, &forged, 20), []);
    assert_eq!(membership.active_in_swim(), 0);
}

#[test]
fn a_node_that_was_declared_down_takes_its_next_identity_once() {
    let mut membership = hearing_two();
    let old = membership.engine.identity();
    let actions = frame(&mut membership, 2, &Frame::Renew(old), 20);
    let new = membership.engine.identity();
    assert_ne!(new, old);
    assert!(actions.contains(&Action::Send { to: id(2), bytes: membership.hello(false).encode() }));
    assert_eq!(frame(&mut membership, 2, &Frame::Renew(old), 30), []);
    assert_eq!(membership.engine.identity(), new);
}

#[test]
fn rosters_that_differ_are_exchanged_but_not_all_the_time() {
    let mut membership = hearing_two();
    let mut other = Summary {
        generation: 1,
        sequence: 1,
        facts: Facts::default(),
        roster: 12345,
        hears: Vec::new(),
        not_hearing: Vec::new(),
    };
    let mut pulls = |membership: &mut Membership, sequence, ms| {
        other.sequence = sequence;
        let frame_ = Frame::Summary(other.encode());
        frame(membership, 2, &frame_, ms).contains(&Action::PullRoster { from: id(2) })
    };
    assert!(pulls(&mut membership, 1, 20));
    assert!(!pulls(&mut membership, 2, 500));
    assert!(pulls(&mut membership, 3, 2100));
    assert!(!pulls(&mut membership, 3, 9000), "it is no new summary");
}

#[test]
fn a_node_without_others_waits_for_nothing() {
    let beginning = Beginning { me: id(1), generation: 1, roster: roster(&[1]), seed: 1, now: at(0) };
    let (mut alone, actions) = Membership::new(beginning);
    assert_eq!(actions, []);
    assert_eq!(alone.next_deadline(), Moment::NEVER);
    assert_eq!(alone.handle(Event::Due, at(1_000_000)), []);
    // A first other node is no reason to believe that this one slept.
    assert_eq!(alone.handle(Event::Roster(roster(&[1, 2])), at(2_000_000)), []);
    assert_eq!(alone.handle(Event::LinkClosed { with: id(2) }, at(2_000_001)), []);
}

#[test]
fn what_is_said_comes_at_most_every_200_ms_and_at_least_every_10_seconds() {
    let mut membership = hearing_two();
    let said = |actions: &[Action]| {
        let summaries = actions.iter().filter(|action| {
            matches!(action, Action::Send { bytes, .. } if matches!(Frame::decode(bytes), Ok(Frame::Summary(_))))
        });
        summaries.count()
    };
    let mut actions = Vec::new();
    for ms in (20..1020).step_by(10) {
        let facts = Facts { snapshot: u64::try_from(ms).unwrap(), ..Facts::default() };
        actions.extend(membership.handle(Event::Facts(facts), at(ms)));
        actions.extend(pass(&mut membership, ms));
    }
    assert!((5..=6).contains(&said(&actions)), "{}", said(&actions));
    pass(&mut membership, 1300);
    frame(&mut membership, 2, &Frame::Beat { is_last: true }, 1300);
    let quiet = pass(&mut membership, 11_400);
    assert_eq!(said(&quiet), 1);
}
