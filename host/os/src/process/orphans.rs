//! Orphans that the kernel gives to this process: as the first process of a container (or as a
//! subreaper) it is the parent of all whose own parent has ended, and has to ask how they ended.
//! Otherwise each of them stays in the table of processes for ever.
//!
//! Our own children are asked by those who started them, within milliseconds. So only one that
//! is still unasked after some time is asked here.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, child_subreaper, getpid, waitid};

use super::pidfd::raw_pid;
use super::stat::Stat;
use crate::clock::Clock;
use crate::heartbeat::Heartbeat;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// One that has been dead for so long is not asked by its starter any more.
const UNASKED: Duration = Duration::from_secs(4);
/// So many are asked at one look; the next look asks the others.
const AT_ONCE: usize = 1024;

/// A process of this boot: its id and when it started.
type Dead = (u32, u64);

/// Asks again and again, until dropped.
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

/// Whether orphans ever come to this process.
pub fn adopts() -> bool {
    getpid() == Pid::INIT || child_subreaper().is_ok_and(|reaper| reaper.is_some())
}

/// When each dead child was first seen.
type Seen = BTreeMap<Dead, Instant>;

fn reap(seen: &mut Seen) -> io::Result<()> {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // Most often there is none, which one call tells.
    let some = matches!(waitid(WaitId::All, peek), Ok(Some(_)));
    let dead = if some { dead_children()? } else { Vec::new() };
    for (pid, _) in due(&dead, seen, Instant::now()) {
        let Some(pid) = raw_pid(pid) else { continue };
        // An error: it has been asked in the meantime.
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
    Ok(())
}

/// Who has been dead for too long, of those who are. The others are remembered.
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
        // Who has gone by now is no concern.
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
        // The same number is another process by now.
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
