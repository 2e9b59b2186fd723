//! What a daemon finds that starts after another one.

use super::*;

/// What has become of the file while no daemon ran, or before.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    ModuleMistaken,
    ComponentGarbage,
    ComponentAsks,
    ComponentDoesNotFit,
    Both,
}

fn asking(number: u32) -> Component {
    Component { asks: true, ..well(number) }
}

fn garbage(number: u32) -> Component {
    Component { behaviour: Behaviour::Garbage, ..well(number) }
}

fn mistaken() -> Says {
    Says { mistaken: true, ..uses(&["b"]) }
}

fn change(world: &mut World, change: Change) {
    match change {
        Change::ModuleMistaken => world.drop_module("m", mistaken()),
        Change::ComponentGarbage => world.drop_component("b", garbage(2)),
        Change::ComponentAsks => world.drop_component("b", asking(2)),
        Change::ComponentDoesNotFit => world.drop_component("b", Component { takes: Some(9), ..well(2) }),
        Change::Both => {
            world.drop_module("m", mistaken());
            world.drop_component("b", garbage(2));
        }
    }
}

const CHANGES: [Change; 5] = [
    Change::ModuleMistaken,
    Change::ComponentGarbage,
    Change::ComponentAsks,
    Change::ComponentDoesNotFit,
    Change::Both,
];

fn restarted(world: World) -> World {
    let world = world.killed().begin();
    assert!(!world.reload.is_beginning());
    world
}

#[test]
fn a_module_outlives_the_daemon_whatever_has_become_of_its_files() {
    for while_running in [true, false] {
        for change_to in CHANGES {
            let mut world = with_b();
            let world = if while_running {
                change(&mut world, change_to);
                world.settle();
                restarted(world)
            } else {
                let mut world = world.killed();
                change(&mut world, change_to);
                let world = world.begin();
                assert!(!world.reload.is_beginning());
                world
            };
            let what = format!("{change_to:?} {while_running}");
            assert_eq!(number(&world, "b"), Some(1), "{what}");
            assert_eq!(world.modules.get("m").map(|it| &it.says), Some(&uses(&["b"])), "{what}");
            assert_eq!(world.introduced.len(), 1, "{what}: {:?}", world.introduced);
            assert!(!world.reload.has_only_mistakes());
            for file in world.shown.keys() {
                assert!(matches!(world.in_place.get(file), Some(InPlace::Restored(_))), "{what}: {file}");
            }
            let files = if change_to == Change::Both { 2 } else { 1 };
            assert_eq!(world.shown.len(), files, "{what}");
            // And the one after that.
            let mut world = restarted(restarted(world));
            assert_eq!((number(&world, "b"), world.modules.len()), (Some(1), 1), "{what}");
            // Good files become active as usual, and nothing remains of it.
            world.drop_component("b", well(3));
            world.drop_module("m", Says { config: 1, ..uses(&["b"]) });
            world.settle();
            assert_eq!((number(&world, "b"), world.modules["m"].says.config), (Some(3), 1), "{what}");
            assert_eq!((world.shown.len(), world.in_place.len()), (0, 0), "{what}");
            assert_eq!(world.store.last_good.of(&checker("b")).map(|it| &*it.digest), Some("3"), "{what}");
        }
    }
}

#[test]
fn a_file_that_was_removed_while_no_daemon_ran_is_removed() {
    for (file, modules, active) in [(module("m"), 0, Some(1)), (checker("b"), 0, None)] {
        let mut world = with_b().killed();
        world.delete(&file);
        let mut world = world.begin();
        assert_eq!((world.modules.len(), number(&world, "b")), (modules, active), "{file}");
        // A file of that name is a new one, and its mistakes are its own.
        match file.folder {
            Folder::Modules => world.drop_module("m", mistaken()),
            _ => world.drop_component("b", garbage(2)),
        }
        world.settle();
        let world = restarted(world);
        assert_eq!(world.modules.len(), 0, "{file}");
        assert_eq!(world.in_place.len(), 0, "{file}");
    }
}

