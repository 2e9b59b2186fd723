//! The record of everything that happened, in `state/journal.jsonl`.
//!
//! ```text
//!   core ──write──▶ the latest records, in memory ──▶ events, why
//!            ├────▶ followers
//!            └────▶ task: append to the file, a new file when it is full
//! ```
//! The core never waits for the disk. A disk that does not keep up costs
//! records in the file, not in memory, and says so.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_core::record::Record;
use tokio::sync::{broadcast, mpsc, oneshot};

/// So many records are at hand.
const IN_MEMORY: usize = 10_000;
/// Records that wait for the disk.
const WAITING: usize = 4096;
/// Records that a slow follower may be behind.
const BEHIND: usize = 1024;
/// A file that is larger is followed by a new one; one old file is kept.
const MAX_FILE: u64 = 16 << 20;

/// The disk gets so long at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
enum Line {
    Record(Record),
    /// Everything before this is in the file.
    Flush(oneshot::Sender<()>),
}

/// The journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    latest: Arc<Mutex<VecDeque<Arc<Record>>>>,
    followers: broadcast::Sender<Record>,
    disk: mpsc::Sender<Line>,
}

impl Journal {
    /// The records of earlier daemons, and the task that writes those to come.
    /// Lines that are damaged are passed over, and counted in the log.
    pub fn open(root: &Path) -> io::Result<Self> {
        let path = root.join("state/journal.jsonl");
        let mut latest = VecDeque::new();
        for path in [older(&path), path.clone()] {
            read(&path, &mut latest)?;
        }
        let mut file = append(&path)?;
        mend(&path, &mut file)?;
        let (disk, records) = mpsc::channel(WAITING);
        tokio::spawn(work(path, file, records));
        let (followers, _) = broadcast::channel(BEHIND);
        Ok(Self { latest: Arc::new(Mutex::new(latest)), followers, disk })
    }

    /// The number of the last record; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.lock().back().map_or(0, |record| record.seq)
    }

    /// Writes a record down.
    pub fn write(&self, record: Record) {
        let module = record.module.as_ref().map_or("", |module| module.as_str());
        tracing::info!(module, "{}", record.kind.sentence());
        {
            let mut latest = self.lock();
            if latest.len() == IN_MEMORY {
                latest.pop_front();
            }
            latest.push_back(Arc::new(record.clone()));
        }
        if self.disk.try_send(Line::Record(record.clone())).is_err() {
            tracing::error!(
                seq = record.seq,
                "the disk does not keep up: a record is missing from the journal's file"
            );
        }
        // Nobody may be following.
        drop(self.followers.send(record));
    }

    /// Waits until everything is in the file, or the disk has had its time.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        let flush = async {
            if self.disk.send(Line::Flush(done)).await.is_ok() {
                drop(flushed.await);
            }
        };
        if tokio::time::timeout(FLUSH_WITHIN, flush).await.is_err() {
            tracing::error!("the last records could not be written to the journal's file in time");
        }
    }

    /// The records at hand that are wanted, the latest last.
    pub fn select(&self, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
        // Only the pointers are copied under the lock: the core wants it too.
        let records: Vec<Arc<Record>> = self.lock().iter().cloned().collect();
        records.iter().filter(|record| wanted(record)).map(|record| Record::clone(record)).collect()
    }

    /// Records from now on.
    pub fn follow(&self) -> broadcast::Receiver<Record> {
        self.followers.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Record>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("1.jsonl")
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn read(path: &Path, latest: &mut VecDeque<Arc<Record>>) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut damaged = 0_u32;
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        match serde_json::from_slice::<Record>(&line) {
            Ok(record) => {
                if latest.len() == IN_MEMORY {
                    latest.pop_front();
                }
                latest.push_back(Arc::new(record));
            }
            Err(_) => damaged += u32::from(!line.is_empty()),
        }
    }
    if damaged > 0 {
        tracing::warn!(damaged, file = %path.display(), "lines of the journal cannot be read and are passed over");
    }
    Ok(())
}

/// Ends a last line that an earlier daemon could not finish, so that the next record has its own.
fn mend(path: &Path, file: &mut File) -> io::Result<()> {
    let mut last = [b'\n'];
    let mut existing = File::open(path)?;
    if existing.seek(SeekFrom::End(-1)).is_ok() {
        existing.read_exact(&mut last)?;
    }
    if last == [b'\n'] { Ok(()) } else { file.write_all(b"\n") }
}

async fn work(path: PathBuf, mut file: File, mut lines: mpsc::Receiver<Line>) {
    let mut batch = Vec::new();
    while lines.recv_many(&mut batch, WAITING).await > 0 {
        let (mut records, mut flushes) = (Vec::new(), Vec::new());
        for line in batch.drain(..) {
            match line {
                Line::Record(record) => records.push(record),
                Line::Flush(done) => flushes.push(done),
            }
        }
        let path = path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let result = write_batch(&path, &mut file, &records);
            (file, result)
        });
        match written.await {
            Ok((same, result)) => {
                file = same;
                if let Err(error) = result {
                    tracing::error!(%error, "records could not be written to the journal's file");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the journal's file is written no more");
                return;
            }
        }
        for done in flushes {
            // Whoever waited may have given up.
            let _ = done.send(());
        }
    }
}

fn write_batch(path: &Path, file: &mut File, records: &[Record]) -> io::Result<()> {
    let mut text = Vec::new();
    for record in records {
        serde_json::to_writer(&mut text, record)?;
        text.push(b'\n');
    }
    if file.metadata()?.len() > MAX_FILE {
        // If that fails, a file that is too large is better than records that are lost.
        match fs::rename(path, older(path)) {
            Ok(()) => *file = append(path)?,
            Err(error) => {
                tracing::error!(%error, "the journal's file cannot be set aside and goes on growing")
            }
        }
    }
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_core::moment::Moment;
    use bellwether_core::record::RecordKind;

    fn record(seq: u64) -> Record {
        Record {
            seq,
            at: Moment::from_micros(0),
            node: "node-1".parse().unwrap(),
            module: None,
            kind: RecordKind::Daemon { message: format!("message {seq}") },
        }
    }

    #[tokio::test]
    async fn records_outlive_the_daemon_and_damaged_lines_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state/journal.jsonl");
        fs::create_dir(root.path().join("state")).unwrap();
        let mut file = append(&path).unwrap();
        write_batch(&path, &mut file, &[record(1), record(2)]).unwrap();
        file.write_all(b"{\"seq\": 3, \"at\"").unwrap();
        // What the last daemon could not finish does not take the next record with it.
        mend(&path, &mut file).unwrap();
        write_batch(&path, &mut file, &[record(4)]).unwrap();
        let journal = Journal::open(root.path()).unwrap();
        let seqs: Vec<u64> = journal.select(|_| true).iter().map(|record| record.seq).collect();
        assert_eq!((seqs, journal.last_seq()), (vec![1, 2, 4], 4));
    }

    #[tokio::test]
    async fn followers_get_what_is_written_from_then_on() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        let journal = Journal::open(root.path()).unwrap();
        journal.write(record(1));
        let mut follower = journal.follow();
        journal.write(record(2));
        assert_eq!(follower.recv().await.unwrap().seq, 2);
        assert_eq!(journal.select(|record| record.seq > 1).len(), 1);
    }
}
