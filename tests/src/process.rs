//! Processes that a test has started, or that were started for it.

use std::io::ErrorKind;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

use crate::eventually::eventually;

/// A child that does not outlive its test.
#[derive(Debug)]
pub struct Guarded(pub Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a program. A program that was written a moment ago may still be open for writing in a child of another
/// test, until that has loaded its own program: execve(2), ETXTBSY.
///
/// # Panics
/// If it cannot be started.
pub fn start(command: &mut Command) -> Guarded {
    Guarded(eventually("the program can be run", || match command.spawn() {
        Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy => None,
        started => Some(started.unwrap_or_else(|error| panic!("{command:?}: {error}"))),
    }))
}

fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id")
}

/// Sends a signal to one process. Returns whether it existed.
pub fn signal(id: u32, signal: Signal) -> bool {
    kill_process(pid(id), signal).is_ok()
}

/// Kills a process and all of its group.
pub fn kill_group(id: u32) -> bool {
    kill_process_group(pid(id), Signal::KILL).is_ok()
}

/// Whether the process exists and is not a zombie.
pub fn is_alive(id: u32) -> bool {
    test_kill_process(pid(id)).is_ok()
        && std::fs::read_to_string(format!("/proc/{id}/stat"))
            .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X'])))
}
