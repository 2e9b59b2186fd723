//! What a granted interface leads to, where that is more than the sandbox knows.
//!
//! The sandbox knows runs and grants, and no modules: whoever starts a run
//! says what its module's commands and processes are. Whether the run may use
//! them has been asked before anything here is.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use bellwether_core::id::CommandName;
use bellwether_core::moment::plain;
use futures_util::future::{BoxFuture, FutureExt as _, ready};

/// What one module offers its components.
pub trait Facilities: fmt::Debug + Send + Sync {
    /// Runs a declared command. Dropping the future kills it.
    fn run_command(&self, order: CommandOrder) -> BoxFuture<'static, Result<CommandEnd, CommandError>>;

    /// The living processes of the module, by process id.
    fn processes(&self) -> BoxFuture<'static, io::Result<Vec<ProcessFacts>>>;
}

/// What is wanted of a declared command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOrder {
    /// Which.
    pub name: CommandName,
    /// Added behind the declared arguments.
    pub arguments: Vec<String>,
    /// What it reads.
    pub stdin: Option<Vec<u8>>,
    /// How long it may take, if its declaration does not give it less.
    pub within: Duration,
}

/// How a command ended, and what it wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandEnd {
    /// What it returned, unless a signal ended it.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The first of its standard output.
    pub stdout: Vec<u8>,
    /// The first of its standard error.
    pub stderr: Vec<u8>,
    /// It wrote more.
    pub truncated: bool,
    /// From its start to its end.
    pub took: Duration,
}

/// Why a command did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The module's declaration does not allow these.
    #[error("cannot run command `{0}`: {1}")]
    Arguments(CommandName, String),
    /// It is not declared, or cannot be started.
    #[error("{0}")]
    CannotStart(String),
    /// It was killed.
    #[error("command `{command}` did not end within {} and was killed", plain(*.within))]
    Overdue {
        /// Which.
        command: CommandName,
        /// How long it had.
        within: Duration,
    },
}

/// One process of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Process id.
    pub pid: u32,
    /// The program's name, at most 15 bytes.
    pub name: String,
    /// The kept commands that it belongs to.
    pub commands: Vec<String>,
    /// The process checkers that find it.
    pub checkers: Vec<String>,
    /// When it started.
    pub started_at: SystemTime,
    /// Processor time used since then.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident: u64,
    /// How many.
    pub threads: u64,
    /// How many; `None` if we may not know.
    pub open_files: Option<u64>,
    /// `running`, `sleeping`, `waiting`, `stopped`, …
    pub state: &'static str,
}

/// For runs without a module: there are no commands and no processes.
#[derive(Debug, Clone, Copy)]
pub struct NoModule;

impl Facilities for NoModule {
    fn run_command(&self, order: CommandOrder) -> BoxFuture<'static, Result<CommandEnd, CommandError>> {
        let text = format!("there is no command `{}`: this run belongs to no module", order.name);
        ready(Err(CommandError::CannotStart(text))).boxed()
    }

    fn processes(&self) -> BoxFuture<'static, io::Result<Vec<ProcessFacts>>> {
        ready(Err(io::Error::other("this run belongs to no module"))).boxed()
    }
}
