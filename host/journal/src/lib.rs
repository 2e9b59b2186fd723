//! The journal of everything that happened, in `state/journal.db`.
//!
//! ```text
//!   core ──write──▶ waiting.rs: the latest records, in memory ──▶ followers
//!                        │ a thread of its own (writer.rs)  └──┐
//!                        ▼ in batches                          ▼ merged by number
//!                   store.rs: journal.db (SQLite) ──▶ reader.rs ──▶ events, why
//! ```
//! Only the journal's thread and readers wait for the disk. A disk that is too slow, or is full, gone or hung, may
//! cost records in the end, but never delays anything, and the loss is reported.

pub mod archive;
pub(crate) mod aside;
mod charts;
pub(crate) mod failure;
mod health;
mod import;
pub mod input_log;
mod opening;
mod prune;
mod query;
mod reader;
mod replay;
mod rescue;
mod schema;
mod search;
mod store;
#[cfg(test)]
mod tests;
mod waiting;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use bellwether_bus::Entry;
use bellwether_core::chart::{Chart, ChartQuery};
use bellwether_core::id::{CheckerName, ModuleName, NodeName};
use bellwether_core::observation::Observation;
use bellwether_core::record::Record;
use tokio::sync::{broadcast, mpsc, watch};

use bellwether_config::spec::JournalSpec;
use bellwether_os::at_most;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;

use self::opening::Opened;
use self::reader::Reader;
use self::waiting::{Observed, Replay, Waiting};
use self::writer::Writer;

pub use self::health::{Failing, JournalHealth};
pub use self::query::RecordQuery;
pub use self::reader::NotRead;
pub use self::replay::{Checkpoint, InputRow};

/// The number of records that a slow follower may be behind.
const BEHIND: usize = 1024;
/// The number of the journal's own messages that wait to become records.
const NOTICES: usize = 16;
/// The time limit for writing at shutdown.
const END_WITHIN: Duration = at_most!(Duration::from_secs(5));
/// How long a command's answer waits for its record, unless the disk is known to fail.
const SETTLED_WITHIN: Duration = Duration::from_millis(250);

/// The settings of the journal.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The daemon's folder; the file is in its `state`.
    pub root: PathBuf,
    /// The name of the node.
    pub node: NodeName,
    /// The daemon's time line.
    pub clock: Clock,
    /// How much is kept.
    pub spec: JournalSpec,
}

/// Messages of the journal itself. The receiver lets the core make records of them.
pub type Notices = mpsc::Receiver<String>;

/// The journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    waiting: Arc<Waiting>,
    followers: broadcast::Sender<Entry>,
    /// Changes with every batch.
    turned: watch::Receiver<()>,
    reader: Reader,
    clock: Clock,
    last_seq: u64,
    last_input: Arc<AtomicU64>,
}

impl Journal {
    /// Opens the file and starts the thread that writes it. Problems with the file or the disk are not errors: they
    /// are reported, and the journal continues.
    ///
    /// # Errors
    /// If the thread cannot be created.
    pub fn open(settings: Settings) -> io::Result<(Self, Notices)> {
        let path = path(&settings.root);
        let waiting = Arc::new(Waiting::default());
        let (notices, said) = mpsc::channel(NOTICES);
        let Opened { store, last_seq, last_input, salvaged, notes, failing } =
            opening::open(&path, &settings);
        waiting.put_before(salvaged, 0);
        for note in notes {
            tracing::error!("{note}");
            waiting.begun_anew(&note);
            // Messages that do not fit are dropped.
            let _ = notices.try_send(note);
        }
        if let Some(why) = failing {
            waiting.failed(&why, settings.clock.wall_micros(settings.clock.now()));
            tracing::error!("the journal cannot be written: {why}");
        }
        let (turning, turned) = watch::channel(());
        let reader = Reader::new(path, Arc::clone(&waiting));
        let clock = settings.clock;
        Writer::new(settings, Arc::clone(&waiting), store, last_seq, notices, turning).start()?;
        let (followers, _) = broadcast::channel(BEHIND);
        let last_input = Arc::new(AtomicU64::new(last_input));
        Ok((Self { waiting, followers, turned, reader, clock, last_seq, last_input }, said))
    }

