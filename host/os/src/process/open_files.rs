//! The limits of open files of the daemon and of the programs that it starts.
//!
//! The daemon raises its own limit as far as it can. Programs that it starts get the limit that the daemon was
//! started with: a program that uses `select` breaks with more than 1024, and a program that closes all possible
//! descriptors is slow if there can be a million (`getrlimit(2)`).

use std::process::Child;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The daemon needs no more than this, even if it is allowed more.
const ENOUGH: u64 = 1 << 20;

static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the daemon's own limit. Must be called once, before anything is started.
pub fn raise() {
    let before = *BEFORE.get_or_init(|| getrlimit(Resource::Nofile));
    let most = before.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if before.current.is_some_and(|current| current < most) {
        let raised = Rlimit { current: Some(most), ..before };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "cannot raise the number of files that may be open");
        }
    }
}

/// The soft limit for programs that the daemon starts; `None` if it was not changed.
pub(crate) fn of_others() -> Option<u64> {
    BEFORE.get().and_then(|before| before.current)
}

/// Gives a process that was just started the limit that it should have.
pub fn restore_in(child: &Child) {
    let Some(before) = BEFORE.get() else { return };
    let pid = Pid::from_child(child);
    // An error: it is another user's by now, or gone. It may open more than it knows what to do with.
    if let Err(error) = prlimit(Some(pid), Resource::Nofile, *before) {
        tracing::debug!(%error, ?pid, "a process keeps the daemon's limit of open files");
    }
}

/// Resets the limit of this process, immediately before it executes a program.
pub(crate) fn lower_to(most: u64) {
    let now = getrlimit(Resource::Nofile);
    // An error: the higher limit does no harm.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..now });
}
