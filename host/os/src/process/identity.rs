//! A permanent identity of a process: process ids are reused, this is not.

use std::io;

use serde::{Deserialize, Serialize};

use super::stat::Stat;
pub use crate::boot_id::BootId;

/// A process of this machine, past or present. The kernel assigns a free process id again, but never with the same
/// start time within the same boot: by then all other ids have been used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessId {
    pub pid: u32,
    /// When it started, in clock ticks after the boot (`proc_pid_stat(5)`, field 22).
    pub start_time: u64,
    /// The boot of the machine in which it started.
    pub boot_id: BootId,
}

impl ProcessId {
    /// The process that has this id now, even if it is a zombie.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::from_stat(&Stat::read(pid)?)
    }

    /// The process that was just read.
    pub fn from_stat(stat: &Stat) -> io::Result<Self> {
        Ok(Self { pid: stat.pid, start_time: stat.start_time, boot_id: BootId::current()? })
    }

    /// The same process as it is now; `None` if it has ended (a zombie has), or if its id belongs to another
    /// process now.
    pub fn read(&self) -> io::Result<Option<Stat>> {
        if BootId::current()? != self.boot_id {
            return Ok(None);
        }
        match Stat::read(self.pid) {
            Ok(stat) if stat.start_time == self.start_time && !stat.is_dead() => Ok(Some(stat)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it is alive. False if it is a zombie, or if that cannot be determined.
    pub fn still_alive(&self) -> bool {
        matches!(self.read(), Ok(Some(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_another_with_its_id() {
        let this = ProcessId::of(std::process::id()).unwrap();
        assert!(this.still_alive());
        let earlier = ProcessId { start_time: this.start_time - 1, ..this };
        assert!(!earlier.still_alive(), "same id, other start time");
        let before_the_boot = ProcessId { boot_id: this.boot_id.other(), ..this };
        assert!(!before_the_boot.still_alive(), "same id and start time, other boot");
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("/bin/sh").args(["-c", "exit 3"]).spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        // The kernel reports its end; it is reaped only below.
        let ended = rustix::process::waitid(
            rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        );
        let (state, alive) = (Stat::read(id.pid).map(|stat| stat.state), id.still_alive());
        child.wait().unwrap();
        ended.unwrap();
        assert_eq!(state.unwrap(), 'Z');
        assert!(!alive);
    }

    #[test]
    fn an_identity_survives_being_written_down() {
        let this = ProcessId::of(std::process::id()).unwrap();
        let text = serde_json::to_string(&this).unwrap();
        assert_eq!(serde_json::from_str::<ProcessId>(&text).unwrap(), this);
        assert!(serde_json::from_str::<ProcessId>(r#"{"pid":1,"start-time":2,"boot-id":"x"}"#).is_err());
    }
}
