//! The long-running applications that the host keeps.
//!
//! ```text
//!                 start                  leader ends          last member ends
//!   no group ───────────────▶ led group ────────────▶ leftovers ────────────▶ no group
//!      │                        ▲                        │
//!      └── found again, alive ──┘                        └── start: they are ended first
//! ```
//! Processes that have left the group still belong to the command: see [`belonging`] and [`last_run`].
//!
//! A kept process leads a process group with everything that it starts. It does not die with the daemon: its output
//! goes directly to a file, and its identity is recorded before it becomes the application (see
//! [`gate`](super::gate)), so that the next daemon finds it again, whenever this one is killed.
//!
//! While the group has a leader that has not been reaped, or any member, the kernel does not reuse its id: a signal
//! to the group reaches no other process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::plan::Signal;
use futures_util::future::join_all;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::Instant;

use bellwether_os::at_most;
use bellwether_os::clock::Clock;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::kept_table::{KeptKey, KeptState, KeptTable, Origin};
use bellwether_os::process::pidfd::asks_to_end;
use bellwether_os::process::table::{Image, ProcessTable};
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::command::CommandSpec;
use bellwether_os::spawn::gate::Launcher;
use belonging::Belonging;
use held::Held;
pub use ledger::Launched;
use ledger::Ledger;
use slot::Slot;

mod adopt;
pub(crate) mod belonging;
mod held;
pub mod inherit;
pub mod last_run;
mod launch;
mod ledger;
mod look;
pub(crate) mod mark;
mod notify_socket;
mod slot;
mod spawn;

/// Processes that were sent SIGKILL have ended within this time, or hang in the kernel. Shorter than the 5 seconds
/// that the core waits, so that the core learns which processes hang.
const KILLED_WITHIN: Duration = at_most!(Duration::from_secs(4));
/// The time between the start of a process and its first instruction.
const STARTED_WITHIN: Duration = at_most!(Duration::from_secs(3));
/// Within this time, a process whose gate has closed has exited or has become the application.
const THROUGH_WITHIN: Duration = at_most!(Duration::from_secs(1));
const THROUGH_LOOK: Duration = Duration::from_millis(5);

/// Keeps processes. Cheap to clone. Dropping the last clone leaves them running.
#[derive(Debug, Clone)]
pub struct Kept(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    home: Home,
    clock: Clock,
    table: ProcessTable,
    states: KeptTable,
    ledger: Ledger,
    belonging: Belonging,
    slots: Mutex<BTreeMap<KeptKey, Arc<Slot>>>,
}

/// The recipients of a signal.
#[derive(Debug, Clone, Copy)]
enum Which {
    InTheGroup,
    All,
}

impl Kept {
    /// Starts with the living processes that an earlier daemon started under this root. Must be called in a tokio
    /// runtime.
    pub async fn open(
        home: Home,
        clock: Clock,
        table: ProcessTable,
        states: KeptTable,
    ) -> anyhow::Result<Self> {
        let ledger = Ledger::new(&home.root);
        // Without a launcher, a process may have started others before it is in its group.
        let with_groups = !matches!(home.launcher, Launcher::Nobody);
        let belonging = Belonging::open(&home.root, with_groups)
            .context("cannot make a key that tells the processes of this daemon")?;
        // The recorded list may be outdated: from before the disk became read-only.
        let belongs = |pid| belonging.of(&Image::read(pid));
        let entries = mark::find(&home.root, ledger.read()?, belongs)
            .context("cannot look for processes that were kept before")?;
        let slots = Mutex::default();
        let inner = Inner { home, clock, table, states, ledger, belonging, slots };
        let kept = Self(Arc::new(inner));
        let known = Arc::downgrade(&kept.0);
        let origin = move |image: &Image| known.upgrade()?.belonging.of(image);
        kept.0.states.tell_origins_by(Origin(Box::new(origin)));
        for entry in entries {
            kept.adopt(entry).await?;
        }
        kept.0.write_ledger();
        Ok(kept)
    }

