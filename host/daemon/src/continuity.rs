//! The time since which the applications have been monitored, by this daemon and those before it:
//! `state/watched.json`.
//!
//! ```text
//!   the last daemon was seen a moment ago ──▶ since when it watched
//!   it was seen long ago, or before the boot ──▶ since now
//! ```
//! What a daemon knew about a serving application is valid for the next one only if that follows soon
//! (`core/src/module/found_again.rs`). A daemon may be killed at any instant, so the time is stored periodically.
//! Nothing is synced to the disk: after a crash of the machine it is useless.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_core::moment::Moment;
use serde::{Deserialize, Serialize};

use bellwether_os::atomic_file;
use bellwether_os::clock::Clock;
use bellwether_os::process::identity::BootId;

/// A daemon that starts within this time after the last one was alive continues its monitoring. An upgrade takes
/// less.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);
/// The interval at which it is stored that the daemon runs.
const EVERY: Duration = Duration::from_secs(5);

/// The file, and its content.
#[derive(Debug, Clone)]
pub(crate) struct Continuity {
    path: PathBuf,
    since: Moment,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    boot: BootId,
    since: Moment,
    seen: Moment,
}

impl Continuity {
    /// Continues the monitoring of the last daemon, if that ended a moment ago.
    pub(crate) fn carry_on(root: &Path, clock: Clock) -> Self {
        let path = root.join("state/watched.json");
        let now = clock.now();
        let before = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Document>(&text).ok());
        let follows = |before: &Document| {
            let same_boot = BootId::current().is_ok_and(|boot| boot == before.boot);
            same_boot && before.seen <= now && now.since(before.seen) < FOLLOWS_WITHIN
        };
        let since = before.filter(follows).map_or(now, |before| before.since);
        Self { path, since }
    }

    /// Since when the applications have been monitored.
    pub(crate) fn since(&self) -> Moment {
        self.since
    }

    /// Stores periodically that the daemon runs, until it is dropped.
    pub(crate) async fn keep_forever(self, clock: Clock) {
        loop {
            let this = self.clone();
            let written = tokio::task::spawn_blocking(move || this.write(clock.now())).await;
            if let Ok(Err(error)) = written {
                tracing::debug!(%error, "state/watched.json cannot be written: the next daemon checks everything again");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn write(&self, seen: Moment) -> io::Result<()> {
        let document = Document { boot: BootId::current()?, since: self.since, seen };
        atomic_file::exchange(&self.path, &serde_json::to_vec(&document)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_follows_soon_carries_on_and_a_later_one_begins_anew() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        let clock = Clock::start();
        let first = Continuity::carry_on(root.path(), clock);
        first.write(clock.now()).unwrap();
        let second = Continuity::carry_on(root.path(), clock);
        assert_eq!(second.since(), first.since());
        for seen in [clock.now() - FOLLOWS_WITHIN, clock.now() + FOLLOWS_WITHIN] {
            second.write(seen).unwrap();
            assert!(Continuity::carry_on(root.path(), clock).since() > first.since(), "{seen:?}");
        }
        let other_boot = fs::read_to_string(&first.path).unwrap();
        second.write(clock.now()).unwrap();
        let boot = BootId::current().unwrap();
        let boot = serde_json::to_string(&boot).unwrap();
        assert!(other_boot.contains(&boot));
        let text = fs::read_to_string(&first.path).unwrap();
        fs::write(&first.path, text.replace(&boot, "\"00000000-0000-0000-0000-000000000001\"")).unwrap();
        assert!(Continuity::carry_on(root.path(), clock).since() > first.since());
        for damaged in ["", "{"] {
            fs::write(&first.path, damaged).unwrap();
            assert!(Continuity::carry_on(root.path(), clock).since() > first.since());
        }
    }
}
