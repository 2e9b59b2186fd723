//! What becomes of the applications when the daemon ends in an orderly way.
//!
//! ```text
//!   leave:  nothing at all: the applications run on, and serve
//!   drain:  Up ──▶ Draining ──the drain is over──▶ at rest; the applications run on
//!   stop:   Up ──▶ Draining ──▶ Stopping ──▶ Stopped: at rest
//!           Starting, Restarting, Backoff ──▶ Stopping ──▶ Stopped
//! ```
//! What people want is not touched: the next daemon starts again what is wanted
//! started. A module that is suspended is left as it is, whatever the node says.

use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;
use crate::state::StateName;

/// What is done about the applications before the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// Health says no for each module's drain; then they are left running.
    Drain,
    /// They are drained, then stopped.
    Stop,
}

/// Whether nothing is left to be waited for: no module drains or stops.
pub fn at_rest(snapshot: &Snapshot) -> bool {
    snapshot.modules.iter().all(|module| match module.state {
        StateName::Stopping => false,
        StateName::Draining => module.next.is_none(),
        StateName::Stopped
        | StateName::Starting
        | StateName::Up
        | StateName::Restarting
        | StateName::Backoff
        | StateName::Failed
        | StateName::Waiting => true,
    })
}