#[test]
fn a_good_file_that_was_edited_while_no_daemon_ran_is_the_only_one_that_is_ever_active() {
    let mut world = with_b().killed();
    let edited = Says { config: 1, ..uses(&["b"]) };
    world.drop_module("m", edited.clone());
    world.drop_component("b", Component { takes: Some(1), ..well(2) });
    let world = world.begin();
    assert_eq!((world.modules["m"].says.clone(), number(&world, "b")), (edited, Some(2)));
    assert_eq!((world.introduced.len(), world.shown.len()), (1, 0));
    assert!(world.activated.iter().flatten().all(|it| it != "1"), "{:?}", world.activated);
}

#[test]
fn a_stored_version_takes_the_place_of_the_built_in_one_and_gives_it_back() {
    let mut world = World::new();
    world.drop_component("a", well(1));
    world.drop_module("m", uses(&["a"]));
    let mut world = world.begin();
    world.drop_component("a", asking(2));
    world.settle();
    let mut world = restarted(world);
    assert_eq!((number(&world, "a"), world.modules.len()), (Some(1), 1));
    assert!(world.activated.iter().all(|set| *set != ["901", "m"]), "{:?}", world.activated);
    world.approve("a");
    assert_eq!(number(&world, "a"), Some(2));
    let mut world = restarted(world);
    assert_eq!(number(&world, "a"), Some(2));
    world.delete(&checker("a"));
    world.settle();
    assert_eq!((number(&world, "a"), world.store.last_good.of(&checker("a"))), (Some(901), None));
}

#[test]
fn a_version_on_probation_is_stored_with_the_one_to_come_back_to() {
    let mut world = with_b();
    let good = |world: &World| {
        let good = world.store.last_good.of(&checker("b")).unwrap();
        (good.digest.clone(), good.before.clone())
    };
    world.drop_component("b", Component { behaviour: Behaviour::BreaksLater, ..well(2) });
    world.settle();
    assert_eq!(good(&world), ("2".to_owned(), Some("1".to_owned())));
    world.run_checkers();
    assert_eq!((number(&world, "b"), good(&world)), (Some(1), ("1".to_owned(), None)));
    // The file on disk is version 2, which is in quarantine.
    let mut world = restarted(world);
    assert_eq!((number(&world, "b"), world.modules.len()), (Some(1), 1));
    assert!(world.says(&checker("b")).starts_with("rolled back"), "{:?}", world.shown);
    // Version 3 proves itself.
    world.run_checkers();
    world.drop_component("b", well(3));
    world.settle();
    assert_eq!(good(&world), ("3".to_owned(), Some("1".to_owned())));
    for _ in 0..3 {
        world.run_checkers();
    }
    assert_eq!(good(&world), ("3".to_owned(), None));
}

#[test]
fn a_quarantined_version_is_not_tried_again_at_once_by_the_next_daemon() {
    let mut world = with_b();
    world.drop_component("b", Component { behaviour: Behaviour::Breaks, ..well(2) });
    world.settle();
    world.pass(Duration::from_secs(10));
    assert_eq!(count(&world, is_quarantine), 2);
    let mut world = restarted(world);
    world.run_checkers();
    // 20 s after the second attempt, of which some have passed.
    world.pass(Duration::from_secs(5));
    assert_eq!((count(&world, is_quarantine), number(&world, "b")), (0, Some(1)));
    world.pass(Duration::from_secs(20));
    assert_eq!(count(&world, is_quarantine), 1);
    assert!(
        matches!(
            world.journal.iter().find(|kind| is_quarantine(kind)),
            Some(RecordKind::Quarantine { tries: 3, .. })
        ),
        "{:?}",
        world.journal
    );
    // Another version is tried immediately.
    let mut world = restarted(world);
    world.drop_component("b", well(3));
    world.settle();
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(3), 0));
}

#[test]
fn a_disk_that_is_full_costs_nothing_but_the_newest_promise() {
    let mut world = with_b();
    world.disk_is_full = true;
    world.drop_component("b", well(2));
    world.settle();
    assert_eq!(number(&world, "b"), Some(2));
    world.drop_component("b", garbage(3));
    world.settle();
    assert_eq!(number(&world, "b"), Some(2));
    let world = restarted(world);
    assert_eq!(
        (number(&world, "b"), world.modules.len()),
        (Some(1), 1),
        "the version that was stored before"
    );
}

