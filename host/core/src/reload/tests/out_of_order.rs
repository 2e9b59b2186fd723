//! Results that come late, twice, or in another order than requested.

use super::*;

type Does = Action<Content, Component>;

fn asking(number: u32) -> Component {
    Component { asks: true, ..well(number) }
}

/// Module `m` uses `a` and `b`; version 2 of each of these waits for approval.
fn with_two_that_wait() -> World {
    let mut world = World::new();
    world.drop_component("b", well(1));
    world.drop_module("m", uses(&["a", "b"]));
    let mut world = world.begin();
    for name in ["a", "b"] {
        world.drop_component(name, asking(2));
        world.settle();
        assert!(world.says(&checker(name)).starts_with("waits for approval"), "{:?}", world.shown);
    }
    world
}

/// Passes the event to the machine only: its actions are not carried out.
fn tell(world: &mut World, event: Event<Content, Component>) -> Vec<Does> {
    let now = world.now;
    world.reload.handle(event, now)
}

fn ask_to_approve(world: &mut World, number: u64, name: &str) -> Vec<Does> {
    let (request, name, by) = (RequestId(number), name.to_owned(), "ann".to_owned());
    tell(world, Event::Approve { request, name, seen: None, by })
}

/// The approvals that are written by these actions.
fn written(actions: &[Does]) -> &Approvals {
    let written = actions.iter().find_map(|action| match action {
        Action::Write { approvals, .. } => Some(approvals),
        _ => None,
    });
    written.unwrap_or_else(|| panic!("nothing is written: {actions:?}"))
}

#[test]
fn approvals_that_are_being_written_are_in_all_that_is_written_meanwhile() {
    let mut world = with_two_that_wait();
    let first = ask_to_approve(&mut world, 1, "a");
    assert!(written(&first).is_approved("checkers/a.wasm", "2"));
    let second = ask_to_approve(&mut world, 2, "b");
    assert!(written(&second).is_approved("checkers/a.wasm", "2"));
    assert!(written(&second).is_approved("checkers/b.wasm", "2"));
    // The first one becomes active, and its requests are stored.
    let active = tell(&mut world, Event::Written { request: RequestId(1), result: Ok(()) });
    assert!(active.iter().any(|action| matches!(action, Action::Activate { .. })), "{active:?}");
    assert!(written(&active).is_approved("checkers/b.wasm", "2"));
    assert!(written(&active).asked("checkers/a.wasm").is_some_and(|asks| !asks.is_empty()));
}

#[test]
fn a_mistaken_file_that_was_read_again_before_it_changed_does_not_become_active() {
    let mut world = with_b();
    let mistaken = |config| Says { mistaken: true, config, ..uses(&["a"]) };
    world.drop_module("n", mistaken(1));
    world.settle();
    assert_eq!(world.says(&module("n")), "a mistake");
    world.prompt = false;
    world.pass(Duration::from_secs(6));
    assert_eq!(world.tasks(), 1, "it is read again");
    world.drop_module("n", mistaken(2));
    world.settle();
    assert_eq!(world.tasks(), 2, "it has changed");
    world.finish(1);
    // The component that the file names existed for a moment: the previous version would have become active.
    world.finish_reading(0, uses(&["a"]));
    assert_eq!(world.modules.len(), 1, "{:?}", world.modules);
    assert_eq!(world.says(&module("n")), "a mistake");
}

#[test]
fn a_bad_component_holds_up_no_module_once_the_start_is_over() {
    let mut world = World::new();
    world.drop_component("a", Component { behaviour: Behaviour::Garbage, ..well(2) });
    world.drop_module("m", uses(&["a"]));
    world.drop_module("n", uses(&["a"]));
    world.prompt = false;
    let mut world = world.begin();
    assert_eq!(world.tasks(), 3);
    // `a` and `m` are loaded, and `n` never is.
    world.finish(0);
    world.finish(0);
    world.pass(Duration::from_secs(15));
    assert_eq!((world.tasks(), world.modules.len()), (2, 0), "`a` is loaded once more");
    world.finish(1);
    world.pass(Duration::from_secs(5));
    assert!(!world.reload.is_beginning());
    assert_eq!(world.modules.keys().map(ModuleName::as_str).collect::<Vec<_>>(), ["m"]);
    assert_eq!(number(&world, "a"), Some(901));
}

#[test]
fn a_version_is_tried_with_a_checker_that_is_active() {
    let mut world = with_b();
    world.drop_module("n", uses(&["b"]));
    world.settle();
    world.run_checkers();
    // The checker of `m` has answered; it is removed, and comes back with the new version.
    world.drop_module("m", uses(&["a"]));
    world.settle();
    world.drop_component("b", Component { behaviour: Behaviour::Breaks, ..well(2) });
    world.drop_module("m", uses(&["a", "b"]));
    world.settle();
    assert_eq!(world.says(&checker("b")), "its trial run for checker `b` of module `n`: trapped");
    assert_eq!(number(&world, "b"), Some(1));
}

#[test]
fn an_approval_is_answered_once_the_version_is_active() {
    let mut world = with_two_that_wait();
    ask_to_approve(&mut world, 1, "a");
    // Something has changed in the meantime: the decision needs a comparison first.
    world.reload.fits.clear();
    let asked = tell(&mut world, Event::Written { request: RequestId(1), result: Ok(()) });
    let is_answer = |action: &Does| matches!(action, Action::Answer { answer: Ok(_), .. });
    assert!(!asked.iter().any(is_answer), "{asked:?}");
    let pairs = asked.into_iter().find_map(|action| match action {
        Action::Compare(comparisons) => Some(comparisons.into_iter().map(|it| it.pair)),
        _ => None,
    });
    let fits = pairs.expect("it compares").map(|pair| (pair, Ok(()))).collect();
    let decided = tell(&mut world, Event::Compared { fits });
    assert!(decided.iter().any(|action| matches!(action, Action::Activate { .. })), "{decided:?}");
    assert!(decided.last().is_some_and(is_answer), "{decided:?}");
}

#[test]
fn a_version_that_waits_or_is_tried_is_loaded_again_when_other_signatures_are_trusted() {
    let trust_changed = || Event::LookNow { rescan: Duration::from_secs(5), trust_changed: true };
    let mut world = with_b();
    world.drop_component("b", asking(2));
    world.settle();
    assert!(world.says(&checker("b")).starts_with("waits for approval"), "{:?}", world.shown);
    world.prompt = false;
    world.tell(trust_changed());
    assert_eq!(world.tasks(), 1, "it is loaded again");
    // Until it is known whether it is trusted, there is nothing to approve.
    world.approve("b");
    assert_eq!(world.answers.pop(), Some(Err(NotApproved::NothingWaits("b".to_owned()))));
    let mut world = with_b();
    world.prompt = false;
    world.drop_component("b", well(2));
    world.settle();
    world.finish(0);
    assert_eq!(world.tasks(), 1, "it is tried");
    world.tell(trust_changed());
    assert_eq!(world.tasks(), 2, "and loaded again");
    world.finish(0);
    assert_eq!(number(&world, "b"), Some(1), "whatever the trial of the version before says");
    world.prompt = true;
    world.finish(0);
    assert_eq!(number(&world, "b"), Some(2));
}
