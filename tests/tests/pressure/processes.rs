//! No further process or thread can be created.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Conditions;
use bellwether_tests::eventually::eventually;
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;

use super::scene::Scene;

#[test]
fn at_the_limit_of_processes_a_start_is_tried_again_and_not_counted() {
    // The limit applies to every user except root.
    let user = 60_000 + std::process::id() % 5_000;
    if !rustix::process::geteuid().is_root() || !may_run(user) {
        eprintln!("skipped: another user cannot run the daemon here, and root has no limit of processes");
        return;
    }
    let mut scene =
        Scene::begin_on(Root::default(), Conditions { user: Some(user), ..Conditions::default() }, "");
    let threads = Usage::of(scene.daemon.pid()).threads;
    limit(&scene, user, "1");
    scene.kill();
    scene.serves_not();
    let tried = || {
        let events = scene.daemon.events();
        let decisions = events.iter().filter_map(|event| event.decision.as_deref());
        decisions.filter(|decision| decision.contains("not counted: this node lacks")).count()
    };
    eventually("it was tried often enough to have spent a budget", || (tried() >= 5).then_some(()));
    let module = scene.daemon.module("web");
    assert_eq!(module.restarts, 1, "only the one for the death: {module:?}");
    assert!(module.reason.contains("no further process may be started"), "{module:?}");
    assert_eq!(Usage::of(scene.daemon.pid()).threads, threads, "all that it needs were there before");

    limit(&scene, user, "4096");
    scene.serves();
    assert_eq!(scene.restarts(), 1);
    scene.answered("no process", &[200, 503]);
}

fn may_run(user: u32) -> bool {
    let tried = Command::new(bellwether()).arg("--version").uid(user).gid(user).output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Only the owner of the process can do it on every system.
fn limit(scene: &Scene, user: u32, most: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &scene.daemon.pid().to_string(), &format!("--nproc={most}:")])
        .uid(user)
        .gid(user)
        .status()
        .expect("prlimit is part of util-linux");
    assert!(status.success(), "{status}");
}
