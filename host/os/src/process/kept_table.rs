//! The states of the kept commands of all modules.
//!
//! ```text
//!   Never ──start──▶ Running ──it ends──▶ Ended ──start──▶ Running
//! ```
//! Only `act` writes it; the process checkers read it and are woken by it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::moment::Moment;
use tokio::sync::watch;

use super::identity::ProcessId;
use super::notified::Notified;
use super::table::Image;

/// The state of a kept command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeptState {
    /// Not started since the daemon has been running, nor found running by it.
    #[default]
    Never,
    Running(ProcessId),
    /// Its process has ended.
    Ended {
        /// The id that it had.
        pid: u32,
        /// The rest of a sentence: `was ended by SIGKILL`, `exited with 1`.
        how: String,
        /// When the daemon noticed it.
        at: Moment,
    },
}

impl KeptState {
    /// The process, if it is alive.
    pub fn running(&self) -> Option<ProcessId> {
        match self {
            Self::Running(id) => Some(*id),
            Self::Never | Self::Ended { .. } => None,
        }
    }
}

/// A command of a module.
pub type KeptKey = (ModuleName, CommandName);

/// The states of all kept commands, and which processes come from a command. Cheap to clone; all clones are the
/// same table.
#[derive(Debug, Clone, Default)]
pub struct KeptTable(Arc<KeptCommands>);

#[derive(Debug, Default)]
struct KeptCommands {
    commands: Mutex<BTreeMap<KeptKey, Row>>,
    origin: OnceLock<Origin>,
}

#[derive(Debug, Default)]
struct Row {
    state: watch::Sender<KeptState>,
    notified: Option<watch::Receiver<Notified>>,
}

/// The command that a process comes from, according to what it was started as.
type Tells = dyn Fn(&Image) -> Option<KeptKey> + Send + Sync;

/// Determines which command a process comes from.
pub struct Origin(pub Box<Tells>);

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}

impl KeptTable {
    /// The state of this command, now and from now on.
    pub fn subscribe(&self, module: &ModuleName, command: &CommandName) -> watch::Receiver<KeptState> {
        self.with(module, command, |row| row.state.subscribe())
    }

    /// The state of this command now.
    pub fn state(&self, module: &ModuleName, command: &CommandName) -> KeptState {
        self.with(module, command, |row| row.state.borrow().clone())
    }

    /// Publishes the state of a command. For the part that starts and reaps its process.
    pub fn publish(&self, module: &ModuleName, command: &CommandName, state: KeptState) {
        self.with(module, command, |row| row.state.send_replace(state));
    }

    /// What its process reports by `sd_notify(3)`, if it may.
    pub fn notified(&self, module: &ModuleName, command: &CommandName) -> Option<watch::Receiver<Notified>> {
        self.with(module, command, |row| row.notified.clone())
    }

    /// Sets what the next running process reports. Must be called before it is [published](Self::publish).
    pub fn listens(
        &self,
        module: &ModuleName,
        command: &CommandName,
        notified: Option<watch::Receiver<Notified>>,
    ) {
        self.with(module, command, |row| row.notified = notified);
    }

    /// The living processes of this module's kept commands.
    pub(crate) fn running_of(&self, module: &ModuleName) -> Vec<ProcessId> {
        let states = self.0.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let of_module = states.iter().filter(|((of, _), _)| of == module);
        of_module.filter_map(|(_, row)| row.state.borrow().running()).collect()
    }

    /// The command that a process comes from, if what it was started as tells that.
    pub fn origin(&self, image: &Image) -> Option<KeptKey> {
        (self.0.origin.get()?.0)(image)
    }

    /// Sets how origins are determined. For the part that starts processes, once.
    pub fn tell_origins_by(&self, origin: Origin) {
        let _told_before = self.0.origin.set(origin);
    }

    fn with<T>(&self, module: &ModuleName, command: &CommandName, then: impl FnOnce(&mut Row) -> T) -> T {
        let mut states = self.0.commands.lock().unwrap_or_else(PoisonError::into_inner);
        then(states.entry((module.clone(), command.clone())).or_default())
    }
}
