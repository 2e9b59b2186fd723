//! What happens to the applications when the daemon shuts down.
//!
//! ```text
//!   leave:  nothing at all: the applications run on, and serve
//!   drain:  Up ──▶ Draining ──the drain is over──▶ at rest; the applications run on
//!   stop:   Up ──▶ Draining ──▶ Stopping ──▶ Stopped: at rest
//!           Starting, Restarting, Backoff ──▶ Stopping ──▶ Stopped
//! ```
//! The desired state is unchanged: the next daemon starts the modules that should be started. A suspended module is
//! left as it is, whatever the node's setting.

use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;
use crate::state::StateName;

/// What is done with the applications before the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// The health check fails for each module's drain; then the applications are left running.
    Drain,
    /// They are drained, then stopped.
    Stop,
}

/// Whether there is nothing left to wait for: no module drains or stops.
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
