//! A newer binary in place of the old one: the application keeps serving.

use std::fs;

use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::process::start;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

use super::application;

#[test]
fn an_upgrade_in_place_does_not_touch_the_application() {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let place = tempfile::tempdir().expect("a folder");
    let binary = place.path().join("usr/local/bin/bellwether");
    let install = ["install", "--root-dir", place.path().to_str().expect("a path")];
    let installed = bellwether_ends(&install);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let mut daemon = Daemon::run_binary(&binary, root.path(), root.health, &[]);
    daemon.until_ready("web");
    let pid = application(&daemon);
    let running = fs::metadata(&binary).expect("it is there");

    // While it runs: the file is replaced by a rename, not overwritten.
    fs::write(&binary, fs::read(bellwether()).expect("a binary")).expect_err("a program that runs is busy");
    let old = bellwether_ends(&install);
    assert!(old.code == Some(0) && old.out.contains("up to date"), "the same again: {old:?}");
    let newer = place.path().join("newer");
    let mut bytes = fs::read(bellwether()).expect("a binary");
    bytes.extend_from_slice(b"newer");
    fs::write(&newer, bytes).expect("a newer binary");
    fs::set_permissions(&newer, running.permissions()).expect("its mode");
    let mut upgraded = start(std::process::Command::new(&newer).args(install));
    assert!(upgraded.0.wait().is_ok_and(|ended| ended.success()), "the newer one cannot be installed");
    assert!(web.ask().is_some());

    daemon.end();
    daemon.run_again();
    daemon.until_ready("web");
    assert_eq!(application(&daemon), pid);
    let exe = fs::read(format!("/proc/{}/exe", daemon.pid())).expect("its program");
    assert!(exe.ends_with(b"newer"), "the new daemon is the newer one");
}
