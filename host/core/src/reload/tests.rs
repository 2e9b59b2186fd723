//! The stages of a file, from first to last, on virtual time.

use std::time::Duration;

use super::*;
use crate::event::DesiredState;
use crate::record::RecordKind;

mod laws;
mod out_of_order;
mod restarts;
mod world;
use self::world::*;

/// A world in which module `m` uses the components `b`, version 1 of which is active and has answered.
fn with_b() -> World {
    let mut world = World::new();
    world.drop_component("b", well(1));
    world.drop_module("m", uses(&["b"]));
    let mut world = world.begin();
    assert!(!world.reload.is_beginning());
    world.run_checkers();
    world
}

fn number(world: &World, component: &str) -> Option<u32> {
    world.components.get(&key(component)).map(|(component, _)| component.number)
}

fn count(world: &World, is: impl Fn(&RecordKind) -> bool) -> usize {
    world.journal.iter().filter(|kind| is(kind)).count()
}

fn is_quarantine(kind: &RecordKind) -> bool {
    matches!(kind, RecordKind::Quarantine { .. })
}

fn is_approval(kind: &RecordKind) -> bool {
    matches!(kind, RecordKind::Approval { .. })
}

#[test]
fn at_the_start_everything_becomes_active_that_is_there() {
    let mut world = World::new();
    world.drop_component("b", well(1));
    world.drop_module("m", uses(&["a", "b"]));
    world.drop_module("n", Says { mistaken: true, ..uses(&["a"]) });
    world.prompt = false;
    let mut world = world.begin();
    assert_eq!((world.tasks(), world.reload.is_beginning()), (3, true));
    while world.tasks() > 0 {
        world.finish(0);
    }
    assert!(!world.reload.is_beginning() && !world.reload.has_only_mistakes());
    assert_eq!((number(&world, "a"), number(&world, "b")), (Some(901), Some(1)));
    assert_eq!(world.modules.len(), 1);
    assert_eq!(world.says(&module("n")), "a mistake");
}

#[test]
fn the_start_does_not_wait_for_ever() {
    let mut world = World::new();
    world.drop_module("m", uses(&["a"]));
    world.prompt = false;
    let mut world = world.begin();
    world.pass(Duration::from_secs(19));
    assert!(world.reload.is_beginning());
    world.pass(Duration::from_secs(1));
    assert!(!world.reload.is_beginning());
    world.finish(0);
    assert_eq!(world.modules.len(), 1, "it comes when it comes");
}

#[test]
fn a_file_goes_all_the_way_from_the_first_look_to_the_end_of_probation() {
    let mut world = with_b();
    world.prompt = false;
    world.drop_component("b", well(2));
    // Looked at: it differs, and may still be being written.
    world.tell(Event::Hint);
    world.pass(looking::BREATH);
    assert_eq!(world.tasks(), 0);
    // Settled: the same in two scans.
    world.pass(looking::SETTLE);
    assert_eq!(world.tasks(), 1);
    // Loaded and decided: it is tried first.
    world.finish(0);
    assert_eq!((world.tasks(), number(&world, "b")), (1, Some(1)));
    // Tried: active, on probation. It stays after three runs.
    world.finish(0);
    assert_eq!(number(&world, "b"), Some(2));
    for on_probation in [true, true, true, false] {
        let active = &world.reload.components[&key("b")];
        assert_eq!(active.conduct.on_probation(), on_probation);
        world.run_checkers();
    }
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(2), 0));
}

#[test]
fn a_file_that_changes_again_begins_from_the_top_wherever_it_is() {
    for finished in 0..2 {
        let mut world = with_b();
        world.prompt = false;
        world.drop_component("b", well(2));
        world.settle();
        for _ in 0..finished {
            world.finish(0);
        }
        assert_eq!(world.tasks(), 1, "loading, or trying");
        world.drop_component("b", well(3));
        world.settle();
        assert_eq!(world.tasks(), 2);
        // The result for version 2 comes late, before or after that for version 3.
        world.finish(finished % 2);
        world.prompt = true;
        world.finish(0);
        assert_eq!(number(&world, "b"), Some(3));
        assert!(world.activated.iter().flatten().all(|it| it != "2"), "{:?}", world.activated);
    }
}

#[test]
fn a_version_that_breaks_in_its_trial_is_quarantined_and_tried_again_later_and_later() {
    let mut world = with_b();
    world.drop_component("b", Component { behaviour: Behaviour::Breaks, ..well(2) });
    world.settle();
    assert_eq!(number(&world, "b"), Some(1));
    assert_eq!(world.says(&checker("b")), "its trial run for checker `b` of module `m`: trapped");
    assert_eq!(count(&world, is_quarantine), 1);
    world.pass(Duration::from_secs(9));
    assert_eq!(count(&world, is_quarantine), 2, "after ten seconds");
    world.pass(Duration::from_secs(17));
    assert_eq!(count(&world, is_quarantine), 2);
    world.pass(Duration::from_secs(3));
    assert_eq!(count(&world, is_quarantine), 3, "after twenty more");
    // The next good version is not held back by it.
    world.drop_component("b", well(3));
    world.settle();
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(3), 0));
}

