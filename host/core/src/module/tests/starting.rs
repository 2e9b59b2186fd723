//! A start does not fail before it could succeed, and ends when it cannot.

use std::time::Duration;

use super::SECOND;
use super::world::{World, keep, module};
use crate::command::Command;
use crate::event::Event;
use crate::observation::{Measurement, Observation, ProcessFact, Status};
use crate::policy::OnDown;
use crate::state::StateName;
use crate::verdict::Verdict;

/// Started by a plan, with a process checker `app` and a component `page` whose failures count at once.
fn started(world: World) -> World {
    let mut world = world.component("page", OnDown::Restart).load();
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    assert_eq!(world.state(), StateName::Starting);
    world
}

fn observe(world: &mut World, checker: &str, change: impl FnOnce(&mut Observation)) {
    let mut observation = Observation::new(Status::Pass, "seen", world.now());
    change(&mut observation);
    let (generation, checker) = (world.generation(checker), checker.parse().unwrap());
    world.tell(Event::Observed { module: module(), checker, generation, observation });
}

fn verdict(world: &World, name: &str) -> Verdict {
    world.view().checkers.iter().find(|c| c.name.as_str() == name).unwrap().verdict
}

#[test]
fn an_application_that_is_not_ready_yet_is_waited_for_until_its_time_is_over() {
    let mut world = started(World::new().process("app"));
    world.see("app", Status::Pass);
    for _ in 0..59 {
        world.see("page", Status::Fail);
        assert_eq!((world.state(), verdict(&world, "page")), (StateName::Starting, Verdict::Undecided));
        world.pass_time(SECOND);
    }
    assert!(!world.told("incident"), "nothing has gone wrong");
    world.see("page", Status::Pass);
    assert_eq!((world.state(), world.ready(), world.view().restarts), (StateName::Up, true, 0));
}

#[test]
fn failures_count_from_the_moment_on_when_it_is_up() {
    let mut world = started(World::new().process("app"));
    world.see("page", Status::Fail);
    world.all_pass();
    assert_eq!(world.state(), StateName::Up);
    world.pass_time(SECOND);
    world.see("page", Status::Fail);
    assert_eq!(world.state(), StateName::Restarting);
}

#[test]
fn it_is_not_up_while_the_last_run_of_a_checker_has_failed() {
    let mut world = started(World::new().process("app"));
    world.see("page", Status::Pass);
    world.see("page", Status::Fail);
    world.see("app", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Starting, false));
    world.see("page", Status::Pass);
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
}

#[test]
fn the_end_of_a_kept_process_ends_the_start_at_once() {
    let mut world = started(World::new().process("app"));
    world.see("app", Status::Pass);
    world.see("app", Status::Fail);
    assert_eq!(world.state(), StateName::Backoff);
    assert!(
        world.view().reason.contains("the start failed: checker `app` is down"),
        "{}",
        world.view().reason
    );
    assert!(world.told("incident: checker `app` is down"));
}

#[test]
fn fewer_processes_than_required_do_not_end_the_start() {
    let mut world = started(World::new().process("app"));
    for count in 1..3 {
        observe(&mut world, "app", |seen| {
            seen.status = Status::Fail;
            seen.processes = (0..count).map(|pid| ProcessFact { pid, name: "app".to_owned() }).collect();
        });
        assert_eq!(world.state(), StateName::Starting, "the children are just being made");
    }
    world.all_pass();
    assert_eq!((world.state(), world.view().restarts), (StateName::Up, 0));
}

#[test]
fn processes_that_are_found_may_come_late_and_return_after_a_moment() {
    let mut world = started(World::new().found("app"));
    world.see("app", Status::Fail);
    world.pass_time(SECOND * 30);
    assert_eq!(world.state(), StateName::Starting, "it has not appeared yet");
    world.see("app", Status::Pass);
    world.see("app", Status::Fail);
    world.pass_time(SECOND * 2);
    world.see("app", Status::Pass);
    world.pass_time(SECOND * 10);
    assert_eq!(world.state(), StateName::Starting, "it forked once more");
    world.see("app", Status::Fail);
    world.pass_time(SECOND * 2);
    assert_eq!(world.state(), StateName::Starting);
    world.pass_time(SECOND);
    assert_eq!(world.state(), StateName::Backoff, "it has ended");
}

