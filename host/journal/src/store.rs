//! The file itself: opened, written in batches, closed.
//!
//! ```text
//!   absent, older ──open──▶ open ──write──▶ open ──close──▶ closed in order
//!   useless ─────▶ set aside (opening.rs)     └──a failure──▶ dropped, opened again later
//! ```
//! The write-ahead log (WAL) is not synced with each batch: what was written survives the daemon's death
//! immediately, and the machine's death after the next checkpoint. Numbers are reserved in advance, so that neither
//! lets a number be used twice.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::measurements::{Bucket, Resolution, Series};
use bellwether_os::file::{self, FileId};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::failure::StoreError;
use super::replay::{Checkpoint, InputRow};
use super::schema;
use super::search;
use super::waiting::Replay;
use bellwether_bus::Entry;

/// How long to wait for another program that reads the file.
const BUSY: Duration = Duration::from_secs(1);
/// The number of numbers that are reserved in advance. More than can wait for the disk.
pub(super) const RESERVE: u64 = 100_000;

/// A start of the daemon.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    /// The kernel's boot id; empty if the system has none.
    pub(super) machine: String,
    pub(super) node: String,
    pub(super) wall: i64,
}

/// The data of one transaction.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Batch<'b> {
    pub(super) records: &'b [Arc<Entry>],
    pub(super) replay: &'b [Replay],
    pub(super) buckets: &'b [(Series, Bucket)],
}

/// An open journal file.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    /// The start that records belong to.
    boot: i64,
    /// Numbers up to this are reserved.
    reserved: u64,
    /// Which file is open.
    file: FileId,
    /// Which is the log ahead of it.
    log: Option<FileId>,
}

/// The last numbers in an open file.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenOut {
    /// The number of the last record.
    pub(super) record: u64,
    /// No record has a number above this one.
    pub(super) reserved: u64,
    /// The number of the last input.
    pub(super) input: u64,
}

impl Store {
    /// Opens the file, creates it if it does not exist, and migrates an older one. `is_expected`: an empty file is
    /// an error, because it was not just created.
    pub(super) fn open(path: &Path, is_expected: bool) -> Result<Self, StoreError> {
        // For its owner alone. What SQLite puts beside it gets the same mode.
        let made = file::private().write(true).create_new(true).open(path);
        match made {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if is_expected && fs::metadata(path)?.len() == 0 {
                    return Err(StoreError::Useless("it is empty".to_owned()));
                }
            }
            Err(error) => return Err(error.into()),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let version = version(&connection)?;
        if version == 0 {
            connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        }
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;
             PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
        )?;
        schema::migrate(&mut connection, version, schema::newest())?;
        connection.set_prepared_statement_cache_capacity(32);
        let (file, log) = (FileId::of(path)?, FileId::of(&log_of(path)).ok());
        Ok(Self { connection, boot: 0, reserved: 0, file, log })
    }

    /// Whether the open file is still the one at this path. The database keeps writing to a file that was removed
    /// or replaced.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.file.is_at(path)
    }

    /// Whether the log at this path belongs to the open file. A file that has replaced it may have its own.
    pub(super) fn owns_log(&self, path: &Path) -> bool {
        FileId::of(&log_of(path)).ok() == self.log
    }

    /// Copies everything in the open file to another one.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        file::private().write(true).create_new(true).open(path)?;
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }

    pub(super) fn given_out(&self) -> Result<GivenOut, StoreError> {
        let number = |sql: &str| -> rusqlite::Result<u64> {
            let value: Option<i64> = self.connection.query_row(sql, [], |row| row.get(0))?;
            Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
        };
        let record = number("SELECT max(seq) FROM records")?;
        Ok(GivenOut {
            record,
            reserved: number("SELECT max(value) FROM facts WHERE name = 'reserved'")?.max(record),
            input: number("SELECT max(id) FROM inputs")?.max(number("SELECT max(input) FROM checkpoints")?),
        })
    }

    /// The daemon that writes from now on has not used any number above `last`.
    pub(super) fn begin(&mut self, boot: &Boot, last: u64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO boots(boot, node, version, wall) VALUES(?1, ?2, ?3, ?4)",
            params![boot.machine, boot.node, env!("CARGO_PKG_VERSION"), boot.wall],
        )?;
        let id = transaction.last_insert_rowid();
        set(&transaction, "reserved", last + RESERVE)?;
        set(&transaction, "clean", 0)?;
        transaction.commit()?;
        (self.boot, self.reserved) = (id, last + RESERVE);
        Ok(())
    }

    /// Continues where this daemon stopped, with a file that it has used before.
    pub(super) fn go_on(&mut self, before: (i64, u64)) {
        (self.boot, self.reserved) = before;
    }

    /// The arguments for [`Store::go_on`].
    pub(super) fn place(&self) -> (i64, u64) {
        (self.boot, self.reserved)
    }

    /// In one transaction. Returns the new reservation, if there is one.
    pub(super) fn write(&mut self, batch: Batch<'_>) -> rusqlite::Result<Option<u64>> {
        let Batch { records, replay, buckets } = batch;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = Vec::with_capacity(records.len());
        for entry in records {
            if insert_record(&transaction, entry, self.boot)? {
                written.push(signed(entry.seq));
            }
        }
        search::enter(&transaction, &written)?;
        let mut bytes = 0;
        for row in replay {
            bytes += row.bytes();
            match row {
                Replay::Input(id, row) => insert_input(&transaction, *id, row, self.boot)?,
                Replay::Checkpoint(row) => insert_checkpoint(&transaction, row, self.boot)?,
            }
        }
        if bytes > 0 {
            add(&transaction, "replay_bytes", i64::try_from(bytes).unwrap_or(i64::MAX))?;
        }
        for (series, bucket) in buckets {
            insert_bucket(&transaction, series, bucket)?;
        }
        let last = records.last().map_or(0, |last| last.seq);
        let renewed = (last + RESERVE / 2 > self.reserved).then_some(last + RESERVE);
        if let Some(reserved) = renewed {
            set(&transaction, "reserved", reserved)?;
        }
        transaction.commit()?;
        self.reserved = renewed.unwrap_or(self.reserved);
        Ok(renewed)
    }

    /// Stores that no number above `last` was used, and copies the log into the file itself.
    pub(super) fn close(self, last: u64) -> rusqlite::Result<()> {
        let Self { mut connection, .. } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        set(&transaction, "reserved", last)?;
        set(&transaction, "clean", 1)?;
        transaction.commit()?;
        let mut checkpoint = connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let mut rows = checkpoint.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        drop(checkpoint);
        connection.close().map_err(|(_, error)| error)
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-wal");
    name.into()
}

