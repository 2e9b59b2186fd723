//! Which notifications are sent, and when: examples, and invariants.

mod delivery;
mod laws;
mod together;
pub(super) mod world;

use std::collections::BTreeSet;

use self::world::{World, cannot_tell, does_not_start, down, farm, name, policy, said, said_at, state, up};
use super::{Event, Policy, Topic};
use crate::command::Command;
use crate::record::{FarmEvent, RecordKind};
use crate::snapshot::Snapshot;
use crate::state::StateName;

#[test]
fn a_checker_that_cannot_tell_is_told_like_one_that_is_down_and_is_over_when_it_is_up() {
    let mut world = World::new(policy(&[Topic::Incident, Topic::Recovered]));
    world.happens("web", cannot_tell("page"));
    world.passes(20);
    let titles = |world: &World| world.arrived().map(|(_, told)| told.title()).collect::<Vec<_>>();
    assert_eq!(
        titles(&world),
        ["web on n1: checker `page` cannot tell: its last 3 runs were unknown: not granted"]
    );
    world.passes(60);
    assert_eq!(titles(&world).len(), 1, "it is no news that it goes on");
    world.happens("web", up("page"));
    world.passes(60);
    assert_eq!(titles(&world)[1], "web on n1: recovered");
}

#[test]
fn an_outage_is_told_although_the_checker_could_not_tell_before() {
    let mut world = World::new(policy(&[Topic::Incident, Topic::Recovered]));
    world.happens("web", cannot_tell("page"));
    world.passes(60);
    world.happens("web", down("page"));
    world.passes(60);
    let titles: Vec<_> = world.arrived().map(|(_, told)| told.title()).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[0].contains("cannot tell"), "{titles:?}");
    assert!(titles[1].contains("checker `page` is down: refused"), "{titles:?}");
    world.happens("web", up("page"));
    world.passes(60);
    let titles: Vec<_> = world.arrived().map(|(_, told)| told.title()).collect();
    assert_eq!(titles[2..], ["web on n1: recovered"], "both are over");
}

#[test]
fn what_was_over_before_it_was_told_is_told_all_the_same_and_once() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    world.passes(3);
    world.happens("web", up("home"));
    world.passes(1000);
    assert_eq!(world.said(), [said_at(10, "[RESOLVED] web on n1: recovered")]);
    assert_eq!(world.notifier.next_deadline(), None, "it is forgotten");
}

#[test]
fn flapping_is_told_once_more_then_as_a_reminder_and_its_end_when_it_is_calm() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    // Every 30 seconds, for five hours.
    for _ in 0..600 {
        world.happens("web", down("home"));
        world.passes(15);
        world.happens("web", up("home"));
        world.passes(15);
    }
    world.passes(1000);
    let told = [
        said_at(10, "[FIRING] web on n1: checker `home` is down: refused"),
        said_at(25, "[RESOLVED] web on n1: recovered"),
        said_at(325, "[FIRING] web on n1: it is flapping"),
        said_at(325 + 4 * 3600, "[FIRING] web on n1: still: it is flapping"),
        said_at(18_000 - 15 + 300, "[RESOLVED] web on n1: recovered"),
    ];
    assert_eq!(world.said(), told);
    assert!(world.arrived().nth(4).unwrap().1.text().contains("600 times"));
}

#[test]
fn what_comes_again_before_it_was_well_for_the_wait_is_not_told_as_over() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    for _ in 0..900 {
        world.happens("web", down("home"));
        world.passes(12);
        world.happens("web", up("home"));
        world.passes(8);
    }
    world.passes(1000);
    assert_eq!(world.said().len(), 3, "its beginning, a reminder, its end: {:#?}", world.said());
}

#[test]
fn while_it_lasts_it_is_told_again_now_and_then() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", state(StateName::Restarting, StateName::Failed));
    world.passes(9 * 3600);
    let told = [
        said_at(10, "[FIRING] web on n1: it is failed"),
        said_at(10 + 4 * 3600, "[FIRING] web on n1: still: it is failed"),
        said_at(10 + 8 * 3600, "[FIRING] web on n1: still: it is failed"),
    ];
    assert_eq!(world.said(), told);
}

#[test]
fn a_stop_ends_what_lasted_but_not_maintenance() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", down("home"));
    world.happens("web", said(Command::Suspend));
    world.passes(20);
    world.happens("web", state(StateName::Stopping, StateName::Stopped));
    world.passes(20);
    let notifier = &world.notifier;
    let group = &notifier.state.targets[&name("on-call")].groups["web"];
    assert_eq!(group.lasting(), [(Topic::Suspended, String::new())]);
    world.happens("web", said(Command::Resume));
    world.passes(4 * 3600);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED]"), "{:#?}", world.said());
}