    /// Starts the command, unless it is running. Processes that its last run has left in its group are killed
    /// first: they would hold the ports and files that the new one needs. Processes that have left the group are
    /// [ended](Self::end_last_run) before that. Dropping the future does not undo a start.
    pub async fn start(
        &self,
        module: &ModuleName,
        command: &CommandName,
        spec: &CommandSpec,
    ) -> anyhow::Result<ProcessId> {
        let slot = self.slot(module, command);
        let starting = Arc::clone(&slot.starting).lock_owned().await;
        let leader = slot.held().as_ref().and_then(|held| held.leader.clone());
        if let Some(leader) = leader {
            if !leader.has_ended() {
                return Ok(leader.id());
            }
            // Its end is about to be published, and must not appear to follow the new start.
            let mut state = self.subscribe(module, command);
            let _ = state.wait_for(|state| state.running() != Some(leader.id())).await;
        }
        self.end(&slot, Instant::now() + KILLED_WITHIN, Which::InTheGroup).await.with_context(|| {
            format!("cannot start command `{command}`: what its last process started does not end")
        })?;
        let (inner, spec) = (Arc::clone(&self.0), spec.clone());
        let spawn = move || {
            let _starting = starting;
            inner.spawn(&slot, &spec)
        };
        tokio::task::spawn_blocking(spawn).await.context("the start of a command was cut short")?
    }

    /// Sends the signal to the command's process and its group; `false` if there is no process left. Processes that
    /// have left the group get it if it asks to exit and the first process has already exited, and SIGKILL in any
    /// case: until then, the first process is responsible for its own children.
    pub async fn signal(
        &self,
        module: &ModuleName,
        command: &CommandName,
        signal: Signal,
    ) -> io::Result<bool> {
        self.0.signal(&self.slot(module, command), signal).await
    }

    /// Records that something is about to be done that may end the module's kept processes.
    pub(crate) fn expect_end(&self, module: &ModuleName) {
        for slot in self.slots_of(module) {
            slot.expect_end();
        }
    }

    /// Returns when no process of the command is alive. Processes that have left the group are asked to exit once
    /// the group has ended.
    pub async fn await_exit(&self, module: &ModuleName, command: &CommandName) -> io::Result<()> {
        self.0.await_exit(&self.slot(module, command)).await
    }

