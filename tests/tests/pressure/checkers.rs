//! Thousands of checkers: 2,000 in a long run (`BELLWETHER_LONG=1`), and 500 in every run, which share the threads
//! for components and the places in the queue in the same way.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use bellwether_tests::answers::Outcome;
use bellwether_tests::daemon::Conditions;
use bellwether_tests::eventually::within;
use bellwether_tests::guest::HOSTILE;
use bellwether_tests::long;
use bellwether_tests::root::Root;

use super::scene::Scene;

const MODULES: usize = 20;
const CHECKERS: usize = 25;
const CHECKERS_OF_A_LONG_RUN: usize = 100;

#[test]
fn thousands_of_component_checkers_run_each_in_its_time_and_disturb_nobody() {
    // Fifty a second.
    let (checkers, interval) = long::part((CHECKERS, "10s"), (CHECKERS_OF_A_LONG_RUN, "40s"));
    let root = Root::default();
    root.write("checkers/behaved.wasm", HOSTILE);
    for module in 0..MODULES {
        let mut file = "[commands]\nstart = { run = [\"/bin/true\"] }\n".to_owned();
        for checker in 0..checkers {
            let written = write!(
                file,
                "[[checker]]\nname = \"c{checker}\"\ncomponent = \"behaved\"\ninterval = \"{interval}\"\n\
                 timeout = \"1m\"\nrise = 1\non-down = \"notify\"\nconfig = {{ act = \"pass\" }}\n"
            );
            written.expect("a text takes all");
        }
        root.write(&format!("modules/m{module}.toml"), file);
    }
    let mut scene = Scene::begin_on(root, Conditions::default(), "");
    assert_eq!(scene.daemon.problems(), "");
    let mut passed = BTreeSet::new();
    within(Duration::from_secs(600), "all have passed", || {
        let status = scene.daemon.status();
        for module in &status.modules {
            for checker in &module.checkers {
                let outcome = checker.last.as_ref().map(|last| last.status);
                assert_ne!(outcome, Some(Outcome::Unknown), "{checker:?}");
                if outcome == Some(Outcome::Pass) {
                    passed.insert((module.name.clone(), checker.name.clone()));
                }
            }
        }
        std::thread::sleep(Duration::from_secs(1));
        (passed.len() >= MODULES * checkers).then_some(())
    });
    let before = scene.kill();
    scene.another_than(before);
    scene.serves();
    assert_eq!(scene.restarts(), 1);
    scene.answered("thousands of checkers", &[200, 503]);
}
