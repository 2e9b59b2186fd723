//! The module is stopped: by a person, after a drain, and by force where nothing else helps.

use std::time::Duration;

use super::world::{World, run, step};
use super::{SECOND, accepted};
use crate::action::Action;
use crate::command::Command;
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure, Signal, StepAction, Target};
use crate::state::StateName;

#[test]
fn a_stop_says_no_at_once_and_stops_only_after_the_drain() {
    let mut world = World::up();
    assert!(accepted(&world.command(Command::Stop)));
    assert_eq!((world.state(), world.ready()), (StateName::Draining, false));
    world.pass_time(SECOND * 14);
    assert_eq!(world.occasion(), None, "the application still serves");
    world.pass_time(SECOND);
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, Some(Occasion::Stop)));
    world.plan(vec![run("stop", OnFailure::Fail)]);
    world.step_ok();
    assert_eq!(world.state(), StateName::Stopped);
    assert!(!world.desired().started);
}

#[test]
fn a_stop_that_is_called_off_while_draining_leaves_the_application_alone() {
    let mut world = World::up();
    world.command(Command::Stop);
    assert!(accepted(&world.command(Command::Start)));
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    assert!(world.desired().started);
    assert_eq!(world.occasion(), None);
}

#[test]
fn a_stop_plan_that_fails_is_followed_by_a_forced_stop() {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.command(Command::Stop);
    world.plan(vec![run("stop", OnFailure::Fail)]);
    world.step_failed("exited with 1");
    let Some(Occasion::ForcedStop(Some(failure))) = world.occasion() else { panic!("not forced") };
    assert_eq!((failure.step, failure.reason.as_str()), (0, "run `stop` failed: exited with 1"));
    world.plan(vec![step(StepAction::Signal(Target::Command("start".parse().unwrap()), Signal::Kill))]);
    world.step_ok();
    assert_eq!(world.state(), StateName::Stopped);
}

#[test]
fn a_stop_plan_that_overruns_is_cancelled_and_followed_by_a_forced_stop() {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.command(Command::Stop);
    world.plan(vec![run("stop", OnFailure::Fail)]);
    let attempt = world.step_at_work().unwrap().0;
    world.pass_time(SECOND * 10);
    assert!(
        world
            .actions()
            .iter()
            .any(|a| matches!(a, Action::CancelStep { attempt: a, step: 0, .. } if *a == attempt)),
        "the step is given up"
    );
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(_))));
}

#[test]
fn without_any_plan_the_host_itself_ends_what_it_keeps() {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.command(Command::Stop);
    world.no_plan("the component was ended");
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(None))));
    world.no_plan("again");
    assert!(world.killing());
    world.step_ok();
    assert_eq!(world.state(), StateName::Stopped);
}

#[test]
fn an_application_that_cannot_be_stopped_asks_for_a_person() {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.command(Command::Stop);
    world.no_plan("one");
    world.no_plan("two");
    world.step_failed("pid 7 is still there");
    assert_eq!(world.state(), StateName::Failed);
    assert!(world.view().reason.contains("cannot be stopped"));
    assert!(!world.desired().started, "the stop is remembered");
}

#[test]
fn a_stop_during_a_restart_gives_the_restart_up() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.plan(vec![run("repair", OnFailure::Fail)]);
    let attempt = world.step_at_work().unwrap().0;
    assert!(accepted(&world.command(Command::Stop)));
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, Some(Occasion::Stop)));
    world.step_ended_as(attempt, 0, Ok("late".to_owned()));
    assert_eq!(world.state(), StateName::Stopping, "a late answer changes nothing");
    world.plan(vec![]);
    assert_eq!(world.state(), StateName::Stopped);
}