    /// Returns when no start is in progress in this module. Abandoning a start does not undo it: only after this
    /// call is [running](Self::running) complete. An error if a start takes more than 3 seconds.
    pub(crate) async fn quiesce(&self, module: &ModuleName) -> io::Result<()> {
        let late = |_| {
            let text = format!("a command of `{module}` is still being started");
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        let slots = self.slots_of(module);
        tokio::time::timeout(STARTED_WITHIN, hold_starts(&slots)).await.map(drop).map_err(late)
    }

    /// The commands of this module whose process is alive.
    pub fn running(&self, module: &ModuleName) -> Vec<CommandName> {
        let of_module = self.slots_of(module).into_iter();
        let runs = |slot: &Arc<Slot>| self.0.states.state(module, &slot.key.1).running().is_some();
        of_module.filter(runs).map(|slot| slot.key.1.clone()).collect()
    }

    /// Whether the command has a process group, or had one since the daemon began.
    pub(crate) fn has_kept(&self, module: &ModuleName, command: &CommandName) -> bool {
        self.0.states.state(module, command) != KeptState::Never
    }

    /// The state of the command, now and from now on.
    pub fn subscribe(&self, module: &ModuleName, command: &CommandName) -> watch::Receiver<KeptState> {
        self.0.states.subscribe(module, command)
    }

    /// Kills everything that the module keeps (SIGKILL to each group), including processes that are just being
    /// started, and returns when they have ended. An error if one has not after 4 seconds.
    pub async fn kill_all(&self, module: &ModuleName) -> io::Result<()> {
        let until = Instant::now() + KILLED_WITHIN;
        self.discover(module).await?;
        let slots = self.slots_of(module);
        // Held to the end, so that nothing is started in between.
        let starts = tokio::time::timeout(STARTED_WITHIN, hold_starts(&slots)).await;
        // All at the same time: the end of one may make another start something.
        let ends = join_all(slots.iter().map(|slot| self.end(slot, until, Which::All))).await;
        if starts.is_err() {
            let text = format!("a command of `{module}` is still being started");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        ends.into_iter().collect()
    }

    /// A process of the module that does not end within this time, with its command. The remaining processes of a
    /// command whose first process has ended are asked to exit.
    pub async fn outlives(
        &self,
        module: &ModuleName,
        within: Duration,
    ) -> io::Result<Option<(CommandName, u32)>> {
        self.quiesce(module).await?;
        self.discover(module).await?;
        let until = Instant::now() + within;
        for slot in self.slots_of(module) {
            let end = async {
                if !slot.is_led() {
                    self.0.left_ends(&slot, slot.ends_by()).await?;
                }
                self.0.await_exit(&slot).await
            };
            let Ok(ended) = tokio::time::timeout_at(until, end).await else {
                match self.0.left(&slot).await?.first() {
                    Some(stat) => return Ok(Some((slot.key.1.clone(), stat.pid))),
                    None => continue,
                }
            };
            ended?;
        }
        Ok(None)
    }

    async fn end(&self, slot: &Slot, until: Instant, which: Which) -> io::Result<()> {
        let end = async {
            // A process that is just forking may miss one signal, but not all of them.
            loop {
                let sent = match which {
                    Which::InTheGroup => self.0.signal_group(slot, Signal::Kill).await?,
                    Which::All => self.0.signal(slot, Signal::Kill).await?,
                };
                match which {
                    _ if !sent => return Ok(()),
                    Which::InTheGroup => self.0.await_group(slot).await?,
                    Which::All => self.0.await_exit(slot).await?,
                }
            }
        };
        let late = || {
            let (module, command) = &slot.key;
            let text =
                format!("processes of command `{command}` of `{module}` do not end, not even after SIGKILL");
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        tokio::time::timeout_at(until, end).await.unwrap_or_else(|_| Err(late()))
    }

    fn slot(&self, module: &ModuleName, command: &CommandName) -> Arc<Slot> {
        let key = (module.clone(), command.clone());
        let new = || Arc::new(Slot::new(key.clone()));
        Arc::clone(self.0.slots().entry(key.clone()).or_insert_with(new))
    }

    fn slots_of(&self, module: &ModuleName) -> Vec<Arc<Slot>> {
        self.0.slots().values().filter(|slot| slot.key.0 == *module).cloned().collect()
    }
}

/// Waits for each start that is in progress; none begins until these guards are dropped.
async fn hold_starts(slots: &[Arc<Slot>]) -> Vec<OwnedMutexGuard<()>> {
    join_all(slots.iter().map(|slot| Arc::clone(&slot.starting).lock_owned())).await
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<KeptKey, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_slots(&self) -> Vec<Arc<Slot>> {
        self.slots().values().cloned().collect()
    }

    async fn signal(&self, slot: &Slot, signal: Signal) -> io::Result<bool> {
        let asks = asks_to_end(signal);
        if asks {
            slot.set_ends_by(Some(signal));
        }
        let sent = self.signal_group(slot, signal).await?;
        if signal != Signal::Kill && (!asks || slot.is_led()) {
            return Ok(sent);
        }
        Ok(self.signal_outside(slot, signal).await? || sent)
    }

    async fn signal_group(&self, slot: &Slot, signal: Signal) -> io::Result<bool> {
        slot.expect_end();
        let group = {
            let held = slot.held();
            let Some(held) = held.as_ref() else { return Ok(false) };
            // The leader is reaped under this lock, so the id belongs to the group until the signal is sent. (An
            // adopted leader is reaped by init instead.)
            if let Some(leader) = held.leader.as_ref().filter(|leader| !leader.has_ended()) {
                // A process that is slow to execute its program has not made its group yet.
                return Ok(held.group.signal(signal)? || leader.signal(signal)?);
            }
            held.group
        };
        if group.has_nobody() {
            return Ok(false);
        }
        let members = group.members(&*self.table.scan(Duration::ZERO).await?);
        Ok(!members.is_empty() && group.signal(signal)?)
    }

    async fn await_exit(&self, slot: &Slot) -> io::Result<()> {
        self.await_group(slot).await?;
        self.left_ends(slot, slot.ends_by()).await
    }

    async fn await_group(&self, slot: &Slot) -> io::Result<()> {
        let Some(group) = slot.group() else { return Ok(()) };
        group.ended(&self.table).await?;
        // The end of all processes is not sufficient: it must also have been published.
        let mut state = self.states.subscribe(&slot.key.0, &slot.key.1);
        let _ = state.wait_for(|state| state.running() != Some(group.leader())).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
