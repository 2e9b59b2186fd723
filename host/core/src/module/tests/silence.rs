//! A checker whose observations are missing.

use std::time::Duration;

use crate::action::Action;
use crate::observation::Status;
use crate::policy::OnDown;
use crate::state::StateName;
use crate::verdict::Verdict;

use super::world::World;

const PATIENCE: Duration = Duration::from_secs(10);

fn world() -> World {
    let mut world = World::new().component("page", OnDown::Restart).component("disk", OnDown::Out).load_up();
    world.redefine(|policy| {
        for checker in policy.checkers.values_mut() {
            checker.patience = PATIENCE;
        }
    });
    // From here on they are expected.
    world.all_pass();
    world
}

fn verdict(world: &World, name: &str) -> (Verdict, String) {
    let view = world.view();
    let checker = view.checkers.iter().find(|checker| checker.name.as_str() == name).unwrap();
    (checker.verdict, checker.last.as_ref().map(|last| last.summary.clone()).unwrap_or_default())
}

#[test]
fn its_verdict_is_given_up_and_it_is_begun_anew() {
    let mut world = world();
    let before = world.generation("page");
    world.pass_time(PATIENCE / 2);
    world.see("disk", Status::Pass);
    world.pass_time(PATIENCE / 2);
    let (held, said) = verdict(&world, "page");
    assert_eq!((held, said.as_str()), (Verdict::Up, "the checker has not answered for 10s"));
    assert_ne!(world.generation("page"), before, "the process that ran it is replaced");
    assert!(verdict(&world, "disk").1.contains("pass"), "the other one has answered");
    world.pass_time(Duration::from_secs(3));
    assert_eq!(verdict(&world, "page").0, Verdict::Undecided);
    assert_eq!((world.state(), world.occasion()), (StateName::Up, None), "it does not cause a restart");
    world.see("page", Status::Pass);
    world.see("disk", Status::Pass);
    assert_eq!((verdict(&world, "page").0, world.ready()), (Verdict::Up, true));
}

#[test]
fn when_all_are_silent_health_says_no() {
    let mut world = world();
    world.pass_time(PATIENCE + Duration::from_secs(3));
    assert_eq!((world.state(), world.ready()), (StateName::Up, false));
    let watches = world.actions().iter().filter(|action| matches!(action, Action::Watch { .. })).count();
    assert_eq!(watches, 2, "each is begun anew once");
}

#[test]
fn an_answer_in_time_starts_the_time_anew() {
    let mut world = world();
    for _ in 0..10 {
        world.pass_time(PATIENCE * 9 / 10);
        world.all_pass();
    }
    assert!(!verdict(&world, "page").1.contains("not answered"));
}

#[test]
fn nobody_is_blamed_for_time_in_which_the_core_did_not_turn() {
    let mut world = world();
    world.sleep(PATIENCE * 100);
    assert!(!verdict(&world, "page").1.contains("not answered"));
    world.pass_time(PATIENCE);
    assert!(verdict(&world, "page").1.contains("not answered"), "from then on they are expected again");
}

#[test]
fn the_next_run_is_known_while_it_answers() {
    let next = |world: &World| {
        let view = world.view();
        let checker = view.checkers.iter().find(|checker| checker.name.as_str() == "page").unwrap();
        let last = checker.last.as_ref().unwrap().at;
        checker.next.map(|next| next.since(last))
    };
    let mut world = world();
    let interval = Some(Duration::from_secs(5));
    assert_eq!(next(&world), interval);
    world.pass_time(PATIENCE);
    assert_eq!(next(&world), None, "a silent checker has no next run");
    world.see("page", Status::Pass);
    assert_eq!(next(&world), interval);
}