#[test]
fn a_suspension_that_ends_by_itself_is_told_as_over() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", said(Command::Suspend));
    world.passes(20);
    let decision = crate::record::ACT_AGAIN.to_owned();
    let reason = "the time of the suspension is over".to_owned();
    world.happens("web", RecordKind::Decision { decision, reason });
    world.passes(4 * 3600);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED]"), "{:#?}", world.said());
}

#[test]
fn only_what_is_asked_for_is_told() {
    let only_failed =
        Policy { modules: Some(BTreeSet::from(["web".parse().unwrap()])), ..policy(&[Topic::Failed]) };
    let mut world = World::new(only_failed);
    for module in ["db", "web", ""] {
        world.happens(module, down("home"));
        world.happens(module, RecordKind::Daemon { message: "started".into() });
        world.happens(module, state(StateName::Up, StateName::Failed));
    }
    world.passes(60);
    world.happens("web", state(StateName::Starting, StateName::Up));
    world.passes(1000);
    assert_eq!(world.said(), [said_at(10, "[FIRING] web on n1: it is failed")], "no `recovered`, no end");
}

#[test]
fn what_no_record_has_ended_ends_when_it_is_seen_to_be_over() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("gone", state(StateName::Up, StateName::Failed));
    world.happens("", RecordKind::Reload { what: "checkers/a.wasm".into(), ok: false, detail: "no".into() });
    world.passes(20);
    let snapshot = Snapshot::empty("n1".parse().unwrap(), world.now);
    let refused = BTreeSet::from(["checkers/a.wasm".to_owned()]);
    world.notifier.handle(Event::Seen { snapshot: &snapshot, refused: &refused }, world.now);
    world.passes(20);
    let seen = || Event::Seen { snapshot: &snapshot, refused: &refused };
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED] gone on n1"), "{:?}", world.said());
    world.notifier.handle(seen(), world.now);
    world.passes(20);
    let none = BTreeSet::new();
    world.notifier.handle(Event::Seen { snapshot: &snapshot, refused: &none }, world.now);
    world.passes(20);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED] n1"), "{:?}", world.said());
}

#[test]
fn a_start_that_fails_again_and_again_is_told_once_and_its_end_too() {
    let mut world = World::new(policy(&[Topic::Failed, Topic::Recovered]));
    let early = RecordKind::Decision { decision: "try again in 1s".to_owned(), reason: "no".to_owned() };
    world.happens("web", early);
    world.passes(60);
    assert!(world.tried.is_empty(), "it may work in a moment");
    for _ in 0..20 {
        world.happens("web", does_not_start("15s"));
        world.passes(15);
    }
    assert_eq!(world.tried.len(), 1, "{:?}", world.tried);
    let (_, told, _) = &world.tried[0];
    assert!(told.title().contains("it does not start, and is being retried: exited with 1"), "{told:?}");
    world.happens("web", state(StateName::Starting, StateName::Up));
    world.passes(600);
    assert_eq!(world.tried.len(), 2, "{:?}", world.tried);
}

#[test]
fn a_node_that_is_not_heard_is_told_until_it_is_heard_or_no_longer_of_the_farm() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("", farm(FarmEvent::Joined, "n2"));
    world.happens("", farm(FarmEvent::Heard, "n2"));
    world.passes(60);
    assert!(world.tried.is_empty(), "{:?}", world.said());
    world.happens("", farm(FarmEvent::NotHeard, "n2"));
    world.happens("", farm(FarmEvent::NotHeard, "n3"));
    world.passes(20);
    let (_, told, _) = &world.tried[0];
    assert_eq!(told.title(), "n1: n2 is not heard any more (and 1 more)");
    world.happens("", farm(FarmEvent::Heard, "n2"));
    world.passes(600);
    assert_eq!(world.tried.len(), 1, "n3 is still not heard: {:?}", world.said());
    world.happens("", farm(FarmEvent::Left, "n3"));
    world.passes(20);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED] n1"), "{:?}", world.said());
}

#[test]
fn a_certificate_that_expires_soon_is_told_until_it_is_renewed() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    let record = |event, message: &str| {
        let (peer, message, by) = (None, message.to_owned(), None);
        RecordKind::Farm { event, peer, message, by }
    };
    world.happens("", record(FarmEvent::Expires, "the certificate expires in 59 days"));
    world.passes(20);
    assert_eq!(world.tried[0].1.title(), "n1: the certificate expires in 59 days");
    world.happens("", record(FarmEvent::Renewed, "the certificate was renewed"));
    world.passes(20);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED] n1"), "{:?}", world.said());
}
