//! The daemon is killed, and another one continues.

use std::time::Duration;

use crate::command::{Command, LASTS_AT_MOST};
use crate::event::DesiredState;
use crate::moment::Moment;
use crate::observation::Status;
use crate::plan::{OnFailure, StepAction};
use crate::state::StateName;

use super::world::{World, keep, run};

#[test]
fn a_restart_that_was_half_done_is_not_done_twice() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.plan(vec![run("stop", OnFailure::GoOn), keep("start")]);
    world.step_ok();
    let (_, index, _) = world.step_at_work().unwrap();
    world.kill_daemon();
    assert_eq!(world.state(), StateName::Restarting);
    let (_, again, action) = world.step_at_work().unwrap();
    assert_eq!((again, action), (index, StepAction::Keep("start".parse().unwrap())));
    assert_eq!(world.view().restarts, 1);
    world.step_ok();
    world.all_pass();
    assert_eq!((world.state(), world.view().restarts), (StateName::Up, 1));
}

#[test]
fn a_plan_that_was_being_made_is_asked_for_again() {
    let mut world = World::up();
    world.see("page", Status::Fail);
    let occasion = world.occasion();
    world.kill_daemon();
    assert_eq!(world.occasion(), occasion);
}

#[test]
fn an_application_that_serves_is_found_and_not_touched() {
    let mut world = World::up();
    world.kill_daemon();
    world.all_pass();
    world.all_pass();
    assert_eq!((world.state(), world.occasion()), (StateName::Up, None));
}

#[test]
fn a_stop_that_was_draining_ends_in_a_stop() {
    let mut world = World::up();
    world.command(Command::Stop);
    world.pass_time(Duration::from_secs(10));
    world.kill_daemon();
    assert_eq!(world.state(), StateName::Draining);
    world.pass_time(Duration::from_secs(4));
    assert_eq!(world.state(), StateName::Draining);
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.state(), StateName::Stopping);
    world.plan(Vec::new());
    assert_eq!(world.state(), StateName::Stopped);
}

#[test]
fn a_start_that_a_person_asked_for_while_suspended_is_made() {
    let mut world = World::new().process("app").suspended().wanted_started(false).load();
    world.command(Command::Start);
    world.kill_daemon();
    world.see("app", Status::Fail);
    assert!(world.occasion().is_some(), "{}", world.view().reason);
}

#[test]
fn after_a_reboot_what_should_run_is_started_and_what_is_counted_counts_still() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.plan(vec![run("stop", OnFailure::GoOn), keep("start")]);
    world.reboot();
    assert_eq!((world.state(), world.view().restarts), (StateName::Starting, 1));
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), Some(crate::plan::Occasion::Start));
}

#[test]
fn a_failure_asks_for_a_person_until_one_comes_or_the_machine_starts_anew() {
    let mut world = World::up();
    for _ in 0..4 {
        world.serve_plans_until(|w| w.state() == StateName::Up);
        world.pass_time(Duration::from_secs(100));
        world.see("app", Status::Fail);
    }
    world.serve_plans_until(|w| w.state() == StateName::Failed);
    world.kill_daemon();
    assert_eq!((world.state(), world.view().restarts), (StateName::Failed, 3));
    world.reboot();
    assert_eq!(world.state(), StateName::Starting);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_last_longer() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    let past = Moment::from_micros(1);
    let memory = world.memory().clone().no_later_than(past);
    let policy = crate::policy::BudgetPolicy { restarts: 3, within: Duration::from_secs(3600) };
    assert_eq!(memory.budget.spent(&policy, past), 1);
    assert_eq!(memory.budget.spent(&policy, past + Duration::from_secs(3600)), 0);
}

#[test]
fn no_clock_makes_a_suspension_for_a_time_last_longer_than_one_may() {
    let now = Moment::from_micros(1_000_000_000);
    let until = |until| {
        let desired = DesiredState { suspended: true, suspended_until: until, ..DesiredState::default() };
        crate::memory::ModuleMemory::with_desired_state(desired).no_later_than(now).desired.suspended_until
    };
    let latest = now + LASTS_AT_MOST;
    assert_eq!(until(Some(latest + Duration::from_secs(1))), Some(latest));
    assert_eq!(until(Some(Moment::NEVER)), Some(latest));
    assert_eq!(until(Some(latest)), Some(latest));
    assert_eq!(until(Some(Moment::from_micros(1))), Some(Moment::from_micros(1)));
    assert_eq!(until(None), None, "until it is resumed");
}

#[test]
fn what_a_daemon_of_an_earlier_version_remembered_is_understood() {
    let memory = r#"{
        "wish": { "started": true, "suspended": false },
        "budget": { "spent": [1000000000] },
        "streak": { "tries": 2, "up_since": null },
        "incidents": [],
        "unfinished": {
            "state": { "restarting": { "settle": { "until": 1060000000 } } },
            "since": 1000000000,
            "reason": "started: waiting for the checkers to be up"
        }
    }"#;
    let memory: crate::memory::ModuleMemory = serde_json::from_str(memory).unwrap();
    let run = r#"{ "clearing": { "frames": [] }, "until": 1060000000 }"#;
    let backoff: Result<crate::module::State, _> =
        serde_json::from_str(&format!(r#"{{ "backoff": {run} }}"#));
    assert!(backoff.is_ok(), "{backoff:?}");
    let now = Moment::from_micros(1_000_000_000);
    assert_eq!(memory.no_later_than(now).budget.spent(&BUDGET, now), 1);
}

const BUDGET: crate::policy::BudgetPolicy =
    crate::policy::BudgetPolicy { restarts: 3, within: Duration::from_secs(3600) };
