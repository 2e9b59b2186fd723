//! The state that a user decided on, and whether it is still valid.

use std::time::Duration;

use crate::access::Role;
use crate::command::{Command, CommandOutcome, DeniedReason};
use crate::observation::Status;
use crate::permission::{Authorization, Permission};
use crate::policy::OnDown;
use crate::state::StateName;

use super::world::World;

fn moved(world: &World, seen: u64) -> Option<DeniedReason> {
    let authorization = Authorization { seen: Some(seen), ..Authorization::of(Role::Control) };
    let permission = Permission::on(&world.snapshot(), "web", Command::Suspend, &authorization);
    permission.expect("there is such a module").denial()
}

/// The same world, repeatedly, one for each command.
type Build = fn() -> World;

fn stopped() -> World {
    World::new().process("app").wanted_started(false).load()
}

fn starting() -> World {
    World::new().process("app").load()
}

fn waiting() -> World {
    let mut world = World::new().process("app").component("db", OnDown::Wait).load_up();
    world.see("db", Status::Fail);
    world.plan(Vec::new());
    world
}

fn restarting() -> World {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world
}

fn backoff() -> World {
    let mut world = restarting();
    world.no_plan("trap");
    world
}

fn failed() -> World {
    let mut world = World::new().process("app").component("licence", OnDown::Stop).load_up();
    world.see("licence", Status::Fail);
    world.plan(Vec::new());
    world
}

fn draining_to(command: Command) -> World {
    let mut world = World::up().draining_for(Duration::from_secs(10));
    world.command(command);
    world
}

fn stopping() -> World {
    let mut world = World::up().draining_for(Duration::ZERO);
    world.command(Command::Stop);
    world
}

#[test]
fn no_module_accepts_what_is_said_to_come_to_nothing() {
    let cases: [(StateName, Build); 10] = [
        (StateName::Up, World::up),
        (StateName::Stopped, stopped),
        (StateName::Starting, starting),
        (StateName::Waiting, waiting),
        (StateName::Restarting, restarting),
        (StateName::Backoff, backoff),
        (StateName::Failed, failed),
        (StateName::Draining, || draining_to(Command::Stop)),
        (StateName::Draining, || draining_to(Command::Restart)),
        (StateName::Stopping, stopping),
    ];
    let mut idle = 0;
    for (state, build) in cases {
        for command in Command::ALL {
            let mut world = build();
            assert_eq!(world.state(), state);
            let admin = Authorization { confirmed: Some("web".to_owned()), ..Authorization::of(Role::Admin) };
            let permission = Permission::on(&world.snapshot(), "web", command, &admin);
            let outcome = world.command(command);
            if let Some(Permission::Idle(why)) = permission {
                idle += 1;
                assert!(
                    !matches!(outcome, CommandOutcome::Accepted(_)),
                    "{command} {state}: {why}; {outcome:?}"
                );
            }
        }
    }
    assert!(idle > 25, "only {idle} commands would come to nothing");
}

#[test]
fn what_checkers_say_again_and_again_does_not_outdate_what_a_person_saw() {
    let mut world = World::up();
    let seen = world.snapshot().generation;
    for _ in 0..5 {
        world.see("page", Status::Pass);
    }
    assert!(world.snapshot().generation > seen, "every run is shown");
    assert_eq!(moved(&world, seen), None);
}

#[test]
fn a_change_of_state_outdates_it_and_the_refusal_says_what_is_so_now() {
    let mut world = World::up();
    let seen = world.snapshot().generation;
    world.see("app", Status::Fail);
    assert_ne!(world.state(), StateName::Up);
    let why = moved(&world, seen).expect("it has moved").to_string();
    assert!(why.contains(&world.state().to_string()) && why.contains("not ready"), "{why}");
    assert_eq!(moved(&world, world.snapshot().generation), None);
}

#[test]
fn a_second_click_meets_what_the_first_one_did() {
    let mut world = World::up().draining_for(Duration::from_secs(10));
    let seen = world.snapshot().generation;
    world.command(Command::Restart);
    assert!(moved(&world, seen).is_some());
}

#[test]
fn a_changed_file_outdates_it_also_if_the_module_goes_on_as_before() {
    let mut world = World::up();
    let seen = world.snapshot().generation;
    world.redefine(|policy| policy.drain = Duration::from_secs(99).into());
    assert_eq!(world.state(), StateName::Up);
    assert!(moved(&world, seen).is_some());
}

#[test]
fn a_picture_of_the_next_daemon_is_never_below_one_of_the_last() {
    let mut world = World::up();
    let seen = world.snapshot().generation;
    world.pass_time(Duration::from_secs(1));
    world.kill_daemon();
    assert!(world.snapshot().generation > seen);
    assert!(moved(&world, seen).is_some(), "another daemon shows it now");
}

#[test]
fn a_picture_that_is_not_yet_is_nobodys() {
    let world = World::up();
    assert!(moved(&world, world.snapshot().generation + 1).is_some());
}
