//! Checkers that are added or changed while the application is serving.

use std::time::Duration;

use crate::command::{Command, CommandOutcome};
use crate::observation::Status;
use crate::plan::Occasion;
use crate::policy::{CheckerKind, OnDown};
use crate::snapshot::CheckerView;
use crate::state::StateName;
use crate::verdict::Verdict;

use super::world::{World, keep};

const GATING: [OnDown; 4] = [OnDown::Restart, OnDown::Stop, OnDown::Wait, OnDown::Out];

fn add(world: &mut World, name: &str, on_down: OnDown, kind: CheckerKind) {
    world.redefine(|policy| {
        let mut added = policy.checkers["app"].clone();
        (added.on_down, added.kind, added.kept) = (on_down, kind, kind == CheckerKind::Process);
        added.definition = 77;
        policy.checkers.insert(name.parse().unwrap(), added);
    });
}

/// From now on `page` observes something else.
fn change(world: &mut World) {
    world.redefine(|policy| policy.checkers.get_mut("page").unwrap().definition += 1);
}

fn checker(world: &World, name: &str) -> CheckerView {
    world.view().checkers.into_iter().find(|checker| checker.name.as_str() == name).unwrap()
}

/// It fails far more often than its thresholds require.
fn fails(world: &mut World, name: &str) {
    for _ in 0..10 {
        world.see(name, Status::Fail);
        world.pass_time(Duration::from_secs(5));
    }
}

fn serves(world: &World) {
    assert_eq!((world.state(), world.ready()), (StateName::Up, true), "{}", world.view().reason);
    assert_eq!((world.occasion(), world.view().restarts), (None, 0));
}

#[test]
fn what_is_added_to_an_application_that_serves_and_was_never_up_takes_nothing_down() {
    for kind in [CheckerKind::Component, CheckerKind::Process] {
        for on_down in GATING {
            let mut world = World::up();
            add(&mut world, "extra", on_down, kind);
            assert!(checker(&world, "extra").on_probation, "{on_down:?}");
            fails(&mut world, "extra");
            serves(&world);
            let seen = checker(&world, "extra");
            assert!(seen.on_probation && seen.verdict != Verdict::Down, "{on_down:?}: {seen:?}");
            assert!(world.view().reason.contains("`extra` is on probation: has not been up yet"));
            let told = world
                .records()
                .iter()
                .filter(|record| record.kind.sentence().contains("this would take the module down"));
            assert_eq!(told.count(), 1, "told once: {on_down:?}");
        }
    }
}

#[test]
fn once_it_was_up_it_acts_like_any_other() {
    let mut world = World::up();
    add(&mut world, "extra", OnDown::Restart, CheckerKind::Component);
    fails(&mut world, "extra");
    world.see("extra", Status::Pass);
    assert!(!checker(&world, "extra").on_probation);
    assert!(world.told("act on checker `extra` from now on"));
    world.see("extra", Status::Fail);
    assert!(matches!(world.occasion(), Some(Occasion::Incident(_))), "{}", world.view().reason);
}

#[test]
fn a_probation_takes_as_many_good_runs_in_a_row_as_a_verdict() {
    let mut world = World::up();
    world.redefine(|policy| policy.checkers.get_mut("page").unwrap().thresholds.rise = 3);
    change(&mut world);
    for seen in [Status::Pass, Status::Pass, Status::Unknown, Status::Pass, Status::Warn] {
        world.see("page", seen);
        assert!(checker(&world, "page").on_probation);
    }
    world.see("page", Status::Pass);
    assert!(!checker(&world, "page").on_probation);
}

#[test]
fn what_is_changed_is_on_probation_and_the_node_stays_where_it_was() {
    let mut world = World::up();
    change(&mut world);
    fails(&mut world, "page");
    serves(&world);
    // Corrected, and then wrong again: the probation continues.
    change(&mut world);
    fails(&mut world, "page");
    serves(&world);
    change(&mut world);
    world.see("page", Status::Pass);
    assert!(!checker(&world, "page").on_probation);
    serves(&world);
}

