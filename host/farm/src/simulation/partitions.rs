//! Farms that are divided, in both directions or in one, and what is left of that when they are whole again.

use std::time::Duration;

use super::{Recorded, World, seeds};
use crate::membership::Hearing;

/// Both sides declare each other down. Each node then has to take another identity, and not once more for ever.
#[test]
fn a_farm_that_was_divided_is_whole_again_and_stays_so() {
    for (count, at) in [(2, 1), (3, 1), (6, 3), (25, 8)] {
        for seed in seeds(6, 60) {
            let mut world = World::settled(count, seed);
            // From shorter than a suspicion to longer than foca remembers a node that is down.
            let long = world.between(200, if seed % 3 == 0 { 200_000 } else { 8000 });
            world.split(at);
            world.run(long);
            world.heal();
            // TCP sends again what it has held.
            world.run(Duration::from_secs(1));
            let whole_after = world.time_until_well(Duration::from_secs(5));
            let settled = world.now;
            world.run(Duration::from_secs(30));
            let later = world.since(settled).next();
            assert!(
                later.is_none(),
                "{count} nodes, seed {seed}, divided for {long:?}, whole after {whole_after:?}: {later:?}"
            );
            assert_eq!(world.wrong(), None, "{count} nodes, seed {seed}");
        }
    }
}

/// The same while no connection is closed: only frames tell.
#[test]
fn a_farm_is_whole_again_although_no_connection_was_closed() {
    for (count, at) in [(2, 1), (3, 1), (6, 3)] {
        for seed in seeds(6, 60) {
            let mut world = World::settled(count, seed);
            world.network.gives_up_after = None;
            let long = world.between(200, 20_000);
            world.split(at);
            world.run(long);
            world.heal();
            world.run(Duration::from_secs(1));
            world.time_until_well(Duration::from_secs(5));
            let settled = world.now;
            world.run(Duration::from_secs(30));
            assert_eq!(world.since(settled).count(), 0, "{count} nodes, seed {seed}, {long:?}");
        }
    }
}

#[test]
fn each_side_of_a_divided_farm_hears_itself_and_not_the_other() {
    for seed in seeds(5, 50) {
        let mut world = World::settled(7, seed);
        let cut = world.now;
        world.split(3);
        world.run(Duration::from_secs(10));
        let lost: Vec<_> = world.since(cut).cloned().collect();
        assert_eq!(lost.len(), 2 * 3 * 4, "seed {seed}");
        for entry in lost {
            let Recorded::NotHeard(of) = entry.what else { panic!("seed {seed}: {entry:?}") };
            assert_ne!(entry.by < 3, of < 3, "seed {seed}: {entry:?}");
        }
    }
}

/// Nothing from node 0 arrives at node 1. SWIM does not notice, because others hear node 0.
#[test]
fn a_node_that_is_not_heard_in_one_direction_is_unknown_there_and_heard_by_others() {
    for gives_up_after in [None, Some(Duration::from_secs(2))] {
        for seed in seeds(5, 50) {
            let mut world = World::settled(4, seed);
            world.network.gives_up_after = gives_up_after;
            let cut = world.now;
            world.cut(0, 1);
            world.run(Duration::from_secs(30));
            let lost = world.since(cut).find(|entry| entry.by == 1 && entry.what == Recorded::NotHeard(0));
            let lost = lost.unwrap_or_else(|| panic!("seed {seed}: 1 still hears 0")).at.since(cut);
            assert!(lost < Duration::from_secs(4), "seed {seed}: {lost:?}");
            let others: Vec<_> = world.since(cut).filter(|e| e.by > 1).map(|e| e.what).collect();
            assert_eq!(others, [], "seed {seed}");
            let (zero, one) = (world.nodes[0].id, world.nodes[1].id);
            let view = world.nodes[1].daemon.as_ref().unwrap().view();
            let peer = &view.nodes[&zero];
            assert_eq!(peer.heard_by.len(), 2, "seed {seed}");
            let view_of_two = world.nodes[2].daemon.as_ref().unwrap().view();
            assert_eq!(view_of_two.says_it_hears(one, zero), Some(false), "seed {seed}");
            let since = view_of_two.nodes[&one].not_hearing[&zero].expect("since when");
            assert!(since.since(cut) <= lost + Duration::from_millis(2), "seed {seed}");
            // What node 0 says still arrives, through others.
            let said = peer.summary.as_ref().unwrap();
            assert!(
                world.now.since(said.received) < Duration::from_secs(15),
                "seed {seed}: {:?}",
                said.received
            );
            world.heal();
            world.time_until_well(Duration::from_secs(5));
        }
    }
}

/// A larger farm: most nodes get no beats of node 0. They notice when they ping it and it does not answer directly.
#[test]
fn a_node_that_is_not_heard_in_one_direction_is_noticed_when_it_is_pinged() {
    for seed in seeds(10, 100) {
        let mut world = World::settled(8, seed);
        world.network.gives_up_after = None;
        let cut = world.now;
        world.cut(0, 1);
        world.run(Duration::from_secs(20));
        // What node 0 asks does not arrive at node 1 either; it may miss an answer.
        let lost: Vec<_> = world.since(cut).filter(|e| e.by != 0).map(|e| (e.by, e.what)).collect();
        assert_eq!(lost, [(1, Recorded::NotHeard(0))], "seed {seed}");
        // Each member is pinged once in seven periods of half a second, in an order that changes.
        let after = world.since(cut).find(|e| e.by == 1).map(|e| e.at.since(cut));
        assert!(after < Some(Duration::from_secs(9)), "seed {seed}: {after:?}");
    }
}

/// A node that has no link with another one is not heard by it, and alive for SWIM through the others.
#[test]
fn a_link_that_cannot_be_made_makes_no_other_node_unknown() {
    for seed in seeds(5, 50) {
        let mut world = World::settled(5, seed);
        world.cut(0, 1);
        world.cut(1, 0);
        world.run(Duration::from_secs(10));
        let settled = world.now;
        world.run(Duration::from_secs(120));
        assert_eq!(world.since(settled).next().map(|entry| entry.what), None, "seed {seed}");
        assert!(matches!(world.hearing(0, 1), Hearing::NotHeard { .. }), "seed {seed}");
        assert_eq!(world.nodes[0].daemon.as_ref().unwrap().active_in_swim(), 4, "seed {seed}");
    }
}
