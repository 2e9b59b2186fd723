//! Targets that are broken, slow, or gone: what is tried again, given up, merged and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::world::{World, at, down, name, policy, said, same_content_under_a_key, up};
use crate::command::Command;
use crate::notify::{MAX_WAITING, Notifier, State, Topic};

#[test]
fn a_broken_target_is_tried_less_and_less_often_and_told_the_latest_then() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", down("home"));
    world.passes(3600);
    let tries: Vec<u64> = world.tried.iter().map(|(when, ..)| when.since(at(10)).as_secs()).collect();
    assert_eq!(tries[..10], [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
    assert!(tries.len() < 25, "{tries:?}");
    let keys: BTreeSet<&str> = world.tried.iter().map(|(_, told, _)| told.key.as_str()).collect();
    assert_eq!(keys.len(), 1, "the same is sent under the same key");
    world.happens("web", up("home"));
    world.passes(60);
    world.broken = false;
    world.passes(600);
    let said = world.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.starts_with("[RESOLVED]"), "{said:?}");
    assert!(world.arrived().next().unwrap().1.text().contains("incident: checker `home` is down"));
}

#[test]
fn a_target_that_asks_to_be_left_alone_is() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", down("home"));
    world.passes(10);
    assert_eq!(world.tried.len(), 1);
    let target = name("on-call");
    world.passes(1);
    let mut world_queue = world.notifier.state.targets[&target].queue.clone();
    world_queue.next(world.now + Duration::from_secs(400));
    world_queue.failed("429".into(), Some(Duration::from_secs(120)), 0.5, world.now);
    assert_eq!(world_queue.standing().next, Some(world.now + Duration::from_secs(120)));
    world_queue.next(world.now + Duration::from_secs(400));
    world_queue.failed("429".into(), Some(Duration::from_secs(1_000_000)), 0.5, world.now);
    assert_eq!(world_queue.standing().next, Some(world.now + Duration::from_secs(3600)), "within reason");
}

#[test]
fn after_a_day_it_is_given_up_and_said_so_until_something_arrives() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", said(Command::Stop));
    world.happens("web", down("home"));
    world.passes(10);
    world.happens("web", up("home"));
    world.passes(30 * 3600);
    assert_eq!(world.given_up, ["web on n1: recovered"]);
    let standing = |world: &World| world.notifier.targets().into_values().next().unwrap();
    assert_eq!(standing(&world).given_up.as_deref(), Some("web on n1: recovered"));
    assert_eq!(standing(&world).waiting, 0);
    world.broken = false;
    world.happens("web", down("home"));
    world.passes(400);
    assert_eq!(standing(&world).given_up, None);
    assert_eq!(world.said().len(), 1, "{:?}", world.said());
}

#[test]
fn when_too_many_wait_the_oldest_become_one_that_says_how_many() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    for module in 0..250 {
        world.happens(&format!("m{module}"), down("home"));
        // Longer than what is told together.
        world.passes(30);
    }
    world.passes(60);
    let standing = world.notifier.targets().into_values().next().unwrap();
    assert_eq!((standing.waiting, standing.merged), (MAX_WAITING, 150));
    world.broken = false;
    world.passes(3600);
    let more: u64 = world.arrived().map(|(_, told)| told.more).sum();
    assert_eq!((world.arrived().count(), more), (MAX_WAITING, 150));
    same_content_under_a_key(&world);
}

#[test]
fn a_record_is_taken_in_once_and_a_lost_journal_does_not_make_deaf() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    world.seq = 0;
    world.happens("web", down("process"));
    world.passes(60);
    assert_eq!(world.arrived().next().unwrap().1.items.len(), 1);
    let mut state = State::new(500, at(0));
    state.not_behind(3);
    assert_eq!(state.record(), 3);
}

#[test]
fn time_that_went_back_between_two_daemons_delays_nothing_for_long() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.now = at(100_000);
    world.happens("web", down("home"));
    world.now = at(0);
    world.crashes();
    world.passes(301);
    assert_eq!(world.arrived().count(), 1);
}

#[test]
fn what_is_kept_for_a_target_that_is_no_more_is_dropped() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    let state = world.notifier.state().clone();
    let policies = BTreeMap::from([(name("other"), policy(&Topic::DEFAULT))]);
    let notifier = Notifier::new("n1".parse().unwrap(), policies, state, world.now);
    assert_eq!(notifier.targets().into_keys().collect::<Vec<_>>(), [&name("other")]);
    assert_eq!(notifier.next_deadline(), None);
}
