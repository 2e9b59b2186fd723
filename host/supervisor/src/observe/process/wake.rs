//! The events that a process checker waits for between two scans.

use std::time::{Duration, Instant};

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::{News, Watcher};
use bellwether_os::process::notified::Notified;
use bellwether_os::process::pidfd::PidFd;
use bellwether_os::process::stat::Stat;
use bellwether_os::process::table::newest_pid;

/// The interval of the check for missing processes.
const PATIENT: Duration = Duration::from_millis(250);
/// The same while the application is expected to start.
const EAGER: Duration = Duration::from_millis(50);
/// A process may match only some time after its start (execve(2)).
const SETTLED: Duration = Duration::from_secs(2);
/// A measurement takes longer only for large processes.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Each monitored process costs a descriptor. The end of further ones is noticed at the interval.
const MAX_HELD: usize = 256;

impl Watcher {
    /// Returns when there is a reason for another scan, and at `due` at the latest.
    pub(super) async fn wait(&mut self, due: Instant) -> News {
        let seen: &[Stat] = self.last.as_ref().map_or(&[], |last| &last.processes);
        let missing = seen.len() < usize::try_from(self.spec.at_least).unwrap_or(usize::MAX);
        if let Some(kept) = &mut self.kept {
            return tokio::select! {
                changed = kept.changed() => match changed {
                    Ok(()) => News::Ended,
                    // The daemon is shutting down: there will be no further events.
                    Err(_) => std::future::pending().await,
                },
                () = says_more(self.notified.as_mut()) => News::MayHaveStarted,
                () = sleep_until(due.into()) => News::Due,
            };
        }
        tokio::select! {
            biased;
            () = one_ends(seen) => News::Ended,
            () = sleep_until(due.into()) => News::Due,
            () = self.one_may_have_started(), if missing => News::MayHaveStarted,
        }
    }

    /// Returns when there has been a new process since this was called, or shortly before.
    async fn one_may_have_started(&self) {
        let pause = if self.eager { EAGER } else { PATIENT };
        if !self.finder.scans() {
            // A pid file is faster to read than anything else.
            return tokio::time::sleep(pause).await;
        }
        let unsettled = self.newest.since.elapsed() < SETTLED;
        loop {
            tokio::time::sleep(pause).await;
            if unsettled || newest_pid().ok() != self.newest.pid {
                return;
            }
        }
    }
}

/// Awaits the future, unless one of these processes ends: then `None`. A future that is ready immediately costs no
/// descriptor.
pub(super) async fn unless_one_ends<T>(work: impl Future<Output = T>, processes: &[Stat]) -> Option<T> {
    let ends = async {
        tokio::time::sleep(AT_ONCE).await;
        one_ends(processes).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = ends => None,
    }
}

/// Returns when the process has reported a new state; never if it has no notification socket.
async fn says_more(notified: Option<&mut watch::Receiver<Notified>>) {
    if let Some(notified) = notified
        && notified.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Returns when one of these processes has ended; never if there are none.
async fn one_ends(processes: &[Stat]) {
    let mut held = Vec::new();
    for stat in processes.iter().take(MAX_HELD) {
        match PidFd::open(stat.pid) {
            Ok(Some(pidfd)) if pidfd.id().start_time == stat.start_time => held.push(pidfd),
            // It has ended since the scan.
            Ok(_) => return,
            // There is no free descriptor, so the interval has to suffice.
            Err(error) => {
                tracing::debug!(pid = stat.pid, %error, "cannot hold a process");
                break;
            }
        }
    }
    if held.is_empty() {
        return std::future::pending().await;
    }
    select_all(held.iter().map(|pidfd| Box::pin(pidfd.exited()))).await;
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_is_seen_while_it_is_measured() {
        let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let processes = [Stat::read(child.id()).unwrap()];
        assert_eq!(unless_one_ends(ready(7), &processes).await, Some(7));
        // Its input ends, and therefore it exits.
        drop(child.stdin.take());
        assert_eq!(unless_one_ends(pending::<()>(), &processes).await, None);
        child.wait().unwrap();
    }
}
