//! What follows when a checker goes down, for each `on-down`, and what does not when it cannot tell.

use std::time::Duration;

use super::world::World;
use crate::observation::Status;
use crate::plan::Occasion;
use crate::policy::OnDown;
use crate::state::StateName;

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