#[test]
fn an_application_that_only_a_changed_checker_looks_at_serves_as_before() {
    let mut world = World::new().component("page", OnDown::Restart).load_up();
    change(&mut world);
    fails(&mut world, "page");
    serves(&world);
    // Results from before the edit are worthless for another application.
    world.command(Command::Restart);
    world.pass_time(Duration::from_secs(15));
    world.plan(vec![keep("start")]);
    world.step_ok();
    fails(&mut world, "page");
    assert!(!world.ready(), "{}", world.view().reason);
    assert_eq!(world.occasion(), None, "and nothing is done about it");
    world.see("page", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
}

#[test]
fn thresholds_are_no_edit_and_what_follows_is_one() {
    for (edit, probation) in [(0, false), (1, true), (2, true), (3, false)] {
        let mut world = World::up();
        world.redefine(|policy| {
            let page = policy.checkers.get_mut("page").unwrap();
            match edit {
                0 => (page.thresholds.fall, page.thresholds.rise) = (5, 2),
                1 => page.on_down = OnDown::Stop,
                2 => page.thresholds.unknown_is_fail = true,
                _ => page.on_down = OnDown::Notify,
            }
        });
        assert_eq!(checker(&world, "page").on_probation, probation, "{edit}");
    }
    // One that only notifies does no harm, and its results are reported.
    let mut world = World::up();
    add(&mut world, "disk", OnDown::Notify, CheckerKind::Component);
    world.see("disk", Status::Fail);
    assert_eq!(checker(&world, "disk").verdict, Verdict::Down);
}

#[test]
fn a_person_confirms_it() {
    let mut world = World::up();
    assert!(matches!(world.command(Command::Confirm), CommandOutcome::AlreadySo(_)));
    add(&mut world, "extra", OnDown::Restart, CheckerKind::Component);
    fails(&mut world, "extra");
    assert!(matches!(world.command(Command::Confirm), CommandOutcome::Accepted(_)));
    assert!(!checker(&world, "extra").on_probation);
    serves(&world);
    let watch = world.actions().iter().any(|action| {
        matches!(action, crate::action::Action::Watch { checker, eager: true, .. } if checker.as_str() == "extra")
    });
    assert!(watch, "it is run at once");
    world.see("extra", Status::Fail);
    assert!(world.occasion().is_some(), "{}", world.view().reason);
}

#[test]
fn the_end_of_a_kept_process_is_no_mistake_of_the_file() {
    let mut world = World::up();
    world.redefine(|policy| policy.checkers.get_mut("app").unwrap().definition += 1);
    assert!(checker(&world, "app").on_probation);
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), None, "never started says nothing");
    world.see_end("app");
    assert!(matches!(world.occasion(), Some(Occasion::Incident(_))), "{}", world.view().reason);
}

#[test]
fn a_checker_that_is_added_to_what_does_not_serve_is_judged_by_the_start() {
    let mut world = World::new().process("app").load();
    add(&mut world, "page", OnDown::Restart, CheckerKind::Component);
    assert!(!checker(&world, "page").on_probation);
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("app", Status::Pass);
    world.see("page", Status::Fail);
    assert_eq!(world.state(), StateName::Starting);
    assert!(!world.ready());
}

#[test]
fn what_restarts_for_another_reason_comes_up_without_the_one_on_probation() {
    for on_down in GATING {
        let mut world = World::up();
        add(&mut world, "extra", on_down, CheckerKind::Component);
        world.see("extra", Status::Fail);
        world.see_end("app");
        assert!(matches!(world.occasion(), Some(Occasion::Incident(_))), "{on_down:?}");
        world.plan(vec![keep("start")]);
        world.step_ok();
        world.see("app", Status::Pass);
        world.see("page", Status::Pass);
        world.see("extra", Status::Fail);
        assert_eq!(
            (world.state(), world.ready()),
            (StateName::Up, true),
            "{on_down:?} {}",
            world.view().reason
        );
        assert!(checker(&world, "extra").on_probation);
    }
}

#[test]
fn a_probation_outlives_the_daemon_and_so_does_its_end() {
    let mut world = World::up();
    add(&mut world, "extra", OnDown::Restart, CheckerKind::Component);
    fails(&mut world, "extra");
    for _ in 0..3 {
        world.kill_daemon();
        assert!(checker(&world, "extra").on_probation);
        world.see("app", Status::Pass);
        for _ in 0..3 {
            world.see("app", Status::Pass);
            world.see("page", Status::Pass);
            world.see("extra", Status::Fail);
        }
        serves(&world);
    }
    world.see("extra", Status::Pass);
    world.kill_daemon();
    assert!(!checker(&world, "extra").on_probation);
}

#[test]
fn an_edit_that_was_made_while_no_daemon_ran_is_an_edit() {
    for added in [true, false] {
        let mut world = World::up();
        world.stop_daemon();
        if added {
            add(&mut world, "extra", OnDown::Restart, CheckerKind::Component);
        } else {
            change(&mut world);
        }
        let name = if added { "extra" } else { "page" };
        assert!(checker(&world, name).on_probation, "{added}");
        world.see("app", Status::Pass);
        for _ in 0..5 {
            world.see("app", Status::Pass);
            if added {
                world.see("page", Status::Pass);
            }
            world.see(name, Status::Fail);
            world.pass_time(Duration::from_secs(5));
        }
        serves(&world);
    }
}

#[test]
fn an_earlier_daemon_that_wrote_nothing_down_puts_nothing_on_probation() {
    let memory: crate::memory::ModuleMemory =
        serde_json::from_str(r#"{ "wish": { "started": true, "suspended": false }, "serves": true }"#)
            .unwrap();
    let world = World::new().process("app").component("page", OnDown::Restart).remembering(memory).load();
    assert!(world.view().checkers.iter().all(|checker| !checker.on_probation));
}

#[test]
fn a_run_that_says_the_same_is_no_repetition_while_it_may_end_a_probation() {
    let mut world = World::up();
    for _ in 0..10 {
        world.see("page", Status::Pass);
    }
    world.redefine(|policy| policy.checkers.get_mut("page").unwrap().on_down = OnDown::Out);
    assert!(checker(&world, "page").on_probation);
    world.see("page", Status::Pass);
    assert!(!checker(&world, "page").on_probation, "the watch is the same, and so is what it says");
}
