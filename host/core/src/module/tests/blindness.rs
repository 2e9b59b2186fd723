//! Checkers that can no longer determine their status.

use crate::observation::Status;
use crate::policy::OnDown;
use crate::record::RecordKind;
use crate::state::StateName;
use crate::verdict::Verdict;

use super::SECOND;
use super::world::World;

/// How often it is recorded that this checker cannot tell.
fn told(world: &World, name: &str) -> usize {
    let of_it = |kind: &RecordKind| matches!(kind, RecordKind::CannotTell { checker, runs: 3, .. } if checker.as_str() == name);
    world.records().iter().filter(|record| of_it(&record.kind)).count()
}

/// This many unknown results at the usual interval.
fn cannot_tell(world: &mut World, name: &str, runs: usize) {
    for _ in 0..runs {
        world.pass_time(SECOND * 5);
        world.see(name, Status::Unknown);
    }
}

/// Up, with a checker whose results were always unknown.
fn with_a_broken_one() -> World {
    let mut world = World::new().process("app").component("page", OnDown::Restart).load();
    world.see("app", Status::Pass);
    world.see("app", Status::Pass);
    for _ in 0..3 {
        world.see("page", Status::Unknown);
    }
    assert_eq!(world.state(), StateName::Up);
    world
}

#[test]
fn a_checker_that_cannot_tell_any_more_is_told_once_until_it_can() {
    let mut world = World::up();
    cannot_tell(&mut world, "page", 2);
    assert_eq!(told(&world, "page"), 0, "once or twice is nothing");
    cannot_tell(&mut world, "page", 20);
    assert_eq!(told(&world, "page"), 1);
    world.see("page", Status::Pass);
    let page = world.view().checkers.into_iter().find(|checker| checker.name.as_str() == "page");
    assert_eq!(page.map(|page| page.verdict), Some(Verdict::Up));
    cannot_tell(&mut world, "page", 3);
    assert_eq!(told(&world, "page"), 2, "it is news again");
}

#[test]
fn a_checker_that_could_never_tell_is_told_too() {
    let mut world = with_a_broken_one();
    cannot_tell(&mut world, "page", 2);
    assert_eq!(told(&world, "page"), 1);
}

#[test]
fn the_quick_runs_of_a_start_are_no_blindness() {
    let mut world = with_a_broken_one();
    assert_eq!(told(&world, "page"), 0);
    world.see("page", Status::Pass);
    world.pass_time(SECOND * 60);
    world.see("page", Status::Pass);
    assert_eq!(told(&world, "page"), 0);
}

#[test]
fn where_nothing_is_expected_to_live_nothing_is_told() {
    let mut world = World::new().process("app").component("licence", OnDown::Stop).load_up();
    world.see("licence", Status::Fail);
    world.plan(vec![]);
    assert_eq!(world.state(), StateName::Failed);
    cannot_tell(&mut world, "app", 10);
    assert_eq!(told(&world, "app"), 0);
}
