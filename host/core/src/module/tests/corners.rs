//! Bugs that need two conditions at once: a restart of the daemon, a suspension, a file that comes back, an old
//! verdict.

use std::time::Duration;

use super::world::{World, keep, module, run, step};
use super::{SECOND, accepted};
use crate::command::{Command, Order};
use crate::event::{DesiredState, Event};
use crate::id::AttemptId;
use crate::observation::{Observation, ProcessFact, Status};
use crate::plan::{Occasion, OnFailure, StepAction};
use crate::policy::OnDown;
use crate::record::RecordKind;
use crate::state::StateName;
use crate::verdict::Verdict;

fn wait_for(checker: &str) -> StepAction {
    StepAction::AwaitChecker(checker.parse().unwrap(), Verdict::Up)
}

#[test]
fn a_checker_that_is_begun_anew_and_then_not_needed_is_told_to_end() {
    let mut world = World::new()
        .process("app")
        .component("page", OnDown::Restart)
        .component("database", OnDown::Wait)
        .load();
    world.see("database", Status::Fail);
    world.see("app", Status::Pass);
    assert_eq!(world.state(), StateName::Stopping);
    assert!(!world.watched().iter().any(|name| name.as_str() == "page"), "no command has ended it");
}

#[test]
fn a_step_that_waits_for_a_checker_does_not_take_its_verdict_from_before_the_restart() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.plan(vec![step(wait_for("page")), keep("start")]);
    assert_eq!(world.step_at_work(), None, "the page was up before the death");
    world.see("page", Status::Pass);
    assert!(matches!(world.step_at_work(), Some((_, 1, StepAction::Keep(_)))));
}

#[test]
fn steps_that_need_no_waiting_follow_each_other_at_once() {
    let mut world = World::new().process("app").process("helper").load_up();
    world.see("helper", Status::Fail);
    world.plan(vec![
        step(wait_for("app")),
        step(StepAction::Pause(Duration::ZERO)),
        step(wait_for("app")),
        keep("start"),
    ]);
    assert!(matches!(world.step_at_work(), Some((_, 3, StepAction::Keep(_)))));
}

#[test]
fn a_suspended_module_is_not_started_by_a_new_daemon() {
    let mut world = World::new().process("app").suspended().load();
    world.see("app", Status::Fail);
    world.pass_time(SECOND * 60);
    assert_eq!((world.state(), world.occasion()), (StateName::Starting, None));
    world.command(Command::Resume);
    assert_eq!(world.occasion(), Some(Occasion::Start), "what still does not run is started now");
}