#[test]
fn a_process_that_is_missing_in_a_checkpoint_of_an_earlier_version_is_given_up_in_time() {
    let mut world = started(World::new().found("app"));
    world.see("app", Status::Pass);
    world.see("app", Status::Fail);
    world.restore_without("missing_at");
    world.pass_time(SECOND * 2);
    assert_eq!(world.state(), StateName::Starting, "it may be there again");
    world.pass_time(SECOND);
    assert_eq!(world.state(), StateName::Backoff, "it has ended");
}

#[test]
fn a_look_that_could_not_tell_is_no_end() {
    let mut world = started(World::new().found("app"));
    world.see("app", Status::Pass);
    world.see("app", Status::Unknown);
    world.pass_time(SECOND * 30);
    assert_eq!(world.state(), StateName::Starting);
}

#[test]
fn a_start_that_leaves_nothing_behind_is_not_waited_for_to_the_end() {
    let appears = |world: &mut World| {
        world.redefine(|policy| policy.appear_within = Some(SECOND * 20));
        world.see("app", Status::Fail);
        world.plan(vec![keep("start")]);
        world.step_ok();
        world.see("app", Status::Fail);
    };
    let mut world = World::new().found("app").component("page", OnDown::Restart).load();
    appears(&mut world);
    world.pass_time(SECOND * 19);
    assert_eq!(world.state(), StateName::Starting);
    world.pass_time(SECOND);
    assert_eq!(world.state(), StateName::Backoff);
    assert!(world.view().reason.contains("left nothing behind that was seen within 20s"));

    let mut world = World::new().found("app").component("page", OnDown::Restart).load();
    appears(&mut world);
    world.see("app", Status::Pass);
    world.see("page", Status::Fail);
    world.pass_time(SECOND * 59);
    assert_eq!(world.state(), StateName::Starting, "it is there");
    world.pass_time(SECOND);
    assert_eq!(world.state(), StateName::Backoff);
}

#[test]
fn progress_gives_a_start_its_whole_time_again() {
    let mut world = started(World::new().process("app"));
    let progress = |world: &mut World, value: f64| {
        observe(world, "page", |seen| {
            seen.status = Status::Fail;
            seen.measurements = vec![Measurement { name: "progress".into(), value, unit: "%".into() }];
        });
    };
    for percent in 1..20 {
        progress(&mut world, f64::from(percent));
        world.pass_time(SECOND * 50);
        assert_eq!(world.state(), StateName::Starting);
    }
    progress(&mut world, 19.0);
    world.pass_time(SECOND * 10);
    assert_eq!(world.state(), StateName::Backoff, "it has come no further");
}

#[test]
fn what_was_found_running_for_long_is_not_starting() {
    for (uptime, state) in
        [(10.0, StateName::Starting), (59.0, StateName::Starting), (61.0, StateName::Backoff)]
    {
        let mut world = World::new().process("app").component("page", OnDown::Restart).load();
        let up = |seen: &mut Observation| {
            seen.measurements = vec![Measurement { name: "uptime".into(), value: uptime, unit: "s".into() }];
        };
        observe(&mut world, "app", up);
        observe(&mut world, "app", up);
        world.see("page", Status::Fail);
        assert_eq!(world.state(), state, "{uptime}");
        if state == StateName::Starting {
            world.pass_time(Duration::from_secs_f64(60.0 - uptime));
            assert_eq!(world.state(), StateName::Backoff, "its time began when it was started");
        }
    }
}

#[test]
fn a_checker_that_stops_the_module_does_not_do_so_before_the_time_is_over() {
    let mut world = World::new().process("app").component("page", OnDown::Stop).load();
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("app", Status::Pass);
    world.see("page", Status::Fail);
    assert_eq!(world.state(), StateName::Starting);
    world.pass_time(SECOND * 60);
    assert_eq!(world.state(), StateName::Stopping);
    world.plan(vec![]);
    assert_eq!(world.state(), StateName::Failed);
}

#[test]
fn a_checker_that_takes_it_out_counts_one_failure_in_each_of_its_intervals() {
    let mut world = World::new().process("app").component("page", OnDown::Out).load();
    world.redefine(|policy| policy.checkers.get_mut("page").unwrap().thresholds.fall = 3);
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.see("app", Status::Pass);
    for _ in 0..99 {
        world.see("page", Status::Fail);
        assert_eq!(world.state(), StateName::Starting);
        world.pass_time(SECOND / 10);
    }
    world.pass_time(SECOND / 10);
    world.see("page", Status::Fail);
    assert_eq!((world.state(), world.ready()), (StateName::Up, false), "after 0 s, 5 s and 10 s");
}

