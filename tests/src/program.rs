//! External programs that some tests need.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Its path: this path or, for a name, in `PATH`; `None` if it is not installed.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Joining an absolute path returns it unchanged.
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.exists())
}

/// Whether it is installed, at this path or, for a name, in `PATH`. If not, reports on stderr that the test is
/// skipped.
///
/// # Panics
/// If it is missing where nothing may be skipped (`CI=true`).
pub fn is_installed(program: &str) -> bool {
    if find(program).is_some() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{program} is not installed");
    eprintln!("skipped: {program} is not installed");
    false
}

/// Runs a program to completion. Returns its output, if it succeeded.
pub fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