#[test]
fn a_suspended_module_is_found_running_by_a_new_daemon_and_shown() {
    let mut world = World::new().process("app").suspended().load();
    world.see("app", Status::Fail);
    world.see("app", Status::Pass);
    world.see("app", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
}

#[test]
fn what_is_suspended_for_a_time_is_acted_on_again_by_itself() {
    let mut world = World::up();
    assert!(accepted(&world.command_for(Command::Suspend, Some(SECOND * 60))));
    world.pass_time(SECOND * 59);
    assert!(world.desired().suspended);
    world.pass_time(SECOND * 2);
    assert_eq!(world.desired(), DesiredState::default());
}

#[test]
fn the_time_of_a_suspension_outlives_the_daemon() {
    let mut world = World::up();
    world.command_for(Command::Suspend, Some(SECOND * 60));
    world.pass_time(SECOND * 20);
    world.kill_daemon();
    world.pass_time(SECOND * 39);
    assert!(world.view().desired.suspended, "after 59 seconds");
    world.pass_time(SECOND * 2);
    assert!(!world.view().desired.suspended, "after 61 seconds");
    assert_eq!(world.desired(), DesiredState::default());
}

#[test]
fn the_time_of_a_suspension_ends_while_no_daemon_runs() {
    let mut world = World::up();
    world.command_for(Command::Suspend, Some(SECOND * 60));
    world.pass_time(SECOND * 20);
    world.stop_daemon();
    world.sleep(SECOND * 41);
    world.redefine(|_| ());
    assert!(!world.view().desired.suspended);
    assert_eq!(world.desired(), DesiredState::default());
    assert!(world.told("is over"));
}

#[test]
fn the_time_of_a_suspension_can_be_changed() {
    let mut world = World::up();
    world.command_for(Command::Suspend, Some(SECOND * 60));
    assert!(accepted(&world.command_for(Command::Suspend, Some(SECOND * 600))));
    world.pass_time(SECOND * 61);
    assert!(world.desired().suspended, "it was said again for longer");
    assert!(accepted(&world.command(Command::Suspend)));
    world.pass_time(SECOND * 700);
    assert!(world.desired().suspended, "until somebody resumes it");
    assert!(!accepted(&world.command(Command::Suspend)));
    assert!(accepted(&world.command(Command::Resume)));
    assert_eq!(world.desired(), DesiredState::default());
}

#[test]
fn the_reason_of_a_command_is_written_down_and_is_no_part_of_the_state() {
    let mut world = World::up().draining_for(Duration::ZERO);
    let order = Order { reason: Some("new disk".to_owned()), ..Order::from(Command::Stop) };
    assert!(accepted(&world.command_as(order)));
    assert!(world.told("somebody (new disk) said `stop`"));
    assert!(world.told("stopped by somebody"));
    assert!(!world.view().reason.contains("new disk"), "{}", world.view().reason);
    let states = world.records().iter().filter(|record| matches!(record.kind, RecordKind::State { .. }));
    for state in states {
        assert!(!state.kind.sentence().contains("new disk"), "{state:?}");
    }
}

#[test]
fn a_person_may_start_a_suspended_module() {
    let mut world = World::new().process("app").wanted_started(false).suspended().load();
    assert!(accepted(&world.command(Command::Start)));
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), Some(Occasion::Start));
}

#[test]
fn a_person_may_start_what_a_new_daemon_has_not_started_because_it_is_suspended() {
    let mut world = World::new().process("app").suspended().load();
    world.see("app", Status::Fail);
    assert!(accepted(&world.command(Command::Start)));
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), Some(Occasion::Start));
}

#[test]
fn a_stop_outlives_the_modules_file() {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.command(Command::Stop);
    world.plan(vec![]);
    world.remove();
    // The shell does not know of the stop: it read the desired states when it began.
    world.forget_all();
    let mut world = world.load();
    assert_eq!(world.state(), StateName::Stopped);
    world.see("app", Status::Fail);
    assert_eq!(world.occasion(), None);
}

#[test]
fn an_application_that_never_stays_up_during_its_start_is_tried_again_in_the_end() {
    let mut world = World::new().process("app").component("page", OnDown::Restart).load();
    world.redefine(|policy| {
        let page = policy.checkers.get_mut("page").unwrap();
        (page.thresholds.rise, page.thresholds.fall) = (2, 2);
    });
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("app", Status::Pass);
    world.see("page", Status::Pass);
    world.pass_time(SECOND * 60);
    assert_eq!(world.state(), StateName::Starting, "the last that was seen is no failure");
    world.see("page", Status::Fail);
    assert_eq!(world.state(), StateName::Backoff);
}

#[test]
fn the_grace_ends_when_the_application_is_up() {
    let mut world = World::new().process("app").slow_component("page", OnDown::Restart).load();
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("page", Status::Fail);
    world.all_pass();
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    world.see("page", Status::Fail);
    assert!(!world.ready(), "a yes for an application that is seen to fail");
}

#[test]
fn an_application_that_lives_beyond_its_bounds_is_not_started_a_second_time() {
    let mut world = World::new().process("app").load();
    let mut observation = Observation::new(Status::Fail, "too much memory", world.now());
    observation.processes = vec![ProcessFact { pid: 7, name: "app".to_owned() }];
    let (checker, generation) = ("app".parse().unwrap(), world.generation("app"));
    world.tell(Event::Observed { module: module(), checker, generation, observation });
    assert_eq!(world.occasion(), None, "it runs");
}

