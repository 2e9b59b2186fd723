//! An application that changed while it was not monitored.

use std::time::Duration;

use crate::command::Command;
use crate::observation::Status;
use crate::plan::Occasion;
use crate::policy::OnDown;
use crate::record::RecordKind;
use crate::state::StateName;

use super::world::{World, keep};

/// The changes of state since the last daemon, and the incidents.
fn story(world: &World, from: usize) -> Vec<String> {
    let told = |kind: &RecordKind| match kind {
        RecordKind::State { from, to, .. } => Some(format!("{from} → {to}")),
        RecordKind::Incident { incident } => Some(format!("incident of {}", incident.checker)),
        _ => None,
    };
    world.records()[from..].iter().filter_map(|record| told(&record.kind)).collect()
}

#[test]
fn a_death_while_no_daemon_ran_is_an_incident_and_one_counted_restart() {
    let mut world = World::up();
    let before = world.records().len();
    world.kill_daemon();
    world.see("app", Status::Fail);
    assert!(matches!(world.occasion(), Some(Occasion::Incident(_))), "{}", world.view().reason);
    assert_eq!(world.memory().incidents.len(), 1, "restart scripts are told from here on");
    assert_eq!(world.view().restarts, 1);
    assert_eq!(story(&world, before), ["incident of app", "up → restarting"]);
    // The next daemon continues the restart, and counts nothing twice.
    world.kill_daemon();
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.all_pass();
    assert_eq!((world.state(), world.view().restarts), (StateName::Up, 1));
    assert_eq!(story(&world, before).iter().filter(|told| told.contains("incident")).count(), 1);
}

#[test]
fn one_that_is_found_again_and_of_which_too_little_is_known_settles_and_is_told_so() {
    let mut world = World::up();
    let before = world.records().len();
    world.kill_daemon();
    assert_eq!(story(&world, before), [""; 0], "a look alone is no news");
    world.see_process("app", 4711, Duration::from_secs(3 * 3600));
    assert!(
        world.told("up → starting: found again (pid 4711, running for 3h)"),
        "{:?}",
        story(&world, before)
    );
    world.all_pass();
    assert_eq!(story(&world, before), ["up → starting", "starting → up"]);
    assert_eq!((world.view().restarts, world.occasion()), (0, None));
    assert!(!world.records()[before..].iter().any(|r| r.kind.sentence().contains("the module was loaded")));
}

#[test]
fn a_daemon_that_is_killed_while_it_looks_changes_nothing() {
    let mut world = World::up();
    let before = world.records().len();
    for _ in 0..5 {
        world.kill_daemon();
    }
    world.see("app", Status::Fail);
    assert_eq!(story(&world, before), ["incident of app", "up → restarting"]);
    assert_eq!(world.view().restarts, 1);
}

#[test]
fn what_was_not_up_or_was_ended_is_started_and_not_counted() {
    type Case = fn(&mut World);
    let stopped: Case = |world| {
        world.command(Command::Stop);
        world.pass_time(Duration::from_secs(15));
        world.plan(Vec::new());
        world.command(Command::Start);
    };
    let reboot: Case = World::reboot;
    let seen_before: Case = |world| {
        world.command(Command::Suspend);
        world.see("app", Status::Fail);
        world.kill_daemon();
        world.command(Command::Resume);
    };
    let cases: [(&str, Case); 3] = [("stopped", stopped), ("rebooted", reboot), ("seen before", seen_before)];
    for (what, case) in cases {
        let mut world = World::up();
        case(&mut world);
        if what == "stopped" {
            world.kill_daemon();
        }
        let before = world.records().len();
        world.see("app", Status::Fail);
        assert_eq!(world.occasion(), Some(Occasion::Start), "{what}");
        assert_eq!(world.view().restarts, 0, "{what}");
        assert!(!story(&world, before).iter().any(|told| told.contains("incident")), "{what}");
    }
}

#[test]
fn what_the_checker_is_for_is_done() {
    let with = |on_down| {
        let mut world = World::up();
        world.redefine(|policy| policy.checkers.get_mut("app").unwrap().on_down = on_down);
        world.see("app", Status::Pass);
        world.kill_daemon();
        world.see("app", Status::Fail);
        world
    };
    assert_eq!(with(OnDown::Stop).state(), StateName::Stopping);
    let out = with(OnDown::Out);
    assert_eq!((out.occasion(), out.view().restarts), (Some(Occasion::Start), 0));
    assert!(out.told("incident: checker `app` is down"));
}

#[test]
fn one_that_died_with_its_prerequisite_waits_for_it() {
    let mut world = World::new().process("app").component("database", OnDown::Wait).load_up();
    world.kill_daemon();
    world.see("app", Status::Fail);
    world.see("database", Status::Fail);
    assert_eq!((world.state(), world.view().restarts), (StateName::Waiting, 0));
    assert!(world.told("incident: checker `app` is down"));
}

#[test]
fn a_look_that_cannot_tell_is_no_death() {
    let mut world = World::up();
    world.kill_daemon();
    world.see("app", Status::Unknown);
    world.pass_time(Duration::from_secs(10));
    assert_eq!((world.occasion(), world.view().restarts), (Some(Occasion::Start), 0));
    assert!(!world.told("incident"));
}

#[test]
fn a_file_that_was_away_finds_its_application_again_or_starts_it() {
    for status in [Status::Pass, Status::Fail] {
        let mut world = World::up();
        let before = world.records().len();
        world.remove();
        world.redefine(|_| ());
        world.see("app", status);
        let told = story(&world, before);
        assert_eq!(told, ["up → starting"], "{status}");
        let expected = (status == Status::Fail).then_some(Occasion::Start);
        assert_eq!(
            (world.occasion(), world.view().restarts),
            (expected, 0),
            "people look after it meanwhile"
        );
    }
}
