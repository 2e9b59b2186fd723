//! Other programs use all processors.

use std::process::{Command, Stdio};
use std::time::Duration;

use bellwether_tests::answers::Verdict;
use bellwether_tests::process::Guarded;

use super::scene::Scene;

#[test]
fn beside_others_that_take_all_processors_nobody_is_taken_for_dead_and_the_dead_are_restarted() {
    let mut scene = Scene::begin();
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let busy = || {
        let child = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Guarded(child.expect("a shell"))
    };
    let others: Vec<Guarded> = (0..4 * processors).map(|_| busy()).collect();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(scene.restarts(), 0, "{:#?}", scene.daemon.events());
    let before = scene.kill();
    scene.another_than(before);
    scene.serves();
    std::thread::sleep(Duration::from_secs(1));
    drop(others);
    scene.daemon.until_verdict("web", "home", Verdict::Up);
    assert_eq!(scene.restarts(), 1, "{:#?}", scene.daemon.events());
    scene.answered("no processor", &[200, 503]);
}
