//! An application that does not answer gets only a short time to exit by itself.

use std::time::Duration;

use super::SECOND;
use super::world::{World, module, run, step};
use crate::event::Event;
use crate::observation::{Observation, Status};
use crate::plan::{Occasion, OnFailure, Signal, StepAction, Target};
use crate::state::StateName;

fn page_fails(world: &mut World, hangs: bool) {
    let mut observation = Observation::new(Status::Fail, "no answer within 2s", world.now());
    if hangs {
        observation.attributes.push(("hang".to_owned(), "true".to_owned()));
    }
    let (generation, checker) = (world.generation("page"), "page".parse().unwrap());
    world.tell(Event::Observed { module: module(), checker, generation, observation });
}

fn app() -> Target {
    Target::Command("start".parse().unwrap())
}

/// How long the polite part of a restart takes until the stop is forced.
fn polite_time(hangs: bool) -> Duration {
    let mut world = World::up();
    page_fails(&mut world, hangs);
    let forced = |action| crate::plan::Step { on_failure: OnFailure::ForceStop, ..step(action) };
    world.plan(vec![forced(StepAction::Signal(app(), Signal::Term)), forced(StepAction::AwaitExit(app()))]);
    world.step_ok();
    let began = world.now();
    while !matches!(world.occasion(), Some(Occasion::ForcedStop(_))) {
        world.pass_time(SECOND);
    }
    world.now().since(began)
}

#[test]
fn what_hangs_is_forced_soon_and_what_answers_wrongly_gets_its_time() {
    assert_eq!(polite_time(true), SECOND * 2);
    assert_eq!(polite_time(false), SECOND * 10);
}

/// A restart with two signals, the second of which must succeed, and a program that may fail before the start.
fn by_two_signals(hangs: bool) -> Vec<Duration> {
    let mut world = World::up();
    page_fails(&mut world, hangs);
    let with = |on_failure, action| crate::plan::Step { on_failure, ..step(action) };
    world.plan(vec![
        with(OnFailure::GoOn, StepAction::Signal(app(), Signal::Usr1)),
        with(OnFailure::GoOn, StepAction::AwaitExit(app())),
        with(OnFailure::ForceStop, StepAction::Signal(app(), Signal::Term)),
        with(OnFailure::ForceStop, StepAction::AwaitExit(app())),
        run("warm-up", OnFailure::GoOn),
    ]);
    world.step_ok();
    let first_signal = time_of_step(&mut world, 1);
    world.step_ok();
    world.step_ok();
    vec![first_signal, time_of_step(&mut world, 4)]
}

/// The time limit of the step in progress, which has this number.
fn time_of_step(world: &mut World, number: usize) -> Duration {
    let is_carried_out = |world: &World| world.step_at_work().is_some_and(|(_, step, _)| step == number);
    assert!(is_carried_out(world), "{:?}", world.step_at_work());
    let began = world.now();
    while is_carried_out(world) {
        world.pass_time(SECOND);
    }
    world.now().since(began)
}

#[test]
fn each_signal_of_a_series_gets_less_time_after_a_hang_and_what_belongs_to_the_start_does_not() {
    assert_eq!(by_two_signals(true), [SECOND * 2, SECOND * 10]);
    assert_eq!(by_two_signals(false), [SECOND * 10, SECOND * 10]);
}

#[test]
fn what_a_hang_leaves_behind_is_cleared_away_as_soon() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.serve_plans_until(|w| w.state() == StateName::Up);
    page_fails(&mut world, true);
    assert_eq!((world.state(), world.occasion()), (StateName::Backoff, Some(Occasion::Stop)));
    world.plan(vec![run("stop", OnFailure::Fail)]);
    world.pass_time(SECOND * 2);
    assert!(matches!(world.occasion(), Some(Occasion::ForcedStop(_))));
    // A forced stop takes as long as it takes.
    world.plan(vec![step(StepAction::AwaitExit(app()))]);
    world.pass_time(SECOND * 9);
    assert!(!world.killing());
    world.pass_time(SECOND);
    assert!(world.killing());
}
