//! Nodes that sleep, come and go, and disturbances of all kinds, one after the other.

use std::time::Duration;

use rand::RngExt;

use super::{Recorded, World, candidate, seeds};
use crate::id::NodeId;
use crate::membership::{Action, Event, Hearing};

#[test]
fn a_node_that_slept_says_so_and_takes_nobody_for_unknown() {
    for count in [2, 3, 8] {
        for seed in seeds(6, 60) {
            let mut world = World::settled(count, seed);
            let asleep = world.between(2_000, 40_000);
            let began = world.now;
            world.suspend(0);
            world.run(asleep);
            let lost = world.since(began).filter(|entry| entry.what == Recorded::NotHeard(0)).count();
            assert_eq!(lost, count - 1, "{count} nodes, seed {seed}");
            let woke = world.now;
            world.resume(0);
            world.time_until_well(Duration::from_secs(3));
            world.run(Duration::from_secs(20));
            let own: Vec<_> = world.since(woke).filter(|e| e.by == 0).map(|e| e.what).collect();
            let [Recorded::Slept(for_)] = own[..] else { panic!("{count} nodes, seed {seed}: {own:?}") };
            assert!(
                for_ <= asleep && for_ + Duration::from_millis(600) >= asleep,
                "seed {seed}: {for_:?} of {asleep:?}"
            );
            let others = world.since(woke).filter(|e| e.by != 0 && e.what != Recorded::Heard(0)).count();
            assert_eq!(others, 0, "{count} nodes, seed {seed}");
        }
    }
}

#[test]
fn a_node_that_was_only_busy_for_a_moment_is_heard_all_the_time() {
    for seed in seeds(20, 200) {
        let mut world = World::settled(3, seed);
        let began = world.now;
        for _ in 0..10 {
            let busy = world.between(50, 800);
            world.suspend(0);
            world.run(busy);
            world.resume(0);
            world.run(Duration::from_secs(2));
        }
        assert_eq!(world.since(began).next().map(|entry| entry.what), None, "seed {seed}");
    }
}

#[test]
fn a_new_member_is_known_to_all_and_a_removed_one_is_forgotten() {
    for seed in seeds(5, 50) {
        let mut world = World::settled(5, seed);
        // The last node is removed at node 0, and from there everywhere: each sees that its roster differs.
        let gone = world.nodes[4].id;
        let mut roster = world.nodes[0].roster.clone();
        roster.remove(gone, "root", 1).unwrap();
        world.set_roster(0, roster.clone());
        world.run(Duration::from_secs(2));
        for number in 0..4 {
            assert_eq!(world.nodes[number].roster, roster, "seed {seed}, node {number}");
            let daemon = world.nodes[number].daemon.as_ref().unwrap();
            assert_eq!(daemon.view().nodes.len(), 3, "seed {seed}");
            assert!(!daemon.view().nodes.contains_key(&gone), "seed {seed}");
        }
        world.kill(4);
        world.time_until_well(Duration::from_secs(3));
        // Another node takes its place, and has its link before the others know that it is a member.
        let new = NodeId::from_bytes([7; 16]);
        world.numbers.insert(new, 4);
        world.nodes[4].id = new;
        roster.admit(candidate(new, 4), "root", 2).unwrap();
        world.nodes[4].roster = roster.clone();
        world.start(4);
        world.run(Duration::from_secs(1));
        world.set_roster(0, roster);
        world.time_until_well(Duration::from_secs(3));
    }
}

#[test]
fn a_node_that_leaves_is_not_missed_for_long_and_does_nothing_more() {
    let mut world = World::settled(3, 1);
    let now = world.now;
    let daemon = world.nodes[0].daemon.as_mut().unwrap();
    let actions = daemon.leave(now);
    assert!(actions.iter().any(|action| matches!(action, Action::Send { .. })));
    assert_eq!(daemon.handle(Event::Due, now), []);
    world.carry_out(0, actions);
    world.run(Duration::from_secs(1));
    for by in [1, 2] {
        assert!(matches!(world.hearing(by, 0), Hearing::NotHeard { .. }));
    }
}

/// Frames that are lost for good, come twice or come late are none that a stream has. Nothing breaks because of them.
#[test]
fn frames_in_disorder_do_no_harm_for_long() {
    for seed in seeds(10, 200) {
        let mut world = World::settled(5, seed);
        world.network.damaged = 200;
        world.run(Duration::from_secs(30));
        world.network.damaged = 0;
        world.run(Duration::from_secs(5));
        world.time_until_well(Duration::from_secs(15));
    }
}

/// Everything that can happen to a farm, in any order; then nothing more, and all is well soon and stays well.
#[test]
fn after_any_disturbances_all_is_well_again() {
    for seed in seeds(20, 1000) {
        let count = 2 + usize::try_from(seed % 5).unwrap();
        let mut world = World::settled(count, seed);
        for _ in 0..30 {
            disturb(&mut world);
            let pause = world.between(1, 4000);
            world.run(pause);
        }
        world.heal();
        world.network.resent = 0;
        for number in 0..count {
            match &world.nodes[number].daemon {
                None => world.start(number),
                Some(_) if world.nodes[number].is_asleep => world.resume(number),
                Some(_) => {}
            }
        }
        world.time_until_well(Duration::from_secs(5));
        let settled = world.now;
        world.run(Duration::from_secs(30));
        assert_eq!(world.since(settled).next().map(|entry| entry.what), None, "seed {seed}");
        assert_eq!(world.wrong(), None, "seed {seed}");
    }
}

fn disturb(world: &mut World) {
    let count = world.nodes.len();
    let node = world.rng.random_range(0..count);
    let other = (node + world.rng.random_range(1..count)) % count;
    let runs = world.nodes[node].daemon.is_some();
    match world.rng.random_range(0..8) {
        0 if runs => world.kill(node),
        1 if !runs => world.start(node),
        2 if runs => world.suspend(node),
        3 if runs && world.nodes[node].is_asleep => world.resume(node),
        4 => world.cut(node, other),
        5 => world.cut_off(node),
        6 => world.heal(),
        7 => world.network.resent = world.rng.random_range(0..50),
        _ => {}
    }
}