#[test]
fn a_version_that_relapses_is_rolled_back_with_the_file_it_came_with() {
    let mut world = with_b();
    let before = world.modules.clone();
    world.drop_component("b", Component { behaviour: Behaviour::BreaksLater, ..well(2) });
    world.drop_module("m", Says { config: 7, ..uses(&["b"]) });
    world.settle();
    assert_eq!(number(&world, "b"), Some(2));
    assert_eq!(world.activated.last(), Some(&vec!["2".to_owned(), "m".to_owned()]), "at one moment");
    assert_ne!(world.modules, before);
    world.run_checkers();
    assert_eq!((number(&world, "b"), &world.modules), (Some(1), &before));
    assert_eq!(world.activated.last(), Some(&vec!["1".to_owned(), "m".to_owned()]), "at one moment");
    assert_eq!(world.says(&checker("b")), "rolled back: checker `b` of module `m`: trapped");
    assert!(world.says(&module("m")).contains("changed together with checkers/b.wasm"), "{:?}", world.shown);
    // A better version is added, and the module's file with it.
    world.drop_component("b", well(3));
    world.settle();
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(3), 0));
    assert_eq!(world.modules["m"].says.config, 7);
}

/// Two components and the module that uses both, with versions 1 that have proved themselves; then version 2 of all three
/// comes at one moment, and that of `b` breaks in its second run.
fn with_both() -> (World, BTreeMap<ModuleName, Module>) {
    let mut world = World::new();
    world.drop_component("b", well(1));
    world.drop_component("c", Component { takes: Some(0), ..well(11) });
    world.drop_module("m", uses(&["b", "c"]));
    let mut world = world.begin();
    world.run_checkers();
    let before = world.modules.clone();
    world.drop_component("b", Component { behaviour: Behaviour::BreaksLater, ..well(2) });
    world.drop_component("c", Component { takes: Some(7), ..well(12) });
    world.drop_module("m", Says { config: 7, ..uses(&["b", "c"]) });
    world.settle();
    assert_eq!((number(&world, "b"), number(&world, "c")), (Some(2), Some(12)));
    assert_ne!(world.modules, before);
    (world, before)
}

#[test]
fn two_components_that_came_with_a_file_are_rolled_back_with_it() {
    let (mut world, before) = with_both();
    world.run_checkers();
    assert_eq!((number(&world, "b"), number(&world, "c")), (Some(1), Some(11)));
    assert_eq!(world.modules, before);
    let at_one_moment = ["1", "11", "m"].map(str::to_owned).to_vec();
    assert_eq!(world.activated.last(), Some(&at_one_moment));
    assert_eq!(world.says(&checker("b")), "rolled back: checker `b` of module `m`: trapped");
    for waits in [checker("c"), module("m")] {
        assert!(world.says(&waits).contains("changed together with checkers/b.wasm"), "{:?}", world.shown);
    }
    assert_eq!(count(&world, is_quarantine), 1, "the one that worked is not to blame");
    // A better version comes, and what waits for it comes with it.
    world.drop_component("b", well(3));
    world.settle();
    assert_eq!((number(&world, "b"), number(&world, "c"), world.shown.len()), (Some(3), Some(12), 0));
    assert_eq!(world.modules["m"].says.config, 7);
}

#[test]
fn a_component_that_is_newer_than_its_set_stays_when_that_is_rolled_back() {
    let (mut world, before) = with_both();
    world.drop_component("c", well(13));
    world.settle();
    assert_eq!(number(&world, "c"), Some(13));
    world.run_checkers();
    assert_eq!((number(&world, "b"), number(&world, "c")), (Some(1), Some(13)));
    assert_eq!(world.modules, before);
    assert!(!world.shown.contains_key(&checker("c")), "{:?}", world.shown);
}

#[test]
fn a_version_is_active_without_a_trial_where_the_one_before_did_not_answer_either() {
    let mut world = World::new();
    world.drop_component("b", Component { behaviour: Behaviour::Breaks, ..well(1) });
    world.drop_module("m", uses(&["b"]));
    let mut world = world.begin();
    world.run_checkers();
    world.drop_component("b", Component { behaviour: Behaviour::Breaks, ..well(2) });
    world.settle();
    world.run_checkers();
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(2), 0));
}

#[test]
fn a_component_that_takes_another_config_waits_for_the_modules_file() {
    let mut world = with_b();
    world.drop_component("b", Component { takes: Some(7), ..well(2) });
    world.settle();
    assert_eq!(number(&world, "b"), Some(1));
    assert!(world.says(&checker("b")).starts_with("waits: it does not accept the config of modules/m.toml"));
    world.drop_module("m", Says { config: 7, ..uses(&["b"]) });
    world.settle();
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(2), 0));
}

