//! One run of the binary that is expected to end by itself.

use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::binary::bellwether;
use crate::eventually::{PATIENCE, within};
use crate::process::Guarded;
use crate::root::Root;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    /// Its output to standard error.
    pub error: String,
}

/// Runs `bellwether` with these arguments until it exits.
///
/// # Panics
/// If it cannot be started, or does not exit in time.
pub fn bellwether_ends<S: AsRef<OsStr>>(arguments: &[S]) -> Ended {
    ends(Command::new(bellwether()).args(arguments))
}

/// The same, as a user whose configuration is in this folder.
///
/// # Panics
/// If it cannot be started, or does not exit in time.
pub fn ends_with_configuration<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Ended {
    ends(Command::new(bellwether()).args(arguments).env("XDG_CONFIG_HOME", folder))
}

fn ends(command: &mut Command) -> Ended {
    // Files instead of pipes, which would have to be read in the meantime.
    let [mut out, mut error] = [(); 2].map(|()| tempfile::tempfile().expect("a temporary file"));
    let child = command
        .env_remove("BELLWETHER_ROOT")
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a second descriptor"))
        .stderr(error.try_clone().expect("a second descriptor"))
        .spawn()
        .expect("the binary starts");
    let mut child = Guarded(child);
    // It may compile all components, one after the other.
    let status = within(2 * PATIENCE, "the command ends", || child.0.try_wait().ok().flatten());
    let [out, error] = [&mut out, &mut error].map(|file| {
        let mut text = String::new();
        file.rewind().expect("a file has a beginning");
        file.read_to_string(&mut text).expect("UTF-8 is written");
        text
    });
    Ended { code: status.code(), out, error }
}

/// Runs a client command of this root with a password as its input.
///
/// # Panics
/// If it cannot be started, or fails.
pub fn with_password(root: &Root, arguments: &[&str], password: &str) {
    let mut child = Command::new(bellwether())
        .args(arguments)
        .arg("--password-stdin")
        .arg("--root")
        .arg(root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the client runs");
    let mut input = child.stdin.take().expect("it listens");
    writeln!(input, "{password}").expect("it takes the password");
    drop(input);
    assert!(child.wait().expect("it ends").success(), "{arguments:?}");
}
