//! Ends what an earlier run has left, by `pidfd_open(2)`, so that a process id that was given to another process
//! meanwhile is never signalled.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::entry;
use crate::readiness::is_readable;

/// Before the second, harder signal.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be ended.
#[derive(Debug, Clone, Copy)]
pub struct Stray<'s> {
    /// The file that it was started from.
    pub program: &'s Path,
    /// Its first argument.
    pub argument: &'s str,
    /// The folder that it runs in.
    pub folder: &'s Path,
}

/// Ends every such process. Returns how many there were.
pub fn end(stray: Stray<'_>) -> usize {
    let Ok(processes) = entry::all() else { return 0 };
    processes.flatten().filter(|pid| end_if(*pid, stray)).count()
}

fn end_if(pid: u32, stray: Stray<'_>) -> bool {
    let handle = || Pid::from_raw(i32::try_from(pid).ok()?);
    let Some(handle) = handle().filter(|_| is(pid, stray)) else { return false };
    let Ok(process) = pidfd_open(handle, PidfdFlags::empty()) else { return false };
    // Between the first look and the descriptor it may have become another one.
    if !is(pid, stray) {
        return false;
    }
    for signal in [Signal::TERM, Signal::KILL] {
        if pidfd_send_signal(&process, signal).is_err() || is_readable(&process, PATIENCE).unwrap_or(false) {
            break;
        }
    }
    true
}

fn is(pid: u32, Stray { program, argument, folder }: Stray<'_>) -> bool {
    // A program that was replaced by a newer one since is still meant: proc_pid_exe(5).
    let mut replaced = program.as_os_str().to_owned();
    replaced.push(" (deleted)");
    let Ok(line) = entry::command_line(pid) else { return false };
    let second = line.split(|byte| *byte == 0).nth(1).map(OsStr::from_bytes);
    second == Some(OsStr::new(argument))
        && entry::program(pid).is_ok_and(|found| found == program || found.as_os_str() == replaced)
        && entry::folder(pid).is_ok_and(|found| found == folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Prints a word, and waits forever.
    const SCRIPT: &str = "echo; read line";

    fn end_applications(program: &Path, folder: &Path) -> usize {
        end(Stray { program, argument: "demo-app", folder })
    }

    fn start(program: &Path, folder: &Path) -> std::process::Child {
        let mut child = std::process::Command::new(program)
            .arg("demo-app")
            .current_dir(folder)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Right after its start, its command line is not visible yet.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    #[test]
    fn it_is_ended_also_if_its_program_was_replaced_meanwhile() {
        let place = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(place.path()).unwrap();
        let program = root.join("program");
        // Written by a separate program: a process that another test starts at this moment inherits what this
        // process has open for writing, and then the file cannot be executed (execve(2), ETXTBSY).
        let copied = std::process::Command::new("cp").arg("/bin/sh").arg(&program).status();
        assert!(copied.unwrap().success());
        std::fs::write(root.join("demo-app"), SCRIPT).unwrap();
        let mut ours = start(&program, &root);
        std::fs::remove_file(&program).unwrap();
        assert_eq!(end_applications(&program, &root), 1);
        assert!(!ours.wait().unwrap().success());
    }

    #[test]
    fn only_the_demo_application_of_this_root_is_ended() {
        // A stand-in: any program whose first argument is `demo-app`.
        let place = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(place.path()).unwrap();
        let shell = std::fs::canonicalize("/bin/sh").unwrap();
        std::fs::write(root.join("demo-app"), SCRIPT).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("demo-app"), SCRIPT).unwrap();
        let (mut ours, mut other) = (start(&shell, &root), start(&shell, elsewhere.path()));
        assert_eq!(end_applications(&shell, &root), 1);
        assert!(!ours.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "another root's application was ended");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
