//! The long-running applications that the host keeps.
//!
//! ```text
//!                 start                  leader ends          last member ends
//!   no group ───────────────▶ led group ────────────▶ leftovers ────────────▶ no group
//!      │                        ▲                        │
//!      └── found again, alive ──┘                        └── start: they are killed first
//! ```
//! A kept process leads a process group with all that it starts. It does not
//! die with the daemon: its output goes straight to a file, and who it is is
//! written down before it becomes the application (see [`gate`](super::gate)), so
//! that the next daemon finds it again, whenever this one is killed.
//!
//! While the group has a leader that nobody has reaped, or any member, the
//! kernel gives its id to nobody else: a signal to the group reaches no stranger.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::plan::Signal;
use futures_util::future::join_all;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::child::{Home, Launch};
use super::{last_words, log_file};
use crate::clock::Clock;
use crate::config::spec::CommandSpec;
use crate::patience::at_most;
use crate::process::ending::Ending;
use crate::process::group::ProcessGroup;
use crate::process::identity::{BootId, ProcessId};
use crate::process::kept_table::{KeptKey, KeptState, KeptTable};
use crate::process::pidfd::PidFd;
use crate::process::table::ProcessTable;
use crate::shortage::with_reserve;
pub use ledger::Launched;
use ledger::{Entry, Ledger};

pub mod inherit;
mod ledger;
pub(crate) mod mark;

/// What SIGKILL was sent to is gone within this, or hangs in the kernel. Less
/// than the 5 seconds that the core waits, so that it hears what hangs.
const KILLED_WITHIN: Duration = at_most(Duration::from_secs(4));
/// Between the order to start a process and its first instruction.
const STARTED_WITHIN: Duration = at_most(Duration::from_secs(3));
/// What waited at a gate that is gone has ended or has become the application by then.
const THROUGH_WITHIN: Duration = at_most(Duration::from_secs(1));
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
    slots: Mutex<BTreeMap<KeptKey, Arc<Slot>>>,
}

/// What belongs to one command.
#[derive(Debug)]
struct Slot {
    key: KeptKey,
    /// One start at a time.
    starting: Arc<tokio::sync::Mutex<()>>,
    /// What waits at the gate: written down, and not yet the application.
    waiting: Mutex<Option<ProcessId>>,
    /// What its process was started with, if that is known.
    launched: Mutex<Option<Launched>>,
    /// How long its log was before its process wrote there, where that is known.
    log_from: Mutex<Option<u64>>,
    /// Its process was told to end, or a command ran that may have been there to end it.
    end_expected: AtomicBool,
    held: Mutex<Option<Held>>,
}

