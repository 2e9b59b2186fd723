//! The module's behaviour, told in sentences; and its invariants, under random events.

mod blindness;
mod corners;
mod deciding;
mod degraded;
mod delayed;
mod drained;
mod ending;
mod found_again;
mod hangs;
mod kept_up;
mod killed;
mod laws;
mod looked;
mod on_down;
mod prerequisites;
mod probation;
mod readmitted;
mod silence;
mod starting;
mod steps;
mod stopping;
mod unwatched;
mod world;

use std::time::Duration;

use crate::command::{Command, CommandOutcome, DeniedReason};
use crate::observation::Status;
use crate::plan::Occasion;
use crate::policy::{CheckerKind, OnDown};
use crate::state::StateName;

use world::{World, keep};

const SECOND: Duration = Duration::from_secs(1);

fn accepted(outcome: &CommandOutcome) -> bool {
    matches!(outcome, CommandOutcome::Accepted(_))
}

#[test]
fn a_module_that_does_not_run_is_started_by_a_plan_and_is_up_when_its_checkers_are() {
    let mut world = World::new().process("app").component("page", OnDown::Restart).load();
    assert_eq!((world.state(), world.ready()), (StateName::Starting, false));
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), Some(Occasion::Start));
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("app", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Starting, false), "the page has not been seen");
    world.see("page", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
}

#[test]
fn an_application_that_runs_already_is_not_started_again() {
    let mut world = World::new().process("app").component("page", OnDown::Restart).load();
    world.see("app", Status::Pass);
    assert_eq!(world.occasion(), None, "no plan is asked for");
    world.see("app", Status::Pass);
    world.see("page", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
}

#[test]
fn a_module_without_process_checkers_runs_already_only_if_every_checker_says_so() {
    for (second, asked) in [(Status::Pass, false), (Status::Fail, true), (Status::Unknown, true)] {
        let mut world = World::new().component("a", OnDown::Restart).component("b", OnDown::Restart).load();
        world.see("a", Status::Pass);
        assert_eq!(world.occasion(), None);
        world.see("b", second);
        assert_eq!(world.occasion().is_some(), asked, "{second}");
    }
}

#[test]
fn a_death_is_answered_at_once_with_the_incident() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    assert_eq!((world.state(), world.ready()), (StateName::Restarting, false));
    let Some(Occasion::Incident(incident)) = world.occasion() else { panic!("no incident") };
    assert_eq!(incident.checker.as_str(), "app");
    assert_eq!(world.view().restarts, 1);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.all_pass();
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
}

#[test]
fn what_was_seen_before_a_restart_does_not_count_after_it() {
    let mut world = World::up();
    let before = world.generation("app");
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("page", Status::Pass);
    world.see_as("app", before, Status::Pass);
    assert_eq!(world.state(), StateName::Restarting);
    world.see("app", Status::Pass);
    assert_eq!(world.state(), StateName::Up);
}

#[test]
fn an_application_that_dies_again_and_again_is_tried_ever_later_until_the_budget_is_spent() {
    let mut world = World::up();
    let mut waits = Vec::new();
    loop {
        world.see("app", Status::Fail);
        let before = world.now();
        world.serve_plans_until(|w| matches!(w.state(), StateName::Failed | StateName::Up));
        if world.state() == StateName::Failed {
            break;
        }
        waits.push(world.now().since(before).as_millis());
        assert!(waits.len() < 10, "the budget never ends");
    }
    assert_eq!(waits.len(), 3, "{waits:?}");
    assert_eq!(waits[0], 0);
    assert!((750..=1000).contains(&waits[1]) && (1500..=2000).contains(&waits[2]), "{waits:?}");
    assert!(world.view().reason.contains("3 automatic restarts within 1h are used up"));
    assert!(!world.ready());
}

#[test]
fn a_person_who_starts_a_failed_module_gets_a_full_budget() {
    let mut world = World::up();
    for _ in 0..4 {
        world.see("app", Status::Fail);
        world.serve_plans_until(|w| matches!(w.state(), StateName::Failed | StateName::Up));
    }
    assert_eq!(world.state(), StateName::Failed);
    assert!(accepted(&world.command(Command::Start)));
    assert_eq!(world.view().restarts, 0);
    world.see("app", Status::Fail);
    world.serve_plans_until(|w| w.state() == StateName::Up);
}

