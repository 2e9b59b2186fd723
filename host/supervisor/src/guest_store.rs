//! The state that checkers and restart scripts keep from run to run, in `state/checkers.db`, and the number of
//! their runs. Both outlive the daemon.
//!
//! ```text
//!   run ──commit──▶ memory ──wakes──▶ a thread of its own ──▶ SQLite
//!                     ▲     whatever has changed, at most every [`PAUSE`]
//!                     └── read once, when the daemon begins
//! ```
//! No run waits for the disk. A daemon that is killed may lose what was stored in its last [`PAUSE`]. The number of
//! a run never decreases all the same: the number that is written has not been reached yet.

mod database;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_bus::recorder::Recorder;
use bellwether_core::id::ModuleName;
use jiff::Timestamp;
use tokio::sync::mpsc;

use bellwether_bus::Message;
use bellwether_os::at_most;
use bellwether_sandbox::{StateContents, StateHandle, StateObserver};

use self::database::{Database, Stored};

/// The pause between two batches.
const PAUSE: Duration = Duration::from_millis(50);
/// How often numbers of runs and failed writes are checked without a change.
const LOOK: Duration = Duration::from_secs(5);
/// How far the number of runs is written ahead: more than any checker makes between two checks.
const AHEAD: u64 = 2_000;
/// The state of a checker that no file has named for this long is removed.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// The time limit for writing at shutdown.
const FINISH_WITHIN: Duration = at_most!(Duration::from_secs(2));

/// The owner of a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub module: ModuleName,
    /// Checker or restart script.
    pub kind: OwnerKind,
    /// The checker's name; empty for the restart script.
    pub name: String,
}

/// The kinds of owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerKind {
    /// A checker of a component.
    Checker,
    /// The restart script of the module.
    RestartScript,
}

impl OwnerKind {
    fn word(self) -> &'static str {
        match self {
            Self::Checker => "checker",
            Self::RestartScript => "restart-script",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Checker, Self::RestartScript].into_iter().find(|kind| kind.word() == word)
    }
}

/// The stored state of one checker or restart script. Survives reloads. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The checker's own store.
    pub state: StateHandle,
    runs: Arc<AtomicU64>,
    /// Held by the present run: a checker never has two at the same time.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

impl Memory {
    /// A copy of the present state, for a run that leaves nothing behind.
    pub(crate) fn copy(&self) -> Self {
        let runs = AtomicU64::new(self.runs.load(Ordering::Relaxed));
        Self { state: self.state.copy(), runs: Arc::new(runs), turn: Arc::default() }
    }

    /// The number of the next run, from 1.
    pub fn next_run(&self) -> u64 {
        self.runs.load(Ordering::Relaxed) + 1
    }

    /// Counts a run as completed. A run that was abandoned never completes.
    pub(crate) fn count_run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

/// All stored states. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct GuestStores(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    memories: Mutex<BTreeMap<Owner, Memory>>,
    writer: OnceLock<SyncSender<Job>>,
    problem: Mutex<Option<String>>,
    /// Where problems with the file are reported.
    recorder: OnceLock<Recorder>,
}

#[derive(Debug)]
enum Job {
    Changed,
    /// Write everything, with the present numbers, and confirm it.
    Finish(SyncSender<()>),
}

/// Wakes the thread that writes.
#[derive(Debug)]
struct WriterWaker(SyncSender<Job>);

impl StateObserver for WriterWaker {
    fn changed(&self) {
        // A full channel means that the thread has been woken already.
        let _ = self.0.try_send(Job::Changed);
    }
}

impl GuestStores {
    /// The state that earlier daemons stored, and the thread that writes changes from now on. A damaged file is
    /// moved aside, and reported in the second value.
    pub fn open(root: &Path) -> (Self, Option<String>) {
        let path = root.join("state/checkers.db");
        let stores = Self::default();
        let (mut database, mut problem) = Database::open(&path);
        match database.as_mut().map(|database| database.load(now(), KEEP)) {
            None => {}
            Some(Ok(left)) => stores.take_over(left),
            Some(Err(error)) => {
                drop(database.take());
                problem = Some(database::set_aside(&path, &error));
                database = Database::open(&path).0;
            }
        }
        let (sender, jobs) = sync_channel(1);
        // The first and only observer.
        let _ = stores.0.writer.set(sender);
        for memory in stores.0.lock().values() {
            stores.attach(memory);
        }
        let writer = Writer::new(stores.clone(), path, database);
        let begun = thread::Builder::new().name("stores".to_owned()).spawn(move || writer.work(&jobs));
        if let Err(error) = begun {
            problem = Some(format!("the state of checkers will not survive this daemon: no thread: {error}"));
        }
        (stores, problem)
    }

    /// Problems with the file are reported here from now on.
    pub fn tell(&self, events: mpsc::Sender<Message>) {
        // Called once in a daemon.
        let _ = self.0.recorder.set(Recorder::new(events));
    }

