//! Clocks that are set, and machines that are suspended.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bellwether_tests::answers::{Event, State, Verdict};
use bellwether_tests::daemon::Conditions;
use bellwether_tests::eventually::eventually;
use bellwether_tests::root::Root;

use super::scene::Scene;

const HOURS: i64 = 5 * 3_600_000_000;

/// The offsets of the daemon's clocks, in microseconds.
struct Clocks(File);

impl Clocks {
    fn begin() -> (Scene, Self) {
        let root = Root::default();
        let path = root.path().join("clocks");
        let clocks = Self(File::create(&path).expect("a file"));
        clocks.are(0, 0);
        let variables = vec![("BELLWETHER_FAULT_CLOCK".to_owned(), path.into())];
        let conditions = Conditions { variables, ..Conditions::default() };
        (Scene::begin_on(root, conditions, ""), clocks)
    }

    /// In a single write, so that no reader sees a part of it.
    fn are(&self, wall: i64, suspended: i64) {
        let text = format!("{wall:20} {suspended:20}\n");
        self.0.write_all_at(text.as_bytes(), 0).expect("it can be written");
    }
}

#[test]
fn a_wall_clock_that_is_set_changes_no_deadline_no_budget_and_no_order() {
    let (mut scene, clocks) = Clocks::begin();
    let mut restarts = 0;
    for wall in [0, HOURS, -HOURS, 20 * HOURS] {
        clocks.are(wall, 0);
        let before = scene.kill();
        scene.another_than(before);
        scene.serves();
        restarts += 1;
        assert_eq!(scene.restarts(), restarts, "all are younger than an hour, whatever the clock says");
        if wall == -HOURS {
            scene.daemon.kill();
            scene.daemon.run_again();
            scene.serves();
            assert_eq!(scene.restarts(), restarts, "the next daemon knows their age, too");
        }
    }
    let events = scene.daemon.events();
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert!(numbers.is_sorted() && !numbers.is_empty(), "{events:#?}");
    assert!(!events.iter().any(is_overdue), "{events:#?}");
    // The daemon was killed once: there was no answer then.
    scene.answered("a wall clock that is set", &[200, 503, 0]);
}

#[test]
fn a_machine_that_wakes_up_says_no_at_no_time_and_takes_nobody_for_dead() {
    let (mut scene, clocks) = Clocks::begin();
    let before = scene.kill();
    let pid = scene.another_than(before);
    scene.serves();
    scene.ask_anew();
    let before = scene.settled();
    for night in 1..=3 {
        clocks.are(0, night * HOURS);
        // Each checker has run again, and the core has been running.
        let ran = || scene.daemon.last("web", "home").map(|last| last.at);
        let before = ran();
        eventually("it has run since", || (ran() != before).then_some(()));
    }
    let module = scene.daemon.module("web");
    assert_eq!((module.state, module.ready), (State::Up, true), "{module:?}");
    assert_eq!(module.restarts, 0, "what was counted is older than an hour by now: {module:?}");
    assert_eq!(scene.application(), pid);
    let after = scene.settled();
    assert_eq!(after, before + 1, "nothing has happened but that: {:#?}", scene.daemon.events());
    scene.answered("a machine that wakes up", &[200]);
}

fn is_overdue(event: &Event) -> bool {
    format!("{event:?}").contains("not done within")
}

impl Scene {
    /// Waits until all events so far are recorded, by requesting a run of the checker and waiting for its record.
    /// Returns the number of records.
    fn settled(&self) -> usize {
        self.daemon.until_verdict("web", "home", Verdict::Up);
        let asked_for = || self.daemon.events().iter().filter(|event| event.kind == "access").count();
        let before = asked_for();
        self.daemon.tell(&["check", "web", "home"]);
        eventually("the run is written down", || (asked_for() > before).then_some(()));
        self.daemon.events().len()
    }
}
