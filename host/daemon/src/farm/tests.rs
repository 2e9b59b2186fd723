//! What is told of a farm, from pictures of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_api::farm::{FarmNode, FarmStatus, Hearing as Word};
use bellwether_core::attention::Attention;
use bellwether_core::id::NodeName;
use bellwether_core::moment::Moment;
use bellwether_core::record::{FarmEvent, RecordKind};
use bellwether_farm::id::{FarmId, NodeId};
use bellwether_farm::membership::{Facts, Hearing, PeerView, ReceivedSummary, Summary};
use bellwether_farm::roster::{Member, Removal};
use bellwether_links::{LinkState, NodePicture, Picture};
use bellwether_os::clock::Clock;
use jiff::Timestamp;

use super::clocks::Clocks;
use super::problems::{expiring, problems};
use super::status::Sources;
use super::story::Story;

const WALL: u64 = 1_774_000_000;
const DAY: u64 = 24 * 3600;

fn id(of: u8) -> NodeId {
    NodeId::from_bytes([of; 16])
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn member(of: &str) -> Member {
    Member {
        name: name(of),
        address: "192.0.2.1:9014".to_owned(),
        zone: None,
        holds_ca_key: of == "n2",
        counter: 1,
    }
}

pub(super) fn facts() -> Facts {
    Facts {
        version: "1.2.3".to_owned(),
        snapshot: 7,
        headline: "Both modules are ready".to_owned(),
        attention: Attention::Well,
        modules: 2,
        ready: 2,
        certificate_ends: WALL + 300 * DAY,
        wall: WALL,
    }
}

fn heard() -> Hearing {
    Hearing::Heard { since: Moment::from_micros(1_000_000) }
}

fn lost() -> Hearing {
    Hearing::NotHeard { since: Moment::from_micros(2_000_000) }
}

fn view(hearing: Hearing) -> PeerView {
    let (heard_by, not_hearing) = (Vec::new(), BTreeMap::new());
    PeerView { hearing, summary: None, heard_by, not_hearing, other_version: None }
}

fn said(facts: Facts, received: Moment) -> Arc<ReceivedSummary> {
    let (generation, sequence, roster, hears, not_hearing) = (1, 1, 1, Vec::new(), Vec::new());
    let summary = Summary { generation, sequence, facts, roster, hears, not_hearing };
    Arc::new(ReceivedSummary { summary, received })
}

/// Another node, whose name is `n` and its number.
fn node(of: u8, hearing: Hearing) -> NodePicture {
    let view = view(hearing);
    NodePicture { id: id(of), member: member(&format!("n{of}")), view, link: LinkState::Open }
}

fn farm_of(nodes: Vec<NodePicture>) -> Picture {
    let ends = |days: u64| Timestamp::from_second(i64::try_from(WALL + days * DAY).unwrap()).ok();
    Picture {
        farm: Some(FarmId::from_bytes([9; 16])),
        me: Some(id(1)),
        this: Some(member("n1")),
        nodes,
        certificate_ends: ends(300),
        authority_ends: ends(7000),
        ..Picture::alone(name("n1"))
    }
}

fn sentences(records: &[RecordKind]) -> Vec<String> {
    records.iter().map(RecordKind::sentence).collect()
}

#[test]
fn what_happens_is_told_once_and_a_first_picture_tells_only_who_is_heard() {
    let mut story = Story::default();
    let first = story.next(&farm_of(vec![node(2, heard()), node(3, lost()), node(4, Hearing::Never)]), &[]);
    assert_eq!(
        sentences(&first),
        ["n2 is heard", "n3 is not heard any more: its state is unknown; no other node hears it either"]
    );
    let mut cut = node(2, lost());
    cut.view.heard_by = vec![id(4)];
    let picture = farm_of(vec![cut, node(3, heard()), node(4, heard()), node(5, Hearing::Never)]);
    assert_eq!(
        sentences(&story.next(&picture, &[])),
        [
            "n5 has joined the farm",
            "n2 is not heard any more: its state is unknown; n4 still hears it",
            "n3 is heard again",
            "n4 is heard",
        ]
    );
    assert_eq!(story.next(&picture, &[]), []);
    let gone = story.next(&farm_of(vec![node(3, heard()), node(4, heard()), node(5, Hearing::Never)]), &[]);
    let [RecordKind::Farm { event: FarmEvent::Left, peer: Some(peer), by: None, .. }] = gone.as_slice()
    else {
        panic!("{gone:?}")
    };
    assert_eq!(peer.as_str(), "n2");
}

#[test]
fn who_joins_a_farm_is_not_told_that_the_others_join() {
    let mut story = Story::default();
    assert_eq!(story.next(&Picture::alone(name("n1")), &[]), []);
    let joined = story.next(&farm_of(vec![node(2, heard()), node(3, Hearing::Never)]), &[]);
    assert_eq!(sentences(&joined), ["n2 is heard"]);
}

#[test]
fn what_expires_is_told_until_it_is_renewed() {
    let mut story = Story::default();
    let picture = farm_of(Vec::new());
    let soon = ["the certificate expires".to_owned()];
    assert_eq!(sentences(&story.next(&picture, &soon)), ["the certificate expires"]);
    assert_eq!(story.next(&picture, &soon), []);
    let [RecordKind::Farm { event: FarmEvent::Renewed, .. }] = story.next(&picture, &[])[..] else {
        panic!("it was renewed")
    };
    assert_eq!(story.next(&picture, &[]), []);
}

#[test]
fn certificates_are_a_problem_long_before_they_expire() {
    let mut picture = farm_of(vec![node(2, heard())]);
    assert_eq!(expiring(&picture, WALL), [""; 0]);
    assert_eq!(expiring(&picture, WALL + 239 * DAY), [""; 0], "61 days before its end");
    let soon = expiring(&picture, WALL + 241 * DAY);
    assert_eq!(
        soon,
        [
            "the certificate of this node for the farm expires in 59d; it is renewed as soon as one of these nodes is \
             reached: n2"
        ]
    );
    let expired = expiring(&picture, WALL + 300 * DAY + 3 * 3600);
    assert!(expired[0].contains("expired 3h ago"), "{expired:?}");
    picture.authority_ends = picture.certificate_ends;
    assert_eq!(expiring(&picture, WALL + 241 * DAY).len(), 2);
}

#[test]
fn a_node_that_was_removed_says_by_whom_and_nothing_else() {
    let removal = Removal { name: name("n1"), by: "alice on node-2".to_owned(), at: WALL };
    let picture = Picture {
        removed: Some(removal),
        this: None,
        conflicts: vec![name("n3")],
        ..farm_of(vec![node(2, Hearing::Never)])
    };
    let told = problems(&picture, &Clocks::default(), "1.2.3", WALL);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("removed from the farm by alice on node-2 at 2026-03-20T09:46:40"), "{told:?}");
}

