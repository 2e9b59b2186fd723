//! The names of a module's states.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the module is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateName {
    /// The application is stopped, as a person wants.
    Stopped,
    /// The application is being started, or is not yet seen to be well.
    Starting,
    /// The application serves.
    Up,
    /// The application is being restarted.
    Restarting,
    /// The next try is due at a known time.
    Backoff,
    /// The budget is spent, or the application cannot be stopped: a person must look.
    Failed,
    /// Health says no, the application still serves.
    Draining,
    /// The application is being stopped.
    Stopping,
    /// A prerequisite is down. Resumes by itself.
    Waiting,
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Restarting => "restarting",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Waiting => "waiting",
        })
    }
}
