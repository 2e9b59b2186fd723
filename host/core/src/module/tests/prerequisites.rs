//! A checker that goes down while a prerequisite is unavailable.

use super::SECOND;
use super::world::{World, keep};
use crate::action::Action;
use crate::observation::Status;
use crate::plan::Occasion;
use crate::policy::OnDown;
use crate::state::StateName;

fn world() -> World {
    World::new()
        .process("app")
        .component("page", OnDown::Restart)
        .component("database", OnDown::Wait)
        .load_up()
}

#[test]
fn prerequisites_are_run_once_before_a_checker_is_acted_on() {
    let mut world = world();
    let before = world.generation("database");
    world.see("page", Status::Fail);
    assert_eq!((world.state(), world.ready(), world.occasion()), (StateName::Up, false, None));
    assert!(
        world.actions().iter().any(|action| matches!(
            action,
            Action::Watch { checker, eager: true, .. } if checker.as_str() == "database"
        )),
        "it is run now"
    );
    assert_ne!(world.generation("database"), before, "an answer from before does not count");
    world.see("database", Status::Pass);
    assert_eq!((world.state(), world.view().restarts), (StateName::Restarting, 1));
}

#[test]
fn a_prerequisite_that_is_down_too_leads_to_waiting_and_costs_nothing() {
    let mut world = world();
    world.redefine(|policy| policy.checkers.get_mut("database").unwrap().thresholds.fall = 3);
    world.see("page", Status::Fail);
    for _ in 0..3 {
        assert_eq!((world.state(), world.occasion()), (StateName::Up, None));
        world.see("database", Status::Fail);
    }
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, Some(Occasion::Stop)));
    world.plan(vec![]);
    assert_eq!((world.state(), world.view().restarts), (StateName::Waiting, 0));
}

#[test]
fn when_the_prerequisite_is_well_again_the_application_gets_the_time_to_return() {
    let held = || {
        let mut world = world();
        world.redefine(|policy| policy.checkers.get_mut("database").unwrap().thresholds.fall = 3);
        world.see("page", Status::Fail);
        world.see("database", Status::Fail);
        world.see("database", Status::Pass);
        assert_eq!(world.state(), StateName::Up);
        world
    };
    let mut world = held();
    world.see("page", Status::Pass);
    world.pass_time(SECOND * 60);
    assert_eq!((world.state(), world.ready(), world.view().restarts), (StateName::Up, true, 0));

    let mut world = held();
    world.pass_time(SECOND * 4);
    world.see("page", Status::Fail);
    assert_eq!(world.state(), StateName::Up);
    world.pass_time(SECOND);
    assert_eq!(world.state(), StateName::Restarting, "it does not return by itself");
}

#[test]
fn what_has_died_does_not_return_by_itself() {
    let mut world = world();
    world.redefine(|policy| policy.checkers.get_mut("database").unwrap().thresholds.fall = 3);
    world.see("app", Status::Fail);
    world.see("database", Status::Fail);
    assert_eq!(world.state(), StateName::Up);
    world.see("database", Status::Pass);
    assert_eq!(world.state(), StateName::Restarting);
}

#[test]
fn a_prerequisite_that_does_not_answer_is_not_waited_for_long() {
    let mut world = world();
    world.see("app", Status::Fail);
    world.pass_time(SECOND * 9);
    assert_eq!(world.state(), StateName::Up);
    world.pass_time(SECOND);
    assert_eq!(world.state(), StateName::Restarting);
}

#[test]
fn a_prerequisite_that_cannot_tell_accounts_for_nothing() {
    let mut world = world();
    world.see("app", Status::Fail);
    world.see("database", Status::Unknown);
    assert_eq!(world.state(), StateName::Restarting);
}

#[test]
fn an_application_that_ends_as_it_starts_because_a_prerequisite_is_away_waits() {
    let mut world = World::new().process("app").component("database", OnDown::Wait).load();
    world.see("app", Status::Fail);
    world.see("database", Status::Pass);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("app", Status::Fail);
    assert_eq!((world.state(), world.view().restarts), (StateName::Starting, 0));
    world.see("database", Status::Fail);
    world.plan(vec![]);
    assert_eq!((world.state(), world.view().restarts), (StateName::Waiting, 0));
}

#[test]
fn a_checker_that_is_up_again_ends_the_doubt() {
    let mut world = world();
    world.see("page", Status::Fail);
    world.see("page", Status::Pass);
    world.see("database", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    assert_eq!(world.next_deadline(), None, "nothing is waited for");
}
