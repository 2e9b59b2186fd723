//! Builds the daemon out of its parts and runs it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bellwether_core::id::{CommandName, ModuleName};

/// What to run.
#[derive(Debug)]
pub struct RunOptions {
    /// Where the operator's files are.
    pub root: PathBuf,
    /// What comes with the binary.
    pub standard: Vec<StandardComponent>,
}

/// A component that comes with the binary.
#[derive(Debug, Clone, Copy)]
pub struct StandardComponent {
    /// `checkers` or `restart-scripts`.
    pub folder: &'static str,
    /// Its file name without `.wasm`.
    pub name: &'static str,
    /// The component itself.
    pub bytes: &'static [u8],
}

/// Where the daemon listens, once it does.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Load balancers over HTTP.
    pub health: SocketAddr,
    /// `HAProxy` agents, with the module spoken for.
    pub agents: Vec<(SocketAddr, Option<ModuleName>)>,
    /// Clients on this node.
    pub socket: PathBuf,
}

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
        /// The other's process id.
        pid: u32,
    },
    /// `bellwether.toml` is wrong. Rendered, every mistake with file, line and column.
    #[error("the files have mistakes")]
    Mistakes(String),
    /// A declared program is not there.
    #[error("module `{module}`: the program of command `{command}` is missing: {program}")]
    MissingProgram {
        /// Whose.
        module: ModuleName,
        /// Which command.
        command: CommandName,
        /// As the file has it.
        program: String,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Runs until `shutdown` is done. The applications run on.
pub async fn run(
    options: RunOptions,
    on_ready: impl FnOnce(&Ready) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let _ = (options, on_ready, shutdown);
    Err(RunError::Other(anyhow::anyhow!("this branch has no daemon")))
}
