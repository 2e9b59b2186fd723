//! Why the daemon does not run.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bellwether_health::BindError;
use bellwether_os::root::RootError;

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody else listens there.
    #[error("{addr} is in use by another program")]
    PortInUse {
        /// Where.
        addr: SocketAddr,
    },
    /// The root cannot be written.
    #[error("{} cannot be written", root.display())]
    RootNotWritable {
        /// Which.
        root: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// One root, one daemon.
    #[error("another daemon (process {pid}) runs on this root")]
    SecondDaemon {
        /// The other's process id; 0 if it has only just begun.
        pid: u32,
    },
    /// The files are wrong, and nothing is left to run. Rendered, every mistake
    /// with file, line and column.
    #[error("the files have errors")]
    Mistakes(String),
    /// The same, and all that is wrong is that declared programs are not there.
    #[error("a program that a module declares is missing")]
    MissingProgram(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::InUse { address } => Self::PortInUse { addr: address },
            other => Self::Other(other.into()),
        }
    }
}

impl From<RootError> for RunError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::NotWritable { root, source } => Self::RootNotWritable { root, source },
            RootError::SecondDaemon { pid } => Self::SecondDaemon { pid },
            RootError::Interrupted(error) => Self::Other(error.into()),
        }
    }
}
