//! Scans for the processes that applications start, while their parents can still be identified.
//!
//! A child that has overwritten its environment is identified by its parent, which may end at any time. Control
//! groups identify such children without a scan.

use std::sync::Arc;
use std::time::Duration;

use super::Kept;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::process::table::newest_pid;

/// The interval of the check for new processes.
const LOOK: Duration = Duration::from_secs(1);

impl Kept {
    /// Scans periodically, until nothing is kept any more, or it is dropped.
    pub async fn look_forever(self, heartbeat: Heartbeat, clock: Clock) {
        let inner = Arc::downgrade(&self.0);
        drop(self);
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = None;
        loop {
            ticks.tick().await;
            heartbeat.beat(clock);
            let Some(kept) = inner.upgrade() else { return };
            if kept.belonging.has_groups() || kept.slots().is_empty() {
                continue;
            }
            let table = kept.table.clone();
            drop(kept);
            let newest = newest_pid().ok();
            // The check failed, so there may be new ones.
            if newest.is_some() && newest == seen {
                continue;
            }
            // The scan identifies them. An older scan may not contain the newest ones.
            if table.scan(Duration::ZERO).await.is_ok() {
                tracing::debug!(newest = newest.unwrap_or_default(), "descendants are known");
                seen = newest;
            }
        }
    }
}
