//! A drain that was announced to a load balancer is cancelled, and nothing else is.

use std::time::Duration;

use crate::command::Command;
use crate::event::Event;
use crate::observation::Status;
use crate::readmission::READMIT_FOR;
use crate::shutdown::Shutdown;
use crate::state::StateName;

use super::world::{World, keep};

const SECOND: Duration = Duration::from_secs(1);

/// Stopped by a user after its drain.
fn stopped() -> World {
    let mut world = World::up();
    world.command(Command::Stop);
    world.pass_time(Duration::from_secs(15));
    world.plan(Vec::new());
    assert_eq!(world.state(), StateName::Stopped);
    world
}

fn start(world: &mut World) {
    world.command(Command::Start);
    world.serve_plans_until(|world| world.state() == StateName::Up);
}

#[test]
fn a_module_that_was_drained_is_readmitted_for_a_minute_from_when_it_serves_again() {
    let mut world = stopped();
    world.pass_time(READMIT_FOR * 30);
    assert_eq!(world.view().readmit_until, None, "not while it does not serve");
    start(&mut world);
    let until = world.now() + READMIT_FOR;
    assert_eq!(world.view().readmit_until, Some(until));
    assert_eq!(world.snapshot().readmit_until, Some(until), "likewise all modules together");
    world.pass_time(READMIT_FOR / 2);
    world.all_pass();
    assert_eq!(world.view().readmit_until, Some(until));
}

#[test]
fn a_module_that_was_never_drained_is_not() {
    let mut world = World::up();
    assert_eq!(world.view().readmit_until, None);
    world.see("app", Status::Fail);
    world.plan(vec![keep("start")]);
    world.step_ok();
    world.all_pass();
    assert_eq!((world.state(), world.view().readmit_until), (StateName::Up, None), "it had only died");

    let mut world = World::up().draining_for(Duration::ZERO);
    world.command(Command::Restart);
    world.serve_plans_until(|world| world.state() == StateName::Up);
    assert_eq!(world.view().readmit_until, None, "no drain was announced");
}

#[test]
fn a_stop_that_is_called_off_is_taken_back_at_once() {
    let mut world = World::up();
    world.command(Command::Stop);
    world.pass_time(SECOND);
    world.command(Command::Start);
    assert_eq!(world.view().readmit_until, Some(world.now() + READMIT_FOR));
}

#[test]
fn an_application_that_dies_within_the_minute_is_readmitted_again() {
    let mut world = stopped();
    start(&mut world);
    world.pass_time(10 * SECOND);
    world.see("app", Status::Fail);
    assert_eq!(world.view().readmit_until, None);
    world.serve_plans_until(|world| world.state() == StateName::Up);
    assert_eq!(world.view().readmit_until, Some(world.now() + READMIT_FOR));
    world.pass_time(READMIT_FOR);
    world.see("app", Status::Fail);
    world.serve_plans_until(|world| world.state() == StateName::Up);
    assert_eq!(world.view().readmit_until, None, "what a person has set since then stays");
}

#[test]
fn the_next_daemon_takes_back_what_the_last_one_announced() {
    let mut world = World::up();
    world.command(Command::Stop);
    world.pass_time(SECOND);
    world.kill_daemon();
    world.pass_time(Duration::from_secs(15));
    world.plan(Vec::new());
    world.kill_daemon();
    assert_eq!(world.state(), StateName::Stopped);
    start(&mut world);
    assert_eq!(world.view().readmit_until, Some(world.now() + READMIT_FOR));
}

#[test]
fn also_after_its_file_was_away() {
    let mut world = stopped();
    world.remove();
    world.redefine(|_| ());
    start(&mut world);
    let until = Some(world.now() + READMIT_FOR);
    assert_eq!((world.view().readmit_until, world.snapshot().readmit_until), (until, until));
}

/// An earlier version did not store what it announced, or the stored state is lost.
#[test]
fn a_daemon_that_does_not_know_what_was_announced_takes_it_back() {
    let mut world = World::up();
    assert_eq!(world.view().readmit_until, None, "no daemon has run before");
    world.tell(Event::Ending(Shutdown::Drain));
    assert_eq!(world.state(), StateName::Draining);
    world.forget_all();
    world.kill_daemon();
    world.serve_plans_until(|world| world.state() == StateName::Up);
    assert_eq!(world.view().readmit_until, Some(world.now() + READMIT_FOR));
}

#[test]
fn what_was_written_down_is_believed() {
    let mut world = World::up();
    world.kill_daemon();
    world.serve_plans_until(|world| world.state() == StateName::Up);
    assert_eq!(world.view().readmit_until, None, "what a person has set stays");
}