    /// Records of this daemon have numbers above this one, which no other daemon has used.
    pub fn last_seq(&self) -> u64 {
        self.last_seq.max(self.waiting.last())
    }

    /// Adds a record to the journal, without waiting for the disk.
    pub fn write(&self, record: Record) {
        let module = record.module.as_ref().map_or("", |module| module.as_str());
        tracing::info!(module, "{}", record.kind.sentence());
        let wall = self.clock.wall_micros(record.at);
        let entry = Entry { record, wall };
        self.waiting.put(Arc::new(entry.clone()));
        // An error: there are no followers.
        drop(self.followers.send(entry));
    }

    /// Adds the measurements of one run of a checker, for charts.
    pub fn measure(&self, module: &ModuleName, checker: &CheckerName, observation: &Observation) {
        let second = self.clock.wall_micros(observation.at).div_euclid(1_000_000);
        self.waiting.observe(Observed::new(module, checker, observation, second));
    }

    /// Keeps an input of the core, for replay. Returns its number, even if there is no room for it: then the number
    /// is missing in the file.
    pub fn input(&self, row: InputRow) -> u64 {
        let id = self.last_input.fetch_add(1, Ordering::Relaxed) + 1;
        self.waiting.replay(Replay::Input(id, Arc::new(row)));
        id
    }

    /// The number of the last input of all; 0 if there is none.
    pub(crate) fn last_input(&self) -> u64 {
        self.last_input.load(Ordering::Relaxed)
    }

    /// Keeps the state of the core, for replay.
    pub fn checkpoint(&self, row: Checkpoint) {
        self.waiting.replay(Replay::Checkpoint(Arc::new(row)));
    }

    /// The heartbeat of its thread: at least once a second, unless the disk hangs.
    pub fn heart(&self) -> Heartbeat {
        self.waiting.heart()
    }

    /// The present state of the journal.
    pub fn health(&self) -> JournalHealth {
        self.waiting.health(self.clock.now())
    }

    /// Records from now on.
    pub fn follow(&self) -> broadcast::Receiver<Entry> {
        self.followers.subscribe()
    }

    /// The records that match the query, the latest last: those in the file and those that are being written.
    ///
    /// # Errors
    /// If it takes too long. A disk that is gone is not an error: then the records in memory are returned.
    pub async fn records(&self, query: RecordQuery) -> Result<Vec<Entry>, NotRead> {
        self.reader.records(query).await
    }

    /// What each of several queries finds, in their order, read at once.
    ///
    /// # Errors
    /// As of [`Journal::records`], for all of them.
    pub async fn records_of(&self, queries: Vec<RecordQuery>) -> Result<Vec<Vec<Entry>>, NotRead> {
        self.reader.records_of(queries).await
    }

    /// What checkers measured.
    ///
    /// # Errors
    /// If it takes too long, or cannot be read.
    pub async fn chart(&self, query: ChartQuery) -> Result<Chart, NotRead> {
        let now = self.clock.wall_micros(self.clock.now()).div_euclid(1_000_000);
        self.reader.chart(query, now).await
    }

    /// Waits until all records so far are in the file: for a short time, and not at all if the disk is known to
    /// fail.
    pub async fn settled(&self) {
        let last = self.waiting.last();
        self.until(SETTLED_WITHIN, |waiting| waiting.is_settled(last)).await;
    }

    /// Waits until everything is in the file, or the time limit is over.
    pub async fn flush(&self) {
        self.waiting.flush();
        if !self.until(END_WITHIN, Waiting::is_flushed).await {
            tracing::error!("the last records could not be written to the journal in time");
        }
    }

    /// Writes everything that waits, and closes the file.
    pub async fn end(&self) {
        self.waiting.end();
        if !self.until(END_WITHIN, Waiting::has_ended).await {
            tracing::error!("the journal could not be closed in time: its last records may be missing");
        }
    }

    async fn until(&self, most: Duration, done: impl Fn(&Waiting) -> bool) -> bool {
        let mut turned = self.turned.clone();
        let waits = async {
            loop {
                turned.borrow_and_update();
                if done(&self.waiting) {
                    return true;
                }
                if turned.changed().await.is_err() {
                    return done(&self.waiting);
                }
            }
        };
        tokio::time::timeout(most, waits).await.unwrap_or(false)
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("state/journal.db")
}