    /// The state of this owner, including what earlier daemons stored.
    pub fn memory(&self, owner: Owner) -> Memory {
        let mut memories = self.0.lock();
        let memory = memories.entry(owner).or_insert_with(|| {
            let memory = Memory::default();
            self.attach(&memory);
            memory
        });
        memory.clone()
    }

    /// Why the state cannot be written, for people.
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what is not written yet, if the disk does not take too long.
    pub fn finish(&self) {
        let Some(writer) = self.0.writer.get() else { return };
        let (done, finished) = sync_channel(1);
        let until = Instant::now() + FINISH_WITHIN;
        // It may just have been woken: a moment later there is room again.
        let mut job = Job::Finish(done);
        while let Err(error) = writer.try_send(job) {
            let std::sync::mpsc::TrySendError::Full(again) = error else { return };
            if Instant::now() > until {
                return;
            }
            job = again;
            thread::yield_now();
        }
        if finished.recv_timeout(FINISH_WITHIN).is_err() {
            tracing::error!("the state of checkers could not be written in time");
        }
    }

    fn attach(&self, memory: &Memory) {
        if let Some(writer) = self.0.writer.get() {
            memory.state.observe(Arc::new(WriterWaker(writer.clone())));
        }
    }

    fn take_over(&self, stored: Vec<(Owner, Stored)>) {
        let memories = stored.into_iter().map(|(owner, stored)| {
            let memory = Memory {
                state: StateHandle::holding(stored.values),
                runs: Arc::new(AtomicU64::new(stored.runs)),
                turn: Arc::default(),
            };
            (owner, memory)
        });
        *self.0.lock() = memories.collect();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Owner, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The state of the writing thread.
struct Writer {
    stores: GuestStores,
    path: std::path::PathBuf,
    database: Option<Database>,
    /// The content on disk: values, and the number of runs.
    written: BTreeMap<Owner, (StateContents, u64)>,
    /// The file was removed or replaced, and is not written again yet.
    lost: bool,
}

impl Writer {
    fn new(stores: GuestStores, path: std::path::PathBuf, database: Option<Database>) -> Self {
        Self { stores, path, database, written: BTreeMap::new(), lost: false }
    }

    fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(LOOK) {
                Ok(Job::Changed) | Err(RecvTimeoutError::Timeout) => {
                    self.write(AHEAD);
                    thread::sleep(PAUSE);
                }
                Ok(Job::Finish(done)) => {
                    self.write(0);
                    // The caller may have given up.
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The database keeps writing to a file that was removed or replaced. Then all of it is written to a new one.
    fn look_for_the_file(&mut self) {
        if self.database.as_ref().is_some_and(|database| !database.is_at(&self.path)) {
            // Closing the connection removes the files beside the path: before another one is opened there.
            self.database = None;
            self.written.clear();
            self.lost = true;
        }
    }

    fn tell_of_the_file(&self) {
        let message =
            "state/checkers.db was removed or replaced while the daemon ran: it is restored".to_owned();
        tracing::error!("{message}");
        let Some(recorder) = self.stores.0.recorder.get() else { return };
        // This thread does not wait for the core. The log contains it.
        if !recorder.try_say(message) {
            tracing::warn!("that state/checkers.db was lost is not in the journal");
        }
    }

    /// Writes everything that differs from the content on disk.
    fn write(&mut self, ahead: u64) {
        self.look_for_the_file();
        let memories: Vec<(Owner, Memory)> =
            self.stores.0.lock().iter().map(|(owner, memory)| (owner.clone(), memory.clone())).collect();
        let mut changed = Vec::new();
        for (owner, memory) in memories {
            let (contents, runs) = (memory.state.contents(), memory.runs.load(Ordering::Relaxed));
            let written = self.written.get(&owner);
            let same = written.is_some_and(|(before, _)| before.same(&contents));
            let enough =
                written.is_some_and(
                    |(_, number)| if ahead == 0 { *number == runs } else { *number >= runs + ahead / 2 },
                );
            if !same || !enough {
                changed.push((owner, contents, runs + ahead, same));
            }
        }
        if changed.is_empty() {
            return;
        }
        if self.database.is_none() {
            self.database = Database::open(&self.path).0;
        }
        let result = match &mut self.database {
            Some(database) => database.write(&changed, now()).map_err(|error| error.to_string()),
            None => Err("it cannot be opened".to_owned()),
        };
        let mut problem = self.stores.0.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                *problem = None;
                drop(problem);
                if std::mem::take(&mut self.lost) {
                    self.tell_of_the_file();
                }
                for (owner, contents, runs, _) in changed {
                    self.written.insert(owner, (contents, runs));
                }
            }
            Err(error) => {
                if problem.is_none() {
                    tracing::error!(%error, "the state of checkers cannot be written");
                }
                *problem = Some(format!(
                    "the state of checkers cannot be written to state/checkers.db and would not survive this daemon: {error}"
                ));
                // Opened again the next time: the disk may have recovered.
                self.database = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