/// Of a file of ours; 0 if nothing is in it yet.
fn version(connection: &Connection) -> Result<usize, StoreError> {
    let number =
        |name: &str| -> rusqlite::Result<i64> { connection.pragma_query_value(None, name, |row| row.get(0)) };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    if application != i64::from(schema::APPLICATION) {
        return Err(StoreError::Useless("it is another program's database".to_owned()));
    }
    match usize::try_from(version) {
        Ok(version) if (1..=schema::newest()).contains(&version) => Ok(version),
        Ok(version) if version > schema::newest() => Err(StoreError::Useless(format!(
            "it was written by a newer version of Bellwether (schema {version}; this one knows {})",
            schema::newest()
        ))),
        _ => Err(StoreError::Useless(format!("it says that its schema is {version}"))),
    }
}

pub(super) fn set(transaction: &Transaction<'_>, name: &str, value: u64) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached("INSERT OR REPLACE INTO facts(name, value) VALUES(?1, ?2)")?;
    statement.execute(params![name, signed(value)]).map(drop)
}

pub(super) fn add(transaction: &Transaction<'_>, name: &str, more: i64) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO facts(name, value) VALUES(?1, max(0, ?2))
         ON CONFLICT(name) DO UPDATE SET value = max(0, value + ?2)",
    )?;
    statement.execute(params![name, more]).map(drop)
}

/// Integers in the file are signed.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns whether it is new.
fn insert_record(transaction: &Transaction<'_>, entry: &Entry, boot: i64) -> rusqlite::Result<bool> {
    // A batch that was written although an error was reported is not written twice.
    let mut statement = transaction.prepare_cached(
        "INSERT OR IGNORE INTO records(seq, at, wall, boot, module, kind, checker, text, body)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    // It consists of strings and numbers with string keys. If it ever does not, the text remains.
    let body = serde_json::to_string(&entry.kind).unwrap_or_else(|_| "null".to_owned());
    let inserted = statement.execute(params![
        signed(entry.seq),
        entry.at.as_micros(),
        entry.wall,
        boot,
        entry.module.as_ref().map(ModuleName::as_str),
        entry.kind.word(),
        entry.kind.checker().map(CheckerName::as_str),
        entry.kind.sentence(),
        body,
    ]);
    inserted.map(|rows| rows > 0)
}

fn insert_input(transaction: &Transaction<'_>, id: u64, row: &InputRow, boot: i64) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR IGNORE INTO inputs(id, at, boot, module, body) VALUES(?1, ?2, ?3, ?4, ?5)",
    )?;
    let module = row.module.as_ref().map(ModuleName::as_str);
    statement.execute(params![signed(id), row.at.as_micros(), boot, module, row.body]).map(drop)
}

fn insert_checkpoint(transaction: &Transaction<'_>, row: &Checkpoint, boot: i64) -> rusqlite::Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT INTO checkpoints(at, boot, input, body) VALUES(?1, ?2, ?3, ?4)")?;
    statement.execute(params![row.at.as_micros(), boot, signed(row.input), row.body]).map(drop)
}

/// At every resolution, merged with the existing buckets of the same time.
fn insert_bucket(transaction: &Transaction<'_>, series: &Series, bucket: &Bucket) -> rusqlite::Result<()> {
    let Series { module, checker, name, unit } = series;
    let names = params![module.as_str(), checker.as_str(), name, unit];
    transaction
        .prepare_cached(
            "INSERT INTO series(module, checker, name, unit) VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(names)?;
    let id: i64 = transaction
        .prepare_cached(
            "SELECT id FROM series WHERE module = ?1 AND checker = ?2 AND name = ?3 AND unit = ?4",
        )?
        .query_row(names, |row| row.get(0))?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO points(series, resolution_s, bucket_start_wall, count, min, max, sum)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET count = count + excluded.count, min = min(min, excluded.min),
             max = max(max, excluded.max), sum = sum + excluded.sum",
    )?;
    for resolution in Resolution::ALL {
        let start = resolution.start_of(bucket.start);
        let count = signed(bucket.count);
        statement.execute(params![
            id,
            resolution.seconds(),
            start,
            count,
            bucket.min,
            bucket.max,
            bucket.sum
        ])?;
    }
    Ok(())
}
