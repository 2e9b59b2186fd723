//! As whom and within which limits a command runs. The names are those of systemd.exec(5).

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a command's process is given besides its program and its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    /// The user it runs as, by name or number; the daemon's own if the file does not say.
    pub user: Option<String>,
    /// Its primary group; that of the user.
    pub group: Option<String>,
    /// Groups besides those that the user is a member of.
    pub supplementary_groups: Vec<String>,
    /// A file of variables, read at each start; relative to the root.
    pub env_file: Option<PathBuf>,
    /// The only capabilities that it may have or ever get (`CAP_KILL`); what its user has, if the file does not say.
    pub capabilities: Option<Vec<String>>,
    /// What is taken from the modes of the files that it makes.
    pub umask: Option<u32>,
    /// What it may use.
    pub limits: ResourceLimits,
    /// Its priority for the processor, from -20 (first) to 19 (last).
    pub nice: Option<i32>,
    /// From -1000 (never) to 1000 (first): whether the kernel ends it when memory runs out.
    pub oom_score: Option<i32>,
    /// Whether a kept command says by `sd_notify(3)` how it is.
    pub notifies: Option<Notifies>,
}

/// What a kept command has to say of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notifies {
    /// Once it is ready, it has failed if it gives no sign of life for so long.
    pub watchdog: Option<Duration>,
}

/// The limits of getrlimit(2), soft and hard alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// The file that is written when it crashes, in bytes.
    pub core: Option<Bound>,
    /// Address space of one process, in bytes.
    pub memory: Option<Bound>,
    /// Processes and threads of its user.
    pub processes: Option<u64>,
}

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// So much, in bytes.
    Bytes(u64),
    /// No limit.
    Infinity,
}

impl Bound {
    /// As the kernel wants it.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Infinity => None,
        }
    }
}

impl Execution {
    /// Whether a process has to change itself before it becomes the program. Variables it is given.
    pub fn changes_the_process(&self) -> bool {
        *self != Self { env_file: self.env_file.clone(), notifies: self.notifies, ..Self::default() }
    }
}