#[test]
fn a_stored_version_that_cannot_be_used_is_shown_beside_the_mistake() {
    let mut world = with_b().killed();
    world.drop_component("b", garbage(2));
    world.prompt = false;
    let mut world = world.begin();
    while world.tasks() > 0 && world.reload.is_beginning() {
        if !world.finish_restoring(Refusal::Unsuitable("not signed".to_owned())) {
            world.finish(0);
        }
    }
    assert_eq!((number(&world, "b"), world.modules.len()), (None, 0));
    assert_eq!(world.in_place.get(&checker("b")), Some(&InPlace::Unusable("not signed".to_owned())));
    // It stays stored: with other settings it may be usable.
    assert_eq!(world.store.last_good.of(&checker("b")).map(|it| &*it.digest), Some("1"));
    world.prompt = true;
    world.tell(Event::LookNow { rescan: Duration::from_secs(5), trust_changed: true });
    world.settle();
    assert_eq!((number(&world, "b"), world.modules.len()), (Some(1), 1));
}

#[test]
fn the_start_ends_although_a_stored_version_is_never_loaded() {
    let mut world = with_b().killed();
    world.drop_module("m", mistaken());
    world.prompt = false;
    let mut world = world.begin();
    world.finish(0);
    world.finish(0);
    assert!(world.reload.is_beginning() && world.tasks() > 0);
    world.pass(Duration::from_secs(20));
    assert!(!world.reload.is_beginning());
    while world.tasks() > 0 {
        world.finish(0);
    }
    assert_eq!(world.modules.len(), 1, "it comes when it comes");
}

#[test]
fn a_component_waits_for_a_stored_module_that_it_does_not_fit_as_it_would_have_before() {
    let mut world = with_b();
    world.drop_module("n", uses(&["b"]));
    world.settle();
    let mut world = world.killed();
    world.drop_module("m", Says { mistaken: true, ..uses(&["b"]) });
    world.drop_module("n", Says { config: 1, ..uses(&["b"]) });
    world.drop_component("b", Component { takes: Some(1), ..well(2) });
    let world = world.begin();
    assert_eq!((number(&world, "b"), world.modules.len()), (Some(1), 2));
    assert!(
        world.says(&checker("b")).contains("does not accept the config of modules/m.toml"),
        "{:?}",
        world.shown
    );
}

#[test]
fn a_stored_version_that_asks_for_more_than_the_last_one_needs_an_approval_again() {
    for file_is_back in [true, false] {
        let mut world = World::new();
        world.drop_component("b", asking(1));
        world.drop_module("m", uses(&["b"]));
        let mut world = world.begin();
        // The next version asks for nothing, and cannot be stored.
        world.disk_is_full = true;
        world.drop_component("b", well(2));
        world.settle();
        assert_eq!(number(&world, "b"), Some(2));
        world.drop_component("b", if file_is_back { asking(1) } else { garbage(3) });
        world.settle();
        let mut world = restarted(world);
        assert_eq!((number(&world, "b"), world.modules.len()), (None, 0), "{:?}", world.shown);
        if file_is_back {
            world.approve("b");
            assert_eq!((number(&world, "b"), world.modules.len()), (Some(1), 1));
        }
    }
}

#[test]
fn what_no_longer_fits_does_not_hide_what_a_new_version_is_granted() {
    let mut world = World::new();
    world.drop_component("c", well(1));
    world.prompt = false;
    let mut world = world.begin();
    world.drop_module("n", uses(&["c"]));
    world.pass(Duration::from_secs(26));
    // Version 1 becomes active at the moment at which it is replaced, and is not stored.
    world.drop_module("n", uses(&["a", "c"]));
    world.drop_component("c", asking(2));
    world.finish(0);
    world.finish(0);
    world.drop_component("a", well(3));
    world.prompt = true;
    while world.tasks() > 0 {
        world.finish(0);
    }
    world.settle();
    assert_eq!(number(&world, "c"), Some(1));
    let mut world = restarted(world);
    assert!(world.says(&checker("c")).starts_with("waits for approval"), "{:?}", world.shown);
    assert_eq!((number(&world, "c"), world.modules.len()), (None, 0));
    world.approve("c");
    assert_eq!((number(&world, "c"), world.modules.len(), world.shown.len()), (Some(2), 1, 0));
}