#[test]
fn a_restart_script_is_told_of_earlier_incidents_only() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    assert_eq!(world.history(), []);
}

#[test]
fn what_has_died_is_not_drained() {
    let mut world = World::up();
    world.command(Command::Restart);
    assert_eq!(world.state(), StateName::Draining);
    world.see("app", Status::Fail);
    assert_eq!((world.state(), world.occasion()), (StateName::Restarting, Some(Occasion::Restart)));
}

#[test]
fn a_person_who_starts_a_suspended_module_in_backoff_is_not_kept_waiting() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.no_plan("no");
    world.plan(vec![]);
    world.command(Command::Suspend);
    assert_eq!(world.state(), StateName::Backoff);
    world.command(Command::Start);
    assert_eq!((world.state(), world.occasion()), (StateName::Starting, Some(Occasion::Start)));
    assert_eq!(world.view().next, None);
}

#[test]
fn a_plan_that_fails_while_suspended_leads_to_nothing_until_resume() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.command(Command::Suspend);
    world.no_plan("no");
    world.pass_time(Duration::from_secs(1000));
    assert_eq!((world.state(), world.occasion(), world.view().restarts), (StateName::Restarting, None, 1));
    world.see("app", Status::Fail);
    world.command(Command::Resume);
    assert_eq!(world.state(), StateName::Backoff);
}

#[test]
fn a_look_at_the_processes_that_failed_does_not_start_a_second_application() {
    let mut world = World::new().process("app").load();
    world.see("app", Status::Unknown);
    assert_eq!(world.occasion(), None);
    world.see("app", Status::Pass);
    assert_eq!(world.occasion(), None, "it runs already");
}

#[test]
fn a_module_whose_checkers_only_notify_is_never_a_yes() {
    let mut world = World::new().component("disk", OnDown::Notify).load();
    world.serve_plans_until(|w| w.state() == StateName::Up);
    assert!(!world.ready());
    assert!(world.view().reason.contains("only notify"), "{}", world.view().reason);
}

#[test]
fn a_start_that_the_node_cannot_afford_is_tried_again_for_ever_and_not_counted() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    let before = world.view().restarts;
    for _ in 0..50 {
        world.serve_plans_until(|world| matches!(world.step_at_work(), Some((_, _, StepAction::Keep(_)))));
        let (attempt, ..) = world.step_at_work().unwrap();
        // An answer of another attempt says nothing about this one.
        world.tell(Event::Starved { module: module(), attempt: AttemptId::default() });
        world.tell(Event::Starved { module: module(), attempt });
        world.step_failed("the disk is full");
        assert_eq!((world.state(), world.view().restarts), (StateName::Backoff, before));
        assert!(world.told("not counted: this node lacks resources for a start"));
    }
    // A failure with a cause of its own is counted as usual.
    world.serve_plans_until(|world| matches!(world.step_at_work(), Some((_, _, StepAction::Keep(_)))));
    world.step_failed("no such port");
    assert_eq!(world.view().restarts, before + 1);
}

#[test]
fn where_the_node_cannot_afford_to_look_for_what_is_left_the_next_try_looks() {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.serve_plans_until(|world| matches!(world.step_at_work(), Some((_, _, StepAction::Keep(_)))));
    world.step_failed("no such port");
    assert_eq!(world.state(), StateName::Backoff);
    world.plan(vec![run("stop", OnFailure::Fail)]);
    let (attempt, ..) = world.step_at_work().unwrap();
    world.tell(Event::Starved { module: module(), attempt });
    world.step_failed("too many open files");
    world.plan(vec![run("forced-stop", OnFailure::Fail)]);
    world.step_failed("too many open files");
    assert!(world.killing());
    world.step_failed("too many open files");
    assert_eq!(world.state(), StateName::Backoff);
    world.serve_plans_until(|world| world.state() == StateName::Up);
}