#[test]
fn a_version_that_asks_for_more_waits_for_a_person_or_for_a_grant() {
    let asking = |number| Component { asks: true, ..well(number) };
    let mut world = with_b();
    world.drop_component("b", asking(2));
    world.settle();
    assert_eq!(number(&world, "b"), Some(1));
    assert!(world.says(&checker("b")).starts_with("waits for approval: it requests processes"));
    world.disk_is_full = true;
    world.approve("b");
    assert_eq!(world.answers.pop(), Some(Err(NotApproved::NotWritten("full".to_owned()))));
    world.settle();
    assert_eq!(number(&world, "b"), Some(1), "an approval that would be forgotten is none");
    world.disk_is_full = false;
    world.approve("checkers/b.wasm");
    assert_eq!(world.answers.pop().unwrap().unwrap().what, "checkers/b.wasm");
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(2), 0));
    assert_eq!(count(&world, is_approval), 2, "that it waits, and that it was approved");
    // The next version requests the same.
    world.drop_component("b", asking(3));
    world.settle();
    assert_eq!(number(&world, "b"), Some(3));
    // Or the module grants it.
    let mut world = with_b();
    world.drop_component("b", asking(2));
    world.settle();
    world.drop_module("m", Says { grants: true, ..uses(&["b"]) });
    world.settle();
    assert_eq!((number(&world, "b"), world.shown.len()), (Some(2), 0));
}

#[test]
fn at_the_start_a_module_does_not_wait_for_a_version_that_waits_for_approval() {
    let mut approvals = Approvals::default();
    approvals.activated("checkers/a.wasm", &[]);
    let mut world = World::new();
    world.know(approvals);
    world.drop_component("a", Component { asks: true, ..well(2) });
    world.drop_module("m", uses(&["a"]));
    let world = world.begin();
    assert!(!world.reload.is_beginning());
    assert_eq!((number(&world, "a"), world.modules.len()), (Some(901), 1));
    assert!(world.says(&checker("a")).starts_with("waits for approval"));
}

#[test]
fn a_module_that_is_renamed_keeps_what_people_want_of_it() {
    let stopped = DesiredState { started: false, ..DesiredState::default() };
    for (says, expected) in [(uses(&["b"]), Some(stopped)), (Says { config: 1, ..uses(&["b"]) }, None)] {
        let mut world = with_b();
        world.drop_module("other", uses(&["a"]));
        world.settle();
        world.desired = Some(stopped);
        world.delete(&module("m"));
        world.drop_module("renamed", says);
        world.settle();
        let (name, first, desired) = world.introduced.last().unwrap();
        assert_eq!((name.as_str(), *first, *desired), ("renamed", true, expected));
        assert!(world.reload.is_gone(&ModuleName::new("m").unwrap()));
    }
}

#[test]
fn a_component_whose_file_is_removed_gives_way_to_the_standard_one_or_to_none() {
    let mut world = with_b();
    world.drop_component("a", well(2));
    world.settle();
    assert_eq!(number(&world, "a"), Some(2));
    for name in ["a", "b"] {
        world.delete(&checker(name));
        world.settle();
    }
    assert_eq!((number(&world, "a"), number(&world, "b")), (Some(901), None));
    world.drop_component("b", well(1));
    world.settle();
    assert_eq!(number(&world, "b"), Some(1));
}

#[test]
fn modules_that_vanish_all_at_once_stay_active_until_a_person_confirms_it() {
    let mut world = with_b();
    world.drop_module("n", uses(&["a"]));
    world.settle();
    for name in ["m", "n"] {
        world.delete(&module(name));
    }
    world.drop_module("new", uses(&["a"]));
    world.settle();
    assert_eq!(world.modules.keys().map(ModuleName::as_str).collect::<Vec<_>>(), ["m", "n"]);
    assert!(
        world.problems[0].starts_with("2 files disappeared from modules/ at once"),
        "{:?}",
        world.problems
    );
    assert!(world.problems[1].ends_with("with other names: modules/new.toml"), "{:?}", world.problems);
    world.tell(Event::LookNow { rescan: Duration::from_secs(5), trust_changed: false });
    assert_eq!(world.modules.keys().map(ModuleName::as_str).collect::<Vec<_>>(), ["new"]);
    assert_eq!(world.problems, Vec::<String>::new());
}

#[test]
fn everything_is_read_again_when_other_signatures_are_trusted() {
    let mut world = with_b();
    world.drop_component("b", Component { behaviour: Behaviour::Garbage, ..well(2) });
    world.settle();
    world.prompt = false;
    for (trust_changed, tasks) in [(false, 0), (true, 1)] {
        world.tell(Event::LookNow { rescan: Duration::from_secs(5), trust_changed });
        assert_eq!(world.tasks(), tasks);
    }
}
