//! After every stop the host looks whether the application has ended.

use std::time::Duration;

use crate::command::Command;
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure};
use crate::state::StateName;

use super::world::{World, run};

const RUNS: &str = "`start` still runs (pid 7)";

/// Being stopped, by a plan that has been asked for, and does not end of it.
fn stopping() -> World {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.lives_on(Some(RUNS));
    world.command(Command::Stop);
    assert_eq!(world.occasion(), Some(Occasion::Stop));
    world
}

#[test]
fn a_plan_that_stops_nothing_is_followed_by_a_forced_stop() {
    let step = run("stop", OnFailure::GoOn);
    for steps in [Vec::new(), vec![step.clone()], vec![step.clone(), step]] {
        let mut world = stopping();
        let count = steps.len();
        world.plan(steps);
        for _ in 0..count {
            world.step_failed("exited with 1");
        }
        assert_eq!(world.state(), StateName::Stopping, "of {count} steps");
        let Some(Occasion::ForcedStop(Some(failure))) = world.occasion() else { panic!("no forced stop") };
        assert_eq!((failure.step, failure.reason.as_str()), (count, RUNS));
        assert!(world.told("look whether the application has ended: failed: `start` still runs"));
        world.lives_on(None);
        world.plan(vec![run("forced-stop", OnFailure::Fail)]);
        world.step_ok();
        assert_eq!(world.state(), StateName::Stopped);
    }
}

#[test]
fn a_forced_stop_that_stops_nothing_ends_in_sigkill_and_that_in_failed_if_need_be() {
    for killed in [true, false] {
        let mut world = stopping();
        world.plan(Vec::new());
        world.plan(Vec::new());
        assert!(world.killing(), "the host does it itself");
        if killed {
            world.step_ok();
            assert_eq!(world.state(), StateName::Stopped);
        } else {
            world.step_failed("it still runs (pid 8)");
            assert_eq!(world.state(), StateName::Failed);
            assert!(world.view().reason.contains("cannot be stopped: it still runs (pid 8)"));
        }
    }
}

#[test]
fn what_is_left_of_a_failed_start_is_looked_for_as_well() {
    let mut world = World::new().process("app").load();
    world.see("app", Status::Fail);
    world.no_plan("it does not know how");
    assert_eq!((world.state(), world.occasion()), (StateName::Backoff, Some(Occasion::Stop)));
    world.lives_on(Some(RUNS));
    world.plan(Vec::new());
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(_))));
}

#[test]
fn a_look_that_never_ends_is_given_up_and_taken_for_a_stop_that_failed() {
    let mut world = stopping();
    world.host_is_blind();
    world.plan(Vec::new());
    world.pass_time(Duration::from_secs(14));
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, None));
    world.pass_time(Duration::from_secs(1));
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(_))));
}

#[test]
fn a_daemon_that_is_killed_while_it_looks_looks_again() {
    let mut world = stopping();
    world.host_is_blind();
    world.plan(Vec::new());
    world.lives_on(Some(RUNS));
    world.kill_daemon();
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(_))));
}