#[test]
fn names_versions_and_clocks_that_do_not_fit_are_problems() {
    let with = |version: &str, hearing: Hearing| {
        let mut other = node(2, hearing);
        let facts = Facts { version: version.to_owned(), ..facts() };
        other.view.summary = Some(said(facts, Moment::default()));
        farm_of(vec![other])
    };
    let mut clocks = Clocks::default();
    let told = |picture: &Picture, clocks: &Clocks| problems(picture, clocks, "1.2.3", WALL);
    assert_eq!(told(&with("2.0.0", heard()), &clocks), [""; 0], "N and N+1 form one farm");
    assert!(told(&with("3.0.0", heard()), &clocks)[0].starts_with("n2 runs version 3.0.0"));
    for sequence in 1..4 {
        clocks.read(id(2), sequence, WALL + 65, 1_774_000_000.0);
    }
    let wrong = told(&with("1.2.3", heard()), &clocks);
    assert!(wrong[0].starts_with("the clock of n2 is 1m 5s ahead of that of this node"), "{wrong:?}");
    assert_eq!(told(&with("1.2.3", lost()), &clocks), [""; 0], "it is not known any more");
    let conflict = Picture { conflicts: vec![name("n3")], ..with("1.2.3", lost()) };
    assert!(told(&conflict, &clocks)[0].starts_with("two nodes of the farm are called `n3`"));
}

fn status(picture: &Picture) -> FarmStatus {
    let (known, clocks) = (BTreeMap::default(), Clocks::default());
    let clock = Clock::start();
    Sources { picture, known: &known, clocks: &clocks, own: None, clock, problems: Vec::new() }.status()
}

fn find<'s>(status: &'s FarmStatus, name: &str) -> &'s FarmNode {
    status.nodes.iter().find(|node| node.name.as_str() == name).unwrap()
}

