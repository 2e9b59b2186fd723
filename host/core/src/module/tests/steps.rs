//! The steps of a plan: what fails, what is passed over, and what the core does itself.

use super::SECOND;
use super::world::{World, keep, run, step};
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure, Signal, StepAction, Target};
use crate::state::StateName;
use crate::verdict::Verdict;

#[test]
fn a_failed_step_that_asks_for_it_is_followed_by_a_forced_stop_and_the_plan_goes_on() {
    let mut world = World::up();
    world.see("page", Status::Fail);
    world.plan(vec![run("stop", OnFailure::ForceStop), keep("start")]);
    world.step_failed("hangs");
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(Some(_)))));
    world.plan(vec![step(StepAction::Signal(Target::Command("start".parse().unwrap()), Signal::Kill))]);
    world.step_ok();
    assert!(matches!(world.step_at_work(), Some((_, 1, StepAction::Keep(_)))));
    world.step_ok();
    world.all_pass();
    assert_eq!(world.state(), StateName::Up);
}

#[test]
fn a_failed_step_that_does_not_matter_is_passed_over() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.plan(vec![run("clean", OnFailure::GoOn), keep("start")]);
    world.step_failed("exited with 1");
    assert!(matches!(world.step_at_work(), Some((_, 1, StepAction::Keep(_)))));
}

#[test]
fn pauses_and_waits_for_a_checker_are_the_cores_own_steps() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.plan(vec![
        step(StepAction::Pause(SECOND * 2)),
        step(StepAction::AwaitChecker("app".parse().unwrap(), Verdict::Up)),
        keep("start"),
    ]);
    assert_eq!(world.step_at_work(), None);
    world.pass_time(SECOND * 2);
    assert_eq!(world.step_at_work(), None);
    world.see("app", Status::Pass);
    assert!(matches!(world.step_at_work(), Some((_, 2, StepAction::Keep(_)))));
}

#[test]
fn a_wait_for_a_checker_that_is_not_there_ends_at_its_deadline() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    let ghost = "ghost".parse().unwrap();
    world.plan(vec![step(StepAction::AwaitChecker(ghost, Verdict::Up))]);
    world.pass_time(SECOND * 10);
    assert_eq!(world.state(), StateName::Backoff);
}
