//! Looks at what the applications start, as long as it can be seen whose it is.
//!
//! A child that has written over its environment is known by its parent, which may end at any time. Where there are
//! control groups they know; to look costs little, and who belongs to whom is the same for both.

use std::sync::Weak;
use std::time::Duration;

use super::Inner;
use crate::process::table::newest_pid;

/// How often it is looked whether there are new processes.
const LOOK: Duration = Duration::from_secs(1);

/// Looks again and again, until nothing is kept any more.
pub(super) async fn at_descendants(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        ticks.tick().await;
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
        // The look at them is what makes them known.
        if table.scan(LOOK).await.is_ok() {
            seen = newest;
        }
    }
}