#[test]
fn reset_forgets_a_failure_and_leaves_the_module_stopped() {
    let mut world = World::up();
    for _ in 0..4 {
        world.see("app", Status::Fail);
        world.serve_plans_until(|w| matches!(w.state(), StateName::Failed | StateName::Up));
    }
    assert!(accepted(&world.command(Command::Reset)));
    assert_eq!((world.state(), world.view().restarts), (StateName::Stopped, 0));
    assert!(matches!(world.command(Command::Reset), CommandOutcome::AlreadySo(_)));
}

#[test]
fn a_start_that_is_not_up_in_time_is_tried_again() {
    let mut world = World::new().process("app").slow_component("page", OnDown::Restart).load();
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("app", Status::Pass);
    world.see("page", Status::Fail);
    world.pass_time(SECOND * 59);
    assert_eq!(world.state(), StateName::Starting);
    world.pass_time(SECOND);
    assert_eq!(world.state(), StateName::Backoff);
    assert!(world.view().reason.contains("not up after 1m"), "{}", world.view().reason);
}

#[test]
fn a_suspended_module_shows_the_truth_and_acts_on_nothing() {
    let mut world = World::up();
    assert!(accepted(&world.command(Command::Suspend)));
    world.see("app", Status::Fail);
    assert_eq!((world.state(), world.ready(), world.occasion()), (StateName::Up, false, None));
    assert!(accepted(&world.command(Command::Resume)));
    assert_eq!(world.state(), StateName::Restarting, "what is still down is acted on now");
}

#[test]
fn the_next_try_waits_for_resume() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.no_plan("no");
    world.plan(vec![]);
    assert_eq!(world.state(), StateName::Backoff);
    world.command(Command::Suspend);
    world.pass_time(SECOND * 100);
    assert_eq!(world.state(), StateName::Backoff);
    world.command(Command::Resume);
    assert_eq!((world.state(), world.occasion()), (StateName::Starting, Some(Occasion::Start)));
}

#[test]
fn a_restart_by_a_person_drains_first_and_costs_nothing_of_the_budget() {
    let mut world = World::up();
    assert!(accepted(&world.command(Command::Restart)));
    assert_eq!(world.state(), StateName::Draining);
    world.pass_time(SECOND * 15);
    assert_eq!((world.state(), world.occasion()), (StateName::Restarting, Some(Occasion::Restart)));
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.all_pass();
    assert_eq!((world.state(), world.view().restarts), (StateName::Up, 0));
}

#[test]
fn commands_that_make_no_sense_are_denied_with_the_reason() {
    let mut world = World::new().process("app").load();
    world.command(Command::Stop);
    assert_eq!(world.command(Command::Start), CommandOutcome::Denied(DeniedReason::Stopping));
    world.plan(vec![]);
    assert_eq!(world.state(), StateName::Stopped);
    assert_eq!(world.command(Command::Restart), CommandOutcome::Denied(DeniedReason::Stopped));
    assert!(matches!(world.command(Command::Stop), CommandOutcome::AlreadySo(_)));
    assert!(matches!(world.command(Command::Resume), CommandOutcome::AlreadySo(_)));
    assert!(accepted(&world.command(Command::Start)));
}

#[test]
fn an_edited_file_keeps_state_and_counters_and_watches_only_what_is_new() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.serve_plans_until(|w| w.state() == StateName::Up);
    let (app, since) = (world.generation("app"), world.view().since);
    world.redefine(|policy| {
        let mut extra = policy.checkers["page"].clone();
        extra.on_down = OnDown::Out;
        policy.checkers.insert("extra".parse().unwrap(), extra);
        policy.checkers.get_mut("page").unwrap().definition += 1;
    });
    let view = world.view();
    assert_eq!((view.state, view.ready, view.since, view.restarts), (StateName::Up, true, since, 1));
    assert_eq!(world.generation("app"), app, "an unchanged checker is left alone");
    world.see("extra", Status::Pass);
    world.redefine(|policy| {
        policy.checkers.remove("extra");
    });
    assert_eq!(world.view().checkers.len(), 2);
    assert!(world.ready());
}

#[test]
fn a_removed_file_leaves_the_application_alone() {
    let mut world = World::up();
    world.remove();
    assert!(world.watched().is_empty());
    assert_eq!(world.occasion(), None);
    assert!(world.snapshot().modules.is_empty());
}

#[test]
fn a_stopped_module_is_not_started_by_a_new_daemon() {
    let mut world = World::new().process("app").wanted_started(false).load();
    world.see("app", Status::Pass);
    assert_eq!((world.state(), world.ready(), world.occasion()), (StateName::Stopped, false, None));
    assert_eq!(world.view().checkers.iter().next().unwrap().kind, CheckerKind::Process);
}
