//! Reaps orphans that the kernel reparents to this process: as the first process of a container (or as a subreaper)
//! it becomes the parent of every process whose own parent has exited. An orphan that is not reaped stays in the
//! process table forever.
//!
//! Our own children are reaped by the code that started them, within milliseconds. Therefore only a process that
//! has been a zombie for some time is reaped here.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, child_subreaper, getpid, waitid};

use super::pidfd::raw_pid;
use super::stat::Stat;
use crate::clock::Clock;
use crate::heartbeat::Heartbeat;

/// The interval between two checks.
const LOOK: Duration = Duration::from_secs(1);
/// A zombie of this age is no longer reaped by the code that started it.
const UNASKED: Duration = Duration::from_secs(4);
/// The maximum number that is reaped in one check; the next check reaps the rest.
const AT_ONCE: usize = 1024;

/// A process of this boot: its id and its start time.
type Dead = (u32, u64);

/// Reaps orphans periodically, until it is dropped.
pub async fn reap_forever(heartbeat: Heartbeat, clock: Clock) {
    let mut seen = BTreeMap::new();
    loop {
        tokio::time::sleep(LOOK).await;
        heartbeat.beat(clock);
        let looked = tokio::task::spawn_blocking(move || {
            let result = reap(&mut seen);
            (seen, result)
        });
        match looked.await {
            Ok((known, result)) => {
                seen = known;
                if let Err(error) = result {
                    tracing::warn!(%error, "cannot tell which orphans have ended");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a look for orphans was cut short");
                seen = BTreeMap::new();
            }
        }
    }
}

/// Whether orphans are ever reparented to this process.
pub fn adopts() -> bool {
    getpid() == Pid::INIT || child_subreaper().is_ok_and(|reaper| reaper.is_some())
}

/// When each zombie was first seen.
type Seen = BTreeMap<Dead, Instant>;

fn reap(seen: &mut Seen) -> io::Result<()> {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // Usually there is none, which a single call determines.
    let some = matches!(waitid(WaitId::All, peek), Ok(Some(_)));
    let dead = if some { dead_children()? } else { Vec::new() };
    for (pid, _) in due(&dead, seen, Instant::now()) {
        let Some(pid) = raw_pid(pid) else { continue };
        // An error: it has been reaped in the meantime.
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
    Ok(())
}

/// The zombies that have waited for too long. The others are remembered.
fn due(dead: &[Dead], seen: &mut Seen, now: Instant) -> Vec<Dead> {
    seen.retain(|process, _| dead.contains(process));
    let due = dead.iter().filter(|process| {
        let since = *seen.entry(**process).or_insert(now);
        now.duration_since(since) >= UNASKED
    });
    due.take(AT_ONCE).copied().collect()
}

fn dead_children() -> io::Result<Vec<Dead>> {
    let own = std::process::id();
    let mut dead = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Processes that have disappeared are forgotten.
        let Ok(stat) = Stat::read(pid) else { continue };
        if stat.is_dead() && parent_of(pid) == Some(own) {
            dead.push((pid, stat.start_time));
        }
    }
    Ok(dead)
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_been_dead_for_some_time_is_asked() {
        let (mut seen, begun) = (Seen::new(), Instant::now());
        assert!(due(&[(7, 1)], &mut seen, begun).is_empty());
        let later = begun + UNASKED / 2;
        assert!(due(&[(7, 1), (8, 1)], &mut seen, later).is_empty());
        assert_eq!(due(&[(7, 1), (8, 1)], &mut seen, begun + UNASKED), [(7, 1)]);
        // The same process id now belongs to another process.
        assert!(due(&[(7, 2)], &mut seen, begun + UNASKED * 2).is_empty());
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn dead_children_are_found_among_all_processes() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let waited =
            waitid(WaitId::Pid(raw_pid(child.id()).unwrap()), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        assert!(waited.unwrap().is_some());
        assert!(dead_children().unwrap().iter().any(|(pid, _)| *pid == child.id()));
        child.wait().unwrap();
        assert!(!dead_children().unwrap().iter().any(|(pid, _)| *pid == child.id()));
    }
}
