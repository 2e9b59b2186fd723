//! Ends the demo's own application. Linux only: with `/proc` and `pidfd_open(2)`, so that a process id that was
//! reused in the meantime is never signalled.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The delay before the second, harder signal.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Ends every `program demo-app` that runs in `root`. Returns their number.
pub(super) fn end_applications(program: &Path, root: &Path) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| end_if_ours(*pid, program, root))
        .count()
}

fn end_if_ours(pid: Pid, program: &Path, root: &Path) -> bool {
    if !is_ours(pid, program, root) {
        return false;
    }
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    // It may have become another process between the scan and the descriptor.
    if !is_ours(pid, program, root) {
        return false;
    }
    for signal in [Signal::TERM, Signal::KILL] {
        if pidfd_send_signal(&process, signal).is_err() || has_ended(&process) {
            break;
        }
    }
    true
}

fn is_ours(pid: Pid, program: &Path, root: &Path) -> bool {
    let place = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    // A program that has been replaced by a newer one since is still ours: proc_pid_exe(5).
    let mut replaced = program.as_os_str().to_owned();
    replaced.push(" (deleted)");
    let links_to = |name: &str, path: &Path| std::fs::read_link(place.join(name)).is_ok_and(|to| to == path);
    let Ok(line) = std::fs::read(place.join("cmdline")) else { return false };
    let second = line.split(|byte| *byte == 0).nth(1).map(OsStr::from_bytes);
    second == Some(OsStr::new("demo-app"))
        && (links_to("exe", program) || links_to("exe", Path::new(&replaced)))
        && links_to("cwd", root)
}

/// Waits a while for its exit.
fn has_ended(process: &OwnedFd) -> bool {
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut watched, Some(&PATIENCE)), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Prints a word, and waits forever.
    const SCRIPT: &str = "echo; read line";

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
