//! Runs a test in a network namespace of its own, so that it does not listen on addresses of this machine.

use std::env;
use std::process::{Command, Stdio};

/// Set for the inner run of the test.
const INSIDE: &str = "BELLWETHER_TEST_INSIDE";
const UNSHARE: &str = "/usr/bin/unshare";
/// As root, and as a user who may be root in a namespace.
const WAYS: [&[&str]; 2] = [&["--net"], &["--map-root-user", "--net"]];
/// A namespace without any address accepts every address as its own, so it gets the loopback.
const WITH_LOOPBACK: &str = "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec \"$@\"";

/// Whether this is the inner run. In the outer run, the test with this name is run again in the namespace, and has
/// to pass; if no namespace can be created, that is reported.
pub fn is_inside(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |flags: &[&str]| {
        let mut command = Command::new(UNSHARE);
        command.args(flags).args(["/bin/sh", "-c", WITH_LOOPBACK, "sh"]).stdin(Stdio::null());
        command
    };
    let works = |flags: &&&[&str]| {
        let tried = unshare(flags).arg("/bin/true").stderr(Stdio::null()).status();
        tried.is_ok_and(|ended| ended.success())
    };
    let Some(flags) = WAYS.iter().find(works) else {
        eprintln!("skipped: needs unshare(1), ip(8) and the right to make a network namespace");
        return false;
    };
    let mut inside = unshare(flags);
    inside.arg(env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).env(INSIDE, "yes");
    let output = inside.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "there is no test of the name {test}: {said}");
    false
}