/// A group that may have living members.
#[derive(Debug)]
struct Held {
    group: ProcessGroup,
    /// Its first process, until that has been reaped.
    leader: Option<Arc<PidFd>>,
    watcher: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Kept {
    /// Begins with the processes that an earlier daemon started under this root
    /// and that live still. Needs a tokio runtime around it.
    pub async fn open(
        home: Home,
        clock: Clock,
        table: ProcessTable,
        states: KeptTable,
    ) -> anyhow::Result<Self> {
        let ledger = Ledger::new(&home.root);
        // What was written down last may be an old list: of before the disk turned read-only.
        let entries = mark::find(&home.root, ledger.read()?)
            .context("cannot look for processes that were kept before")?;
        let slots = Mutex::default();
        let kept = Self(Arc::new(Inner { home, clock, table, states, ledger, slots }));
        for entry in entries {
            kept.adopt(entry).await?;
        }
        kept.0.write_ledger();
        Ok(kept)
    }

    /// Starts the command, unless it runs. What its last process has left behind
    /// is killed first: it would hold the ports and files that the new one needs.
    /// Dropping the future does not undo a start.
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
            // Its end is about to be published; what comes then must not follow the new start.
            let mut state = self.subscribe(module, command);
            let _ = state.wait_for(|state| state.running() != Some(leader.id())).await;
        }
        self.end_group(&slot, Instant::now() + KILLED_WITHIN).await.with_context(|| {
            format!("cannot start command `{command}`: what its last process started does not end")
        })?;
        let (inner, spec) = (Arc::clone(&self.0), spec.clone());
        let spawn = move || {
            let _starting = starting;
            inner.spawn(&slot, &spec)
        };
        tokio::task::spawn_blocking(spawn).await.context("the start of a command was cut short")?
    }

    /// Sends the signal to the command's process and all in its group; `false`
    /// if nobody is left to get it.
    pub async fn signal(
        &self,
        module: &ModuleName,
        command: &CommandName,
        signal: Signal,
    ) -> io::Result<bool> {
        self.0.signal(&self.slot(module, command), signal).await
    }

    /// Something is about to be done that may end what the module keeps.
    pub fn expect_end(&self, module: &ModuleName) {
        for slot in self.slots_of(module) {
            slot.end_expected.store(true, Ordering::Release);
        }
    }

    /// Returns when nobody in the command's process group is alive.
    pub async fn await_exit(&self, module: &ModuleName, command: &CommandName) -> io::Result<()> {
        self.0.await_exit(&self.slot(module, command)).await
    }

    /// Returns when no start is under way in this module. Whoever gives up a
    /// start does not undo it: only after this is what [runs](Self::running)
    /// all there is. An error if a start takes more than 3 seconds.
    pub async fn quiesce(&self, module: &ModuleName) -> io::Result<()> {
        let late = |_| {
            let text = format!("a command of `{module}` is still being started");
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        let slots = self.slots_of(module);
        tokio::time::timeout(STARTED_WITHIN, hold_starts(&slots)).await.map(drop).map_err(late)
    }

    /// The commands of this module whose process lives.
    pub fn running(&self, module: &ModuleName) -> Vec<CommandName> {
        let of_module = self.slots_of(module).into_iter();
        let runs = |slot: &Arc<Slot>| self.0.states.state(module, &slot.key.1).running().is_some();
        of_module.filter(runs).map(|slot| slot.key.1.clone()).collect()
    }

    /// Whether the command has a process group, or had one since the daemon began.
    pub fn has_kept(&self, module: &ModuleName, command: &CommandName) -> bool {
        self.0.states.state(module, command) != KeptState::Never
    }

    /// Where the command stands, now and from now on.
    pub fn subscribe(&self, module: &ModuleName, command: &CommandName) -> watch::Receiver<KeptState> {
        self.0.states.subscribe(module, command)
    }

    /// Kills all that the module keeps (SIGKILL to each group), also what is just
    /// being started, and returns when it is gone. An error if something is not
    /// after 4 seconds.
    pub async fn kill_all(&self, module: &ModuleName) -> io::Result<()> {
        let until = Instant::now() + KILLED_WITHIN;
        let slots = self.slots_of(module);
        // Held to the end: nothing is started in between.
        let starts = tokio::time::timeout(STARTED_WITHIN, hold_starts(&slots)).await;
        // All at once: the end of one may make another start something.
        let ends = join_all(slots.iter().map(|slot| self.end_group(slot, until))).await;
        if starts.is_err() {
            let text = format!("a command of `{module}` is still being started");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        ends.into_iter().collect()
    }

    /// A process of the module that does not end within this time, with its command.
    pub async fn outlives(
        &self,
        module: &ModuleName,
        within: Duration,
    ) -> io::Result<Option<(CommandName, u32)>> {
        self.quiesce(module).await?;
        let until = Instant::now() + within;
        for slot in self.slots_of(module) {
            let Ok(ended) = tokio::time::timeout_at(until, self.0.await_exit(&slot)).await else {
                let Some(group) = slot.group() else { continue };
                let members = group.members(&*self.0.table.scan(Duration::ZERO).await?);
                match members.first() {
                    Some(pid) => return Ok(Some((slot.key.1.clone(), *pid))),
                    None => continue,
                }
            };
            ended?;
        }
        Ok(None)
    }

    async fn end_group(&self, slot: &Slot, until: Instant) -> io::Result<()> {
        let end = async {
            // Who is just forking may miss one signal, but not for ever.
            while self.0.signal(slot, Signal::Kill).await? {
                self.0.await_exit(slot).await?;
            }
            Ok(())
        };
        let late = || {
            let (module, command) = &slot.key;
            let text =
                format!("processes of command `{command}` of `{module}` do not end, not even by SIGKILL");
            io::Error::new(io::ErrorKind::TimedOut, text)
        };
        tokio::time::timeout_at(until, end).await.unwrap_or_else(|_| Err(late()))
    }

    /// Takes over a process that an earlier daemon started.
    async fn adopt(&self, entry: Entry) -> anyhow::Result<()> {
        let Entry { module, command, process, launched, log_from } = entry;
        if process.boot_id != BootId::current()? {
            return Ok(());
        }
        if self.never_became_it(&process).await {
            return Ok(());
        }
        let slot = self.slot(&module, &command);
        slot.set_launched(launched);
        if let Some(leader) = PidFd::open_exact(&process)? {
            tracing::info!(%module, %command, pid = process.pid, "found a kept process again");
            self.0.hold(&slot, Arc::new(leader), log_from);
            return Ok(());
        }
        tracing::warn!(%module, %command, pid = process.pid, "a kept process ended while no daemon ran");
        let log = log_file::path(&self.0.home.root, &module, &command);
        let error = log_from.and_then(|from| last_words::error_since(&log, from));
        let how = format!("ended while Bellwether was not running{}", last_words::quoted(error));
        let ended = KeptState::Ended { pid: process.pid, how, at: self.0.clock.now() };
        self.0.states.publish(&module, &command, ended);
        let group = ProcessGroup::of(process);
        if !group.members(&*self.0.table.scan(Duration::ZERO).await?).is_empty() {
            self.0.hold_leftovers(&slot, group);
        }
        Ok(())
    }

    /// Whether it waited at the gate when the daemon before us ended. It ends then, too; or it had
    /// just been let through, and becomes the application in this instant.
    async fn never_became_it(&self, process: &ProcessId) -> bool {
        let until = Instant::now() + THROUGH_WITHIN;
        let mut waited = false;
        while process.still_alive() {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            if !self.0.home.launcher.is_waiting(&line) || Instant::now() >= until {
                return false;
            }
            waited = true;
            tokio::time::sleep(THROUGH_LOOK).await;
        }
        waited
    }

    fn slot(&self, module: &ModuleName, command: &CommandName) -> Arc<Slot> {
        let key = (module.clone(), command.clone());
        let new = || {
            Arc::new(Slot {
                key: key.clone(),
                starting: Arc::default(),
                waiting: Mutex::default(),
                launched: Mutex::default(),
                log_from: Mutex::default(),
                end_expected: AtomicBool::default(),
                held: Mutex::default(),
            })
        };
        Arc::clone(self.0.slots().entry(key.clone()).or_insert_with(new))
    }

    fn slots_of(&self, module: &ModuleName) -> Vec<Arc<Slot>> {
        self.0.slots().values().filter(|slot| slot.key.0 == *module).cloned().collect()
    }
}

/// Waits for each start that is under way; none begins until these are dropped.
async fn hold_starts(slots: &[Arc<Slot>]) -> Vec<OwnedMutexGuard<()>> {
    join_all(slots.iter().map(|slot| Arc::clone(&slot.starting).lock_owned())).await
}

impl Slot {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn group(&self) -> Option<ProcessGroup> {
        self.held().as_ref().map(|held| held.group)
    }

    /// What the next daemon has to look for.
    fn process(&self) -> Option<ProcessId> {
        let waiting = *self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.or_else(|| self.group().map(|group| group.leader()))
    }

    fn launched(&self) -> Option<Launched> {
        self.launched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_launched(&self, launched: Option<Launched>) {
        *self.launched.lock().unwrap_or_else(PoisonError::into_inner) = launched;
    }

    fn log_from(&self) -> Option<u64> {
        *self.log_from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_log_from(&self, from: Option<u64>) {
        *self.log_from.lock().unwrap_or_else(PoisonError::into_inner) = from;
    }

    fn set_waiting(&self, process: Option<ProcessId>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = process;
    }
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<KeptKey, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>, slot: &Arc<Slot>, spec: &CommandSpec) -> anyhow::Result<ProcessId> {
        let (module, command) = &slot.key;
        let launch = Launch { module, command, spec, arguments: &[] };
        let (waiting, before) = with_reserve(|| {
            let (streams, before) = self.home.streams(module, command)?;
            let waiting = self.home.spawn_waiting(&launch, streams)?;
            Ok::<_, anyhow::Error>((waiting, before))
        })?;
        let id = waiting.leader.id();
        // Written down before it becomes the application: a daemon that is killed between the two
        // leaves nothing behind.
        slot.set_launched(Some(Launched::by(spec)));
        slot.set_log_from(before);
        slot.set_waiting(Some(id));
        self.write_ledger();
        let through = self.home.let_through(&launch, waiting);
        if let Ok(leader) = through {
            tracing::info!(%module, %command, pid = id.pid, "started a kept process");
            self.hold(slot, Arc::new(leader), before);
            slot.set_waiting(None);
            return Ok(id);
        }
        slot.set_waiting(None);
        self.write_ledger();
        through.map(|leader| leader.id())
    }

    /// From here on the process is ours to watch. `log_from` is how long its
    /// log was before it wrote there, where that is known.
    fn hold(self: &Arc<Self>, slot: &Arc<Slot>, leader: Arc<PidFd>, log_from: Option<u64>) {
        let id = leader.id();
        slot.set_log_from(log_from);
        slot.end_expected.store(false, Ordering::Release);
        let mut held = slot.held();
        let (inner, of_slot, process) = (Arc::downgrade(self), Arc::downgrade(slot), Arc::clone(&leader));
        let watcher = tokio::spawn(async move {
            process.exited().await;
            leader_ended(&inner, &of_slot, &process);
            drop(process);
            leftovers_end(&inner, &of_slot).await;
        });
        *held = Some(Held { group: ProcessGroup::of(id), leader: Some(leader), watcher });
        // Before the lock is given back: its end must not be published first.
        self.states.publish(&slot.key.0, &slot.key.1, KeptState::Running(id));
    }

    fn hold_leftovers(self: &Arc<Self>, slot: &Arc<Slot>, group: ProcessGroup) {
        let mut held = slot.held();
        let (inner, of_slot) = (Arc::downgrade(self), Arc::downgrade(slot));
        let watcher = tokio::spawn(async move { leftovers_end(&inner, &of_slot).await });
        *held = Some(Held { group, leader: None, watcher });
    }

    async fn signal(&self, slot: &Slot, signal: Signal) -> io::Result<bool> {
        slot.end_expected.store(true, Ordering::Release);
        let group = {
            let held = slot.held();
            let Some(held) = held.as_ref() else { return Ok(false) };
            // The leader is reaped under this lock, so the id is the group's until
            // the signal is sent. (One that we adopted is reaped by init instead.)
            if let Some(leader) = held.leader.as_ref().filter(|leader| !leader.has_ended()) {
                // One that is slow to become its program has not made its group yet.
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
        let Some(group) = slot.group() else { return Ok(()) };
        group.ended(&self.table).await?;
        // That nobody lives is one thing, that everybody has been told another.
        let mut state = self.states.subscribe(&slot.key.0, &slot.key.1);
        let _ = state.wait_for(|state| state.running() != Some(group.leader())).await;
        Ok(())
    }

    fn write_ledger(&self) {
        let entries = || {
            let slots: Vec<_> = self.slots().values().cloned().collect();
            let entry = |slot: &Arc<Slot>| {
                let process = slot.process()?;
                let (module, command) = slot.key.clone();
                Some(Entry { module, command, process, launched: slot.launched(), log_from: slot.log_from() })
            };
            slots.iter().filter_map(entry).collect()
        };
        if let Err(error) = self.ledger.write(entries) {
            tracing::warn!(
                %error,
                "cannot write state/kept.json: a daemon that is started later will not find what is kept now"
            );
        }
    }
}

/// Reaps the leader and says so to everybody.
fn leader_ended(inner: &Weak<Inner>, slot: &Weak<Slot>, leader: &PidFd) {
    let (Some(inner), Some(slot)) = (inner.upgrade(), slot.upgrade()) else { return };
    let mut held = slot.held();
    let ending = leader.wait_status().ok().flatten().unwrap_or(Ending::Unknown);
    if let Some(held) = held.as_mut() {
        held.leader = None;
    }
    let (module, command) = &slot.key;
    let pid = leader.id().pid;
    let expected = slot.end_expected.load(Ordering::Acquire);
    let log = log_file::path(&inner.home.root, module, command);
    let how = last_words::of_kept(ending, expected, slot.log_from().map(|from| (log.as_path(), from)));
    let ended = KeptState::Ended { pid, how, at: inner.clock.now() };
    inner.states.publish(module, command, ended);
    drop(held);
    tracing::info!(%module, %command, pid, "a kept process {ending}");
}

/// Forgets the group once nobody is left in it.
async fn leftovers_end(inner: &Weak<Inner>, slot: &Weak<Slot>) {
    let Some((table, group)) = inner.upgrade().map(|inner| inner.table.clone()).zip(of(slot)) else { return };
    if let Err(error) = group.ended(&table).await {
        tracing::warn!(%error, pid = group.leader().pid, "cannot tell whether a process group has ended");
        return;
    }
    let (Some(inner), Some(slot)) = (inner.upgrade(), slot.upgrade()) else { return };
    let forgotten = slot.held().take_if(|held| held.group == group);
    inner.write_ledger();
    // Ends this task, which has nothing left to do.
    drop(forgotten);
}

fn of(slot: &Weak<Slot>) -> Option<ProcessGroup> {
    slot.upgrade().and_then(|slot| slot.group())
}

#[cfg(test)]
mod tests;