#[test]
fn that_a_checker_came_up_is_told_once_for_each_start() {
    let mut world = World::new().process("app").component("page", OnDown::Restart).load();
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.see("app", Status::Pass);
    world.step_ok();
    world.all_pass();
    assert_eq!(world.state(), StateName::Up);
    let told = |name: &str| {
        let line = format!("checker `{name}`: undecided → up");
        world.records().iter().filter(|record| record.kind.sentence().contains(&line)).count()
    };
    assert_eq!((told("app"), told("page")), (1, 1));
}

#[test]
fn a_checker_that_is_new_while_the_application_starts_does_not_end_the_start() {
    let mut world = started(World::new().process("app"));
    world.redefine(|policy| {
        let page = policy.checkers["page"].clone();
        policy.checkers.insert("extra".parse().unwrap(), page);
    });
    world.see("extra", Status::Fail);
    assert_eq!(world.state(), StateName::Starting);
}

#[test]
fn a_start_that_fails_is_tried_for_long_with_growing_waits_and_not_counted() {
    let mut world = World::new().process("app").load();
    world.redefine(|policy| policy.keep_trying = SECOND * 600);
    let (began, mut tries) = (world.now(), 0);
    while world.view().restarts == 0 {
        world.serve_plans_until(|w| w.state() == StateName::Up);
        world.see("app", Status::Fail);
        tries += 1;
        assert_ne!(world.state(), StateName::Failed);
    }
    let waited = world.now().since(began);
    assert!(waited >= SECOND * 600 && waited < SECOND * 670, "{waited:?}");
    assert!((20..50).contains(&tries), "{tries}");
    assert!(world.told("not counted: an application that does not stay up is retried for 10m"));
    assert!(world.told("it has failed 20 times in a row, for"));
}

#[test]
fn an_application_that_was_up_for_long_is_counted_and_restarted_at_once() {
    let mut world = World::up();
    world.redefine(|policy| policy.keep_trying = SECOND * 600);
    for count in 1..=3 {
        world.pass_time(SECOND * 60);
        world.see("app", Status::Fail);
        assert_eq!((world.state(), world.view().restarts), (StateName::Restarting, count));
        world.serve_plans_until(|w| w.state() == StateName::Up);
    }
    world.pass_time(SECOND * 60);
    world.see("app", Status::Fail);
    assert_eq!(world.state(), StateName::Stopping);
}

#[test]
fn one_cause_counts_once_until_the_application_has_been_well_again() {
    let mut world = World::up();
    world.redefine(|policy| policy.keep_trying = SECOND * 600);
    for _ in 0..8 {
        world.see("app", Status::Fail);
        assert_eq!(world.view().restarts, 1);
        world.serve_plans_until(|w| w.state() == StateName::Up);
        world.pass_time(SECOND * 10);
    }
    world.pass_time(SECOND * 50);
    world.see("app", Status::Fail);
    assert_eq!((world.state(), world.view().restarts), (StateName::Restarting, 2));
}

#[test]
fn a_person_begins_the_row_anew() {
    let mut world = World::new().process("app").load();
    world.redefine(|policy| policy.keep_trying = SECOND * 600);
    for _ in 0..5 {
        world.serve_plans_until(|w| w.state() == StateName::Up);
        world.see("app", Status::Fail);
    }
    assert!(world.view().reason.contains("5 times in a row"), "{}", world.view().reason);
    world.serve_plans_until(|w| w.view().plan.is_none());
    world.command(Command::Start);
    world.serve_plans_until(|w| w.state() == StateName::Up);
    world.see("app", Status::Fail);
    assert!(!world.view().reason.contains("in a row"), "{}", world.view().reason);
}

#[test]
fn a_start_that_has_failed_for_a_minute_is_news() {
    let mut world = World::new().process("app").load();
    world.redefine(|policy| policy.keep_trying = SECOND * 600);
    let began = world.now();
    while world.now().since(began) < SECOND * 200 {
        world.serve_plans_until(|w| w.state() == StateName::Up);
        world.see("app", Status::Fail);
        let news = world.records().iter().any(|record| record.kind.is_of_a_start_that_keeps_failing());
        assert_eq!(news, world.now().since(began) >= SECOND * 60);
    }
}
