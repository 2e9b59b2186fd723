//! Programs of other people that some tests need.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where it is, at this path or, of a mere name, in `PATH`; nothing if it is not installed.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // One that begins at the root stays what it is wherever it is joined to.
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.exists())
}

/// Whether it is installed, at this path or, of a mere name, in `PATH`. If not, says on stderr that the test is skipped.
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

/// Runs a program to its end. What it printed, if it did what was asked.
pub fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
