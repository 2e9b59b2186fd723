//! The daemon cannot allocate more memory.

use bellwether_tests::answers::Verdict;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::is_alive;
use rustix::process::Resource;

use super::scene::Scene;

#[test]
fn without_address_space_a_start_is_tried_again_and_not_counted() {
    let mut scene = Scene::begin();
    // Once without a limit: then the daemon already has the memory that a restart needs besides the new process.
    let first = scene.kill();
    scene.another_than(first);
    scene.serves();
    scene.limit(Resource::As, Some(scene.holds("VmSize") << 10));
    scene.kill();
    scene.serves_not();
    let module = eventually("the shortage is told", || {
        let module = scene.daemon.module("web");
        module.reason.contains("there is no memory left").then_some(module)
    });
    assert_eq!(module.restarts, 2, "only those for the two deaths: {module:?}");
    scene.limit(Resource::As, None);
    scene.serves();
    assert_eq!(scene.restarts(), 2);
    scene.answered("no address space", &[200, 503]);
}

#[test]
fn a_daemon_that_gets_no_memory_at_all_may_end_and_never_takes_the_application_with_it() {
    let mut scene = Scene::begin();
    let pid = scene.application();
    scene.answered("before the end", &[200]);
    // Less than it has: the next page that it needs is refused.
    scene.limit(Resource::Data, Some(1));
    for _ in 0..50 {
        if scene.daemon.ended().is_some() {
            break;
        }
        // Every client needs some memory.
        drop(scene.daemon.client(&["events", "--json"]));
    }
    assert!(is_alive(pid), "{}", scene.daemon.log());
    scene.daemon.kill();
    scene.daemon.run_again();
    scene.serves();
    assert_eq!((scene.application(), scene.restarts()), (pid, 0), "{}", scene.daemon.log());
    scene.daemon.until_verdict("web", "home", Verdict::Up);
}
