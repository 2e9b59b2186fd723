//! A process as a file descriptor (`pidfd_open(2)`): its exit is an event, and a signal never reaches another
//! process that got the same id.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bellwether_core::plan::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{self, Pid, PidfdFlags, WaitId, WaitIdOptions};
use tokio::io::unix::AsyncFd;

use super::ending::Ending;
use super::identity::ProcessId;

/// A process, referenced by a pidfd.
#[derive(Debug)]
pub struct PidFd {
    fd: AsyncFd<OwnedFd>,
    id: ProcessId,
}

impl PidFd {
    /// The living process with this id. `None` if there is none. Must be called in a tokio runtime.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(fd) = open_fd(pid)? else { return Ok(None) };
        let id = match ProcessId::of(pid) {
            Ok(id) => id,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // The opened process is still alive, so it had the id all the time, and what was read in between is about
        // it.
        if has_ended(&fd)? {
            return Ok(None);
        }
        Ok(Some(Self { fd: super::readable::readable(fd)?, id }))
    }

    /// Exactly this process. `None` if it has ended, even if its id has been reused.
    pub fn open_exact(id: &ProcessId) -> io::Result<Option<Self>> {
        Ok(Self::open(id.pid)?.filter(|found| found.id == *id))
    }

    /// A child of this process that no other code waits for. It may have ended already: until it is reaped, the
    /// kernel reserves its id.
    pub fn of_child(child: &std::process::Child) -> io::Result<Self> {
        let fd = open_fd(child.id())?.ok_or_else(|| io::Error::from(Errno::SRCH))?;
        Ok(Self { fd: super::readable::readable(fd)?, id: ProcessId::of(child.id())? })
    }

    /// The identity of the process.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Returns when the process has ended.
    pub async fn exited(&self) {
        match self.fd.readable().await {
            // It stays readable forever: there is nothing to clear.
            Ok(mut guard) => guard.retain_ready(),
            // Only when the runtime shuts down, together with all its tasks.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether the process has ended, without waiting.
    pub fn has_ended(&self) -> bool {
        has_ended(self.fd.get_ref()).unwrap_or(false)
    }

    /// Sends a signal (`pidfd_send_signal(2)`). Returns whether the process still existed.
    ///
    /// A stopped process (SIGSTOP) handles a request to exit only when it is continued, so it is continued.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let sent = self.send(number(signal))?;
        if sent && asks_to_end(signal) {
            self.send(process::Signal::CONT)?;
        }
        Ok(sent)
    }

    fn send(&self, signal: process::Signal) -> io::Result<bool> {
        match process::pidfd_send_signal(self.fd.get_ref(), signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reaps our own child and returns how it ended. `None` while it is alive; unknown if it is not our child.
    /// Never waits.
    pub fn wait_status(&self) -> io::Result<Option<Ending>> {
        let which = WaitId::PidFd(self.fd.get_ref().as_fd());
        match process::waitid(which, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(None) => Ok(None),
            Ok(Some(status)) => Ok(Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ending::Exited(code),
                (None, Some(signal)) => Ending::Signaled { signal, dumped: status.dumped() },
                (None, None) => Ending::Unknown,
            })),
            Err(Errno::CHILD) => Ok(self.has_ended().then_some(Ending::Unknown)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the signal asks a process to exit by itself.
pub fn asks_to_end(signal: Signal) -> bool {
    matches!(signal, Signal::Term | Signal::Int | Signal::Quit)
}

/// The signal's number on this machine.
pub(super) fn number(signal: Signal) -> process::Signal {
    match signal {
        Signal::Hup => process::Signal::HUP,
        Signal::Int => process::Signal::INT,
        Signal::Quit => process::Signal::QUIT,
        Signal::Kill => process::Signal::KILL,
        Signal::Usr1 => process::Signal::USR1,
        Signal::Usr2 => process::Signal::USR2,
        Signal::Term => process::Signal::TERM,
        Signal::Abrt => process::Signal::ABORT,
        Signal::Alrm => process::Signal::ALARM,
        Signal::Cont => process::Signal::CONT,
        Signal::Ttin => process::Signal::TTIN,
        Signal::Ttou => process::Signal::TTOU,
        Signal::Winch => process::Signal::WINCH,
        Signal::Pwr => process::Signal::POWER,
    }
}

/// The id in the form that system calls take. `None` for 0 and for values that cannot be an id.
pub(super) fn raw_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn open_fd(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = raw_pid(pid) else { return Ok(None) };
    match process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => Ok(Some(fd)),
        // EINVAL, or ENOENT since Linux 6.15: the id of a thread other than the first.
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn has_ended(fd: &OwnedFd) -> io::Result<bool> {
    let mut asked = [PollFd::new(fd, PollFlags::IN)];
    Ok(poll(&mut asked, Some(&Timespec::default()))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    /// Kills its child even if a test fails.
    struct Guard(Child);
    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn sleeper() -> Guard {
        Guard(Command::new("/bin/sleep").arg("600").spawn().unwrap())
    }

    #[tokio::test]
    async fn the_end_of_a_process_wakes_who_waits_and_says_how() {
        let child = sleeper();
        let pidfd = PidFd::of_child(&child.0).unwrap();
        assert!(!pidfd.has_ended());
        assert_eq!(pidfd.wait_status().unwrap(), None);
        assert!(pidfd.signal(Signal::Kill).unwrap());
        pidfd.exited().await;
        assert!(pidfd.has_ended());
        assert_eq!(pidfd.wait_status().unwrap(), Some(Ending::Signaled { signal: 9, dumped: false }));
        assert!(!pidfd.signal(Signal::Kill).unwrap(), "nobody is left to get it");
    }

    #[tokio::test]
    async fn the_end_is_still_seen_by_who_asks_late_and_by_all_who_ask() {
        let child = sleeper();
        let pidfd = PidFd::of_child(&child.0).unwrap();
        let other = PidFd::open(child.0.id()).unwrap().unwrap();
        assert_eq!(pidfd.id(), other.id());
        pidfd.signal(Signal::Term).unwrap();
        tokio::join!(pidfd.exited(), other.exited(), pidfd.exited());
        pidfd.exited().await;
    }

    #[tokio::test]
    async fn a_used_again_id_is_refused() {
        let child = sleeper();
        let id = ProcessId::of(child.0.id()).unwrap();
        assert!(PidFd::open_exact(&id).unwrap().is_some());
        let forged = ProcessId { start_time: id.start_time + 1, ..id };
        assert!(PidFd::open_exact(&forged).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_zombie_is_not_opened_as_a_living_process() {
        let child = sleeper();
        let pidfd = PidFd::of_child(&child.0).unwrap();
        pidfd.signal(Signal::Kill).unwrap();
        pidfd.exited().await;
        assert!(PidFd::open(child.0.id()).unwrap().is_none());
        assert!(PidFd::open(0).unwrap().is_none());
        assert!(PidFd::open(u32::MAX).unwrap().is_none());
    }
}
