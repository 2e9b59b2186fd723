//! A process group: a kept process and everything that it has started, except what has made its own group.

use std::io;
use std::time::Duration;

use bellwether_core::plan::Signal;
use futures_util::future::join_all;
use rustix::io::Errno;
use rustix::process::{Signal as Number, kill_process_group, test_kill_process_group};

use super::identity::ProcessId;
use super::pidfd::{PidFd, asks_to_end, number, raw_pid};
use super::table::{ProcessTable, Table};

/// The delay before the next attempt when a member cannot be opened (too many open files).
const PAUSE: Duration = Duration::from_millis(20);
/// The number of members that are waited for at the same time; the rest follow after them.
const MAX_HELD: usize = 64;

/// The group that this process was started as the leader of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessGroup {
    leader: ProcessId,
}

impl ProcessGroup {
    /// The group of that leader, dead or alive.
    pub fn of(leader: ProcessId) -> Self {
        Self { leader }
    }

    /// The process that leads the group.
    pub fn leader(&self) -> ProcessId {
        self.leader
    }

    /// The ids of its living members. The leader is included even before it has made its group.
    ///
    /// The leader may be gone while its children are not. The kernel does not assign the id of a group to a new
    /// process while the group has a member (`alloc_pid` in its `kernel/pid.c`), so members without a leader are
    /// ours, and members with another leader than ours are not.
    pub fn members(&self, table: &Table) -> Vec<u32> {
        let leader = table.get(self.leader.pid).map(|p| p.stat.start_time);
        if leader.is_some_and(|start_time| start_time != self.leader.start_time) {
            return Vec::new();
        }
        table
            .living()
            .filter(|p| {
                let is_leader = p.stat.pid == self.leader.pid;
                (is_leader || p.stat.group == self.leader.pid) && p.stat.start_time >= self.leader.start_time
            })
            .map(|p| p.stat.pid)
            .collect()
    }

    /// Returns when no member is alive. Waits for their exits, without polling.
    pub async fn ended(&self, table: &ProcessTable) -> io::Result<()> {
        loop {
            if self.has_nobody() {
                return Ok(());
            }
            let members = self.members(&*table.scan(Duration::ZERO).await?);
            if members.is_empty() {
                return Ok(());
            }
            let held: Vec<PidFd> =
                members.iter().take(MAX_HELD).filter_map(|pid| PidFd::open(*pid).ok().flatten()).collect();
            if held.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
            join_all(held.iter().map(PidFd::exited)).await;
        }
    }

    /// Whether there is no member, not even a zombie. A thousand times faster than looking for
    /// [members](Self::members), and usually sufficient. A leader that has not made its group yet counts as a
    /// member.
    pub fn has_nobody(&self) -> bool {
        let is_empty =
            raw_pid(self.leader.pid).is_none_or(|group| test_kill_process_group(group) == Err(Errno::SRCH));
        is_empty && !self.leader.still_alive()
    }

    /// Sends the signal to all members; `false` if there are none. The caller must have made sure that the group is
    /// still ours: that its leader has not been reaped, or that it has [members](Self::members).
    ///
    /// A stopped process (SIGSTOP) handles a request to exit only when it is continued, so it is continued.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let sent = self.send(number(signal))?;
        if sent && asks_to_end(signal) {
            self.send(Number::CONT)?;
        }
        Ok(sent)
    }

    fn send(&self, signal: Number) -> io::Result<bool> {
        let group = raw_pid(self.leader.pid).ok_or_else(|| io::Error::from(Errno::INVAL))?;
        match kill_process_group(group, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
