//! The user and the limits that a command runs with. The names are those of systemd.exec(5).

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The attributes of a command's process besides its program and its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    /// The user it runs as, by name or number; the daemon's own if the file does not set it.
    pub user: Option<String>,
    /// Its primary group; by default that of the user.
    pub group: Option<String>,
    /// Groups in addition to those that have the user as a member.
    pub supplementary_groups: Vec<String>,
    /// An environment file, read at each start; relative to the root.
    pub env_file: Option<PathBuf>,
    /// The only capabilities that it can have or ever get (`CAP_KILL`); those of its user, if the file does not set
    /// them.
    pub capabilities: Option<Vec<String>>,
    /// The permissions that are removed from files that it creates (umask).
    pub umask: Option<u32>,
    pub limits: ResourceLimits,
    /// Its CPU priority, from -20 (first) to 19 (last).
    pub nice: Option<i32>,
    /// From -1000 (never) to 1000 (first): whether the kernel kills it when memory runs out.
    pub oom_score: Option<i32>,
    /// Whether a kept command reports its state by `sd_notify(3)`.
    pub notifies: Option<Notifies>,
}

/// What a kept command has to report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notifies {
    /// Once it is ready, it has failed if it sends no watchdog message for this long.
    pub watchdog: Option<Duration>,
}

/// The limits of getrlimit(2); the soft and the hard limit are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Size of a core file, in bytes.
    pub core: Option<Bound>,
    /// Address space of one process, in bytes.
    pub memory: Option<Bound>,
    /// Processes and threads of its user.
    pub processes: Option<u64>,
}

/// A limit, or `infinity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// A limit in bytes.
    Bytes(u64),
    Infinity,
}

impl Bound {
    /// The value for the kernel.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Infinity => None,
        }
    }
}

impl Execution {
    /// Whether a process has to change its own attributes before it executes the program. An environment file is
    /// merely added to its environment.
    pub fn changes_the_process(&self) -> bool {
        *self != Self { env_file: self.env_file.clone(), notifies: self.notifies, ..Self::default() }
    }
}