#[test]
fn a_node_that_is_not_heard_is_unknown_with_what_is_known_of_it() {
    let mut cut = node(2, lost());
    cut.view.heard_by = vec![id(3)];
    cut.view.summary = Some(said(facts(), Moment::from_micros(1_500_000)));
    cut.link = LinkState::Closed { why: Some("connection timed out".to_owned()) };
    let shown = status(&farm_of(vec![cut, node(3, heard())]));
    assert_eq!(shown.headline, "n2 is not heard");
    let names: Vec<&str> = shown.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    let n2 = find(&shown, "n2");
    assert_eq!((n2.hearing, n2.heard_by.as_slice()), (Word::Unknown, [name("n3")].as_slice()));
    assert_eq!(
        n2.explanation,
        "not heard since 1970-01-01T00:00:02.000Z (connection timed out), n3 still hears it; the last that it said: Both \
         modules are ready. Check the network between the two nodes"
    );
    assert_eq!(find(&shown, "n3").explanation, "");
    let this = find(&shown, "n1");
    assert_eq!(this.hearing, Word::This);
    assert_eq!(this.not_hearing.iter().map(|not| not.node.as_str()).collect::<Vec<_>>(), ["n2"]);
    let alone = status(&farm_of(vec![node(2, lost()), node(3, lost())]));
    assert_eq!(alone.headline, "2 of 3 nodes are not heard");
    assert!(find(&alone, "n2").explanation.ends_with("bellwether farm remove n2"));
}

#[test]
fn a_node_that_cannot_be_authenticated_is_told_from_one_that_cannot_be_reached() {
    let why = "the certificate of n2 expired 3h ago".to_owned();
    let wrong = |hearing| NodePicture {
        link: LinkState::CannotAuthenticate { why: why.clone() },
        ..node(2, hearing)
    };
    for hearing in [lost(), Hearing::Never] {
        let shown = status(&farm_of(vec![wrong(hearing)]));
        let n2 = find(&shown, "n2");
        assert_eq!(n2.hearing, Word::CannotAuthenticate);
        assert!(n2.explanation.contains(&why), "{}", n2.explanation);
    }
    assert_eq!(find(&status(&farm_of(vec![wrong(heard())])), "n2").hearing, Word::Heard);
}

#[test]
fn a_node_in_no_farm_is_alone_and_one_that_was_removed_says_so() {
    let alone = status(&Picture::alone(name("n1")));
    assert_eq!((alone.farm, alone.nodes.len()), (None, 1));
    let removal = Removal { name: name("n1"), by: "root".to_owned(), at: WALL };
    let removed = status(&Picture { removed: Some(removal), this: None, ..farm_of(Vec::new()) });
    assert_eq!(removed.headline, "This node was removed from the farm");
}

#[test]
fn a_module_that_is_down_on_another_node_is_in_the_headline() {
    let mut other = node(2, heard());
    let down = Facts { headline: "1 of 2 modules down".to_owned(), attention: Attention::Down, ..facts() };
    other.view.summary = Some(said(down, Moment::default()));
    let shown = status(&farm_of(vec![other, node(3, heard())]));
    assert_eq!(shown.headline, "All 3 nodes are heard, and on n2: 1 of 2 modules down");
}

#[test]
fn facts_are_said_at_once_when_people_decide_by_them() {
    let at = Moment::from_micros(60_000_000);
    let said = super::facts::Said { facts: facts(), at };
    assert_eq!(said.due(&facts()), at + Duration::from_secs(5));
    assert_eq!(said.due(&Facts { snapshot: 8, ..facts() }), at + Duration::from_secs(1));
    for now in [
        Facts { headline: "1 of 2 modules down".to_owned(), ..facts() },
        Facts { attention: Attention::Down, ..facts() },
        Facts { ready: 1, ..facts() },
        Facts { modules: 3, ..facts() },
    ] {
        assert_eq!(said.due(&now), at, "{now:?}");
    }
}

#[test]
fn the_status_of_a_node_is_old_when_it_says_something_newer_or_was_restarted() {
    let at = |seconds: i64| Moment::from_micros(seconds * 1_000_000);
    let view = |snapshot: u64, received: Moment| PeerView {
        summary: Some(said(Facts { snapshot, ..facts() }, received)),
        ..view(Hearing::Heard { since: at(10) })
    };
    let is_old = super::pictures::is_old;
    assert!(is_old(None, &view(7, at(11))));
    assert!(!is_old(Some((7, at(12))), &view(7, at(13))));
    assert!(is_old(Some((7, at(12))), &view(8, at(11))));
    assert!(!is_old(Some((7, at(12))), &view(6, at(11))), "it was said before");
    assert!(is_old(Some((7, at(12))), &view(6, at(13))), "it counts from the beginning again");
    let silent = PeerView { hearing: Hearing::NotHeard { since: at(14) }, ..view(8, at(13)) };
    assert!(!is_old(Some((7, at(12))), &silent), "it cannot be asked");
}
