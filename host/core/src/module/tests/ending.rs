//! The shutdown of the daemon: what happens to the application.

use std::time::Duration;

use crate::command::{Command, CommandOutcome, DeniedReason};
use crate::event::Event;
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure};
use crate::shutdown::{Shutdown, at_rest};
use crate::state::StateName;

use super::world::{World, run};

const DRAIN: Duration = Duration::from_secs(15);

#[test]
fn a_drain_says_no_and_leaves_the_application_running() {
    let mut world = World::up();
    assert!(at_rest(&world.snapshot()));
    world.tell(Event::Ending(Shutdown::Drain));
    assert_eq!((world.state(), world.ready()), (StateName::Draining, false));
    assert!(!at_rest(&world.snapshot()));
    world.pass_time(Duration::from_secs(14));
    assert!(!at_rest(&world.snapshot()));
    world.pass_time(Duration::from_secs(2));
    assert!(at_rest(&world.snapshot()));
    assert_eq!((world.state(), world.occasion()), (StateName::Draining, None), "nothing is stopped");
    assert!(world.desired().started);
}

#[test]
fn an_application_that_dies_while_the_daemon_drains_is_left_to_the_next_one() {
    let mut world = World::up();
    world.tell(Event::Ending(Shutdown::Drain));
    world.see("app", Status::Fail);
    world.pass_time(DRAIN);
    assert_eq!((world.occasion(), world.ready()), (None, false));
    assert!(at_rest(&world.snapshot()));
}

#[test]
fn a_stop_drains_then_stops_and_what_a_person_wants_stays() {
    let mut world = World::up();
    world.tell(Event::Ending(Shutdown::Stop));
    assert_eq!(world.state(), StateName::Draining);
    world.pass_time(DRAIN);
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, Some(Occasion::Stop)));
    assert!(!at_rest(&world.snapshot()));
    world.plan(vec![run("stop", OnFailure::Fail)]);
    world.step_ok();
    assert_eq!((world.state(), world.desired().started), (StateName::Stopped, true));
    assert!(at_rest(&world.snapshot()));
    world.pass_time(Duration::from_secs(3600));
    assert_eq!(world.state(), StateName::Stopped, "nothing starts it again in this daemon");
}

#[test]
fn without_a_drain_it_is_stopped_at_once_and_nobody_waits_for_a_drain() {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.tell(Event::Ending(Shutdown::Drain));
    assert!(at_rest(&world.snapshot()) && world.ready(), "there is nothing to wait for");
    let mut world = World::up().draining_for(Duration::ZERO);
    world.tell(Event::Ending(Shutdown::Stop));
    assert_eq!(world.occasion(), Some(Occasion::Stop));
}

#[test]
fn what_is_suspended_is_left_as_it_is() {
    for shutdown in [Shutdown::Drain, Shutdown::Stop] {
        let mut world = World::up();
        world.command(Command::Suspend);
        world.tell(Event::Ending(shutdown));
        assert_eq!((world.state(), world.occasion()), (StateName::Up, None));
        assert!(at_rest(&world.snapshot()));
    }
}

#[test]
fn a_start_under_way_is_stopped_and_no_next_try_is_made() {
    let mut world = World::new().process("app").load();
    world.see("app", Status::Fail);
    world.tell(Event::Ending(Shutdown::Stop));
    assert_eq!((world.state(), world.occasion()), (StateName::Stopping, Some(Occasion::Stop)));

    let mut world = World::new().process("app").load();
    world.see("app", Status::Fail);
    world.no_plan("the script was ended");
    assert_eq!(world.state(), StateName::Backoff);
    world.tell(Event::Ending(Shutdown::Drain));
    world.plan(vec![]);
    world.pass_time(Duration::from_secs(600));
    assert_eq!(world.state(), StateName::Backoff);
}

#[test]
fn nobody_is_obeyed_any_more() {
    let mut world = World::up();
    world.tell(Event::Ending(Shutdown::Drain));
    for command in Command::ALL {
        assert_eq!(world.command(command), CommandOutcome::Denied(DeniedReason::Ending));
    }
    assert_eq!(world.state(), StateName::Draining);
}
