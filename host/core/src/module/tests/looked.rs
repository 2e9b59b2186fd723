//! After every stop the host checks whether the application has ended.

use std::time::Duration;

use crate::command::Command;
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure};
use crate::state::StateName;

use super::world::{World, run};
use crate::action::Action;
use crate::event::Event;
use crate::policy::{CommandPolicy, OnDown};
use crate::shutdown::{Shutdown, at_rest};

const RUNS: &str = "`start` still runs (pid 7)";

/// In the middle of a stop, by a plan that was requested, which does not end it.
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
        assert!(world.told("check whether the application has ended: failed: `start` still runs"));
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
    world.plan(vec![run("stop", OnFailure::Fail)]);
    world.step_ok();
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

/// An application in the background, started and stopped by commands that end, up; `store` is its
/// prerequisite.
fn in_the_background() -> World {
    let mut world = World::new().found("app").component("store", OnDown::Wait);
    world.keeps_nothing();
    world.load_up()
}

/// The plan to stop does nothing, there is none for a forced stop, and the application is still running.
fn stop_in_vain(world: &mut World) {
    world.lives_on(Some(RUNS));
    world.plan(Vec::new());
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(_))));
    world.no_plan("there is no `forced-stop` command");
    world.step_failed(RUNS);
}

#[test]
fn an_application_in_the_background_that_ends_slowly_waits_for_its_prerequisite_all_the_same() {
    let mut world = in_the_background();
    world.see("store", Status::Fail);
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, Some(Occasion::Stop)));
    stop_in_vain(&mut world);
    assert_eq!(world.state(), StateName::Waiting);
    assert!(world.told("cannot be stopped") || world.told("still runs (pid 7)"), "it is on record");
    // It has ended by the time that the prerequisite is back.
    world.see("app", Status::Fail);
    world.see("store", Status::Pass);
    world.see("app", Status::Fail);
    assert_eq!((world.state(), world.occasion()), (StateName::Starting, Some(Occasion::Start)));
}

#[test]
fn one_that_still_runs_when_its_prerequisite_is_back_is_not_started_twice() {
    let mut world = in_the_background();
    world.see("store", Status::Fail);
    stop_in_vain(&mut world);
    world.see("store", Status::Pass);
    world.all_pass();
    world.all_pass();
    assert_eq!((world.state(), world.occasion()), (StateName::Up, None));
}

#[test]
fn what_a_failed_start_leaves_in_the_background_is_looked_at_before_the_next_try() {
    for ended in [true, false] {
        let mut world = in_the_background();
        world.see("app", Status::Fail);
        world.see("store", Status::Pass);
        assert!(matches!(world.occasion(), Some(Occasion::Incident(_))));
        world.no_plan("it does not know how");
        assert_eq!((world.state(), world.occasion()), (StateName::Backoff, Some(Occasion::Stop)));
        stop_in_vain(&mut world);
        assert_eq!(world.state(), StateName::Backoff, "the budget is not spent");
        world.see("app", if ended { Status::Fail } else { Status::Pass });
        let due = world.next_deadline().expect("a next try");
        world.pass_time(due.since(world.now()));
        assert_eq!(world.state(), StateName::Starting);
        if ended {
            assert_eq!(world.occasion(), Some(Occasion::Start));
        } else {
            world.all_pass();
            world.all_pass();
            assert_eq!((world.state(), world.occasion()), (StateName::Up, None));
        }
    }
}

#[test]
fn one_that_cannot_be_stopped_with_the_daemon_is_left_to_the_next_one() {
    let mut world = in_the_background().draining_for(Duration::ZERO);
    world.tell(Event::Ending(Shutdown::Stop));
    stop_in_vain(&mut world);
    assert_eq!((world.state(), at_rest(&world.snapshot())), (StateName::Draining, true));
    assert!(world.view().reason.contains("still runs (pid 7)"), "{}", world.view().reason);
    world.lives_on(None);
    world.kill_daemon();
    assert_eq!(world.state(), StateName::Starting, "it looks how it is");
}

/// How long the host has to wait for the exits that the last plan has requested.
fn wait(world: &World) -> Duration {
    let mut looks = world.actions().iter().filter_map(|action| match action {
        Action::LookStopped { within, .. } => Some(*within),
        _ => None,
    });
    looks.next_back().expect("the host is asked to look")
}

#[test]
fn the_end_may_take_as_long_as_what_has_asked_for_it() {
    let seconds = Duration::from_secs;
    for (kept, stop, expected) in
        [(None, 1, 10), (None, 45, 45), (Some(5), 1, 10), (Some(90), 1, 90), (None, 100_000, 3600)]
    {
        let mut world = World::up().draining_for(Duration::ZERO);
        world.redefine(|policy| {
            let command = CommandPolicy { keep: kept.is_some(), timeout: seconds(kept.unwrap_or(1000)) };
            policy.commands = [("start".parse().unwrap(), command)].into();
        });
        world.command(Command::Stop);
        let mut step = run("stop", OnFailure::Fail);
        step.timeout = seconds(stop);
        world.plan(vec![step]);
        world.host_is_blind();
        world.step_ok();
        assert_eq!(wait(&world), seconds(expected), "{kept:?} {stop}");
        // The next daemon waits equally long.
        world.kill_daemon();
        assert_eq!(wait(&world), seconds(expected), "{kept:?} {stop}");
        world.pass_time(seconds(expected + 4));
        assert_eq!((world.state(), world.occasion()), (StateName::Stopping, None));
        world.pass_time(seconds(1));
        assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(_))));
    }
}

#[test]
fn what_nothing_has_told_to_end_is_not_waited_for_as_long() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.no_plan("it does not know how");
    assert_eq!((world.state(), world.occasion()), (StateName::Backoff, Some(Occasion::Stop)));
    world.host_is_blind();
    world.plan(Vec::new());
    assert_eq!(wait(&world), Duration::from_secs(2));
}
