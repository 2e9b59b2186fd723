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
mod killed;
mod laws;
mod looked;
mod prerequisites;
mod probation;
mod readmitted;
mod silence;
mod starting;
mod unwatched;
mod world;

use std::time::Duration;

use crate::action::Action;
use crate::command::{Command, CommandOutcome, DeniedReason};
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure, Signal, StepAction, Target};
use crate::policy::{CheckerKind, OnDown};
use crate::state::StateName;
use crate::verdict::Verdict;

use world::{World, keep, run, step};

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
    assert!(!world.wish().started);
}

#[test]
fn a_stop_that_is_called_off_while_draining_leaves_the_application_alone() {
    let mut world = World::up();
    world.command(Command::Stop);
    assert!(accepted(&world.command(Command::Start)));
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    assert!(world.wish().started);
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
    assert!(!world.wish().started, "the stop is remembered");
}

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

#[test]
fn a_checker_that_is_down_with_out_takes_the_node_out_and_restarts_nothing() {
    let mut world = World::new().process("app").component("page", OnDown::Out).load_up();
    let up = world.view();
    assert_eq!(up.shown_since(), up.since);
    world.pass_time(Duration::from_secs(5));
    world.see("page", Status::Fail);
    assert_eq!((world.state(), world.ready(), world.occasion()), (StateName::Up, false, None));
    let out = world.view();
    assert_eq!(
        (out.since, out.shown_since()),
        (up.since, world.now()),
        "up as long as before, out since now"
    );
    world.pass_time(Duration::from_secs(5));
    world.see("page", Status::Fail);
    assert_eq!(world.view().shown_since(), out.shown_since());
    world.see("page", Status::Pass);
    assert!(world.ready());
    assert_eq!(world.view().shown_since(), world.now());
}

#[test]
fn a_start_that_ends_out_of_the_load_balancer_is_not_told_as_if_all_were_well() {
    let mut world = World::new().process("app").component("page", OnDown::Out).load();
    world.see("app", Status::Pass);
    world.see("app", Status::Pass);
    world.see("page", Status::Fail);
    assert_eq!((world.state(), world.ready()), (StateName::Up, false));
    assert!(world.told("the application serves; checker `page` keeps it out of the load balancer"));
    assert!(!world.told("every checker is up"));
}

#[test]
fn a_checker_that_only_notifies_changes_nothing_but_the_journal() {
    let mut world = World::new().process("app").component("disk", OnDown::Notify).load();
    world.see("app", Status::Pass);
    world.see("app", Status::Pass);
    assert_eq!(world.state(), StateName::Up, "a notice does not hold the start up");
    world.see("disk", Status::Fail);
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    assert!(world.told("incident: checker `disk` is down"));
}

#[test]
fn a_checker_that_is_down_with_stop_stops_and_asks_for_a_person() {
    let mut world = World::new().process("app").component("licence", OnDown::Stop).load_up();
    world.see("licence", Status::Fail);
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, Some(Occasion::Stop)));
    world.plan(vec![]);
    assert_eq!(world.state(), StateName::Failed);
}

#[test]
fn a_prerequisite_that_is_down_stops_the_application_and_its_return_starts_it() {
    let mut world = World::new().process("app").component("database", OnDown::Wait).load_up();
    world.see("database", Status::Fail);
    assert_eq!((world.state(), world.ready()), (StateName::Stopping, false));
    world.plan(vec![]);
    assert_eq!(world.state(), StateName::Waiting);
    assert!(world.view().reason.contains("database"));
    world.see("database", Status::Pass);
    assert_eq!(world.state(), StateName::Starting);
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), Some(Occasion::Start));
    assert_eq!(world.view().restarts, 0, "waiting costs nothing of the budget");
}

#[test]
fn a_module_does_not_start_before_its_prerequisite_is_up() {
    let mut world = World::new().process("app").component("database", OnDown::Wait).load();
    world.see("app", Status::Fail);
    assert_eq!((world.state(), world.occasion()), (StateName::Starting, None));
    world.see("database", Status::Fail);
    assert_eq!(world.state(), StateName::Waiting);
    world.see("database", Status::Pass);
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), Some(Occasion::Start));
}

#[test]
fn a_checker_that_cannot_tell_restarts_nothing_and_keeps_nobody_out() {
    let mut world = World::up();
    for _ in 0..20 {
        world.see("page", Status::Unknown);
    }
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    assert!(world.view().reason.contains("`page` cannot tell"), "{}", world.view().reason);
}

#[test]
fn when_nobody_can_tell_the_answer_is_no_and_nothing_is_restarted() {
    let mut world = World::up();
    for _ in 0..20 {
        world.see("page", Status::Unknown);
        world.see("app", Status::Unknown);
    }
    assert_eq!((world.state(), world.ready(), world.occasion()), (StateName::Up, false, None));
}

#[test]
fn a_broken_checker_does_not_hold_up_a_start_that_others_confirm() {
    let mut world = World::new().process("app").component("broken", OnDown::Restart).load();
    world.see("app", Status::Pass);
    world.see("app", Status::Pass);
    for _ in 0..3 {
        assert_eq!(world.state(), StateName::Starting);
        world.see("broken", Status::Unknown);
    }
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
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
    let mut world = World::new().process("app").wishing(false).load();
    world.see("app", Status::Pass);
    assert_eq!((world.state(), world.ready(), world.occasion()), (StateName::Stopped, false, None));
    assert_eq!(world.view().checkers[0].kind, CheckerKind::Process);
}
