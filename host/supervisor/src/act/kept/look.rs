//! Looks at what the applications start, as long as it can be seen whose it is.
//!
//! A child that has written over its environment is known by its parent, which may end at any time. Where there are
//! control groups they know, and nothing is looked at.

use std::sync::Arc;
use std::time::Duration;

use super::Kept;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::process::table::newest_pid;

/// How often it is looked whether there are new processes.
const LOOK: Duration = Duration::from_secs(1);

impl Kept {
    /// Looks again and again, until nothing is kept any more, or it is dropped.
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
            // Nobody can tell: then there may be new ones.
            if newest.is_some() && newest == seen {
                continue;
            }
            // The look at them is what makes them known. An older one may have been before the newest.
            if table.scan(Duration::ZERO).await.is_ok() {
                tracing::debug!(newest = newest.unwrap_or_default(), "descendants are known");
                seen = newest;
            }
        }
    }
}
