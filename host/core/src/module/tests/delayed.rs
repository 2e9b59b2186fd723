//! A step that waits for leftovers of the last run of its command.

use std::time::Duration;

use crate::event::Event;
use crate::id::AttemptId;
use crate::observation::Status;
use crate::plan::{MAX_STEP_TIME, StepAction};
use crate::state::StateName;

use super::world::{World, module};

const LEFT: &str = "waiting for 1 process of the last run: postgres 4711";
const WITHIN: Duration = Duration::from_secs(14);

/// Its application has died, and the step that starts it again is in progress.
fn restarting() -> World {
    let mut world = World::up();
    world.see("app", Status::Fail);
    world.serve_plans_until(|world| matches!(world.step_at_work(), Some((_, _, StepAction::Keep(_)))));
    world
}

fn delay(world: &mut World, attempt: AttemptId, step: usize, within: Duration) {
    world.tell(Event::StepDelayed { module: module(), attempt, step, reason: LEFT.to_owned(), within });
}

#[test]
fn it_has_its_whole_time_after_the_wait_and_says_what_it_waits_for() {
    let mut world = restarting();
    let (attempt, index, _) = world.step_at_work().unwrap();
    let before = world.view().restarts;
    delay(&mut world, attempt, index, WITHIN);
    assert!(world.told(&format!("start `start`: {LEFT}")));
    let plan = world.view().plan.unwrap();
    assert!(plan.steps[plan.step].ends_with(LEFT), "{plan:?}");
    world.pass_time(WITHIN + Duration::from_secs(9));
    assert_eq!(world.step_at_work().unwrap().0, attempt, "it is not overdue yet");
    world.step_ok();
    world.serve_plans_until(|world| world.state() == StateName::Up);
    assert_eq!(world.view().restarts, before, "one incident is one restart");
}

#[test]
fn the_wait_is_over_once() {
    for within in [WITHIN, Duration::MAX] {
        let mut world = restarting();
        let (attempt, index, _) = world.step_at_work().unwrap();
        delay(&mut world, attempt, index, within);
        let due = world.next_deadline().unwrap();
        assert!(due <= world.now() + MAX_STEP_TIME + Duration::from_secs(10), "every plan ends");
        world.pass_time(Duration::from_secs(5));
        delay(&mut world, attempt, index, within);
        assert_eq!(world.next_deadline(), Some(due), "it is delayed once");
        world.pass_time(due.since(world.now()));
        assert_ne!(world.step_at_work().map(|(attempt, ..)| attempt), Some(attempt), "it was overdue");
    }
}

#[test]
fn news_of_another_step_change_nothing() {
    let mut world = restarting();
    let (attempt, index, _) = world.step_at_work().unwrap();
    let due = world.next_deadline();
    delay(&mut world, AttemptId::default(), index, WITHIN);
    delay(&mut world, attempt, index + 1, WITHIN);
    assert_eq!(world.next_deadline(), due);
    assert!(!world.told(LEFT));
}
