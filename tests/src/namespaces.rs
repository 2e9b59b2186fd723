//! Namespaces for a single test.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::Guarded;
use crate::program::{is_installed, run};

const UNSHARE: &str = "/usr/bin/unshare";
/// Everything that runs in there ends with the command, whatever happens to the test.
const ENDS_TOGETHER: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--kill-child"];

/// A command in its own namespaces, for effects that would be visible outside. If they are not available here,
/// reports on stderr that the test is skipped.
pub fn unshared(flags: &[&str], script: &str, arguments: &[&Path]) -> Option<Guarded> {
    let flags = [flags, &ENDS_TOGETHER].concat();
    let may = || run(UNSHARE, &[flags.as_slice(), &["/bin/true"]].concat()).is_some();
    if !rustix::process::geteuid().is_root() || !is_installed(UNSHARE) || !may() {
        eprintln!("skipped: needs root, unshare and the right to make namespaces");
        return None;
    }
    let child = Command::new(UNSHARE)
        .args(flags)
        .args(["/bin/sh", "-c", script, "sh"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Some(Guarded(child.ok()?))
}
