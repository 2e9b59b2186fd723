//! Reads the file on the disk: beside a running daemon, or without any.
//!
//! Nothing is written, and data that is only in a daemon's memory is not seen.

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_bus::Entry;
use bellwether_core::moment::Moment;
use bellwether_core::node;
use bellwether_core::record::Record;
use bellwether_core::replay::Line;
use bellwether_core::transcript::Input;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::reader::{COLUMNS, RECORDS, entry, open};
use super::store::signed;

/// The maximum number of lines that are read at once.
pub const MAX_LINES: usize = 1_000_000;

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no journal.
    #[error("there is no journal in state/journal.db")]
    None,
    /// It cannot be read.
    #[error("the journal cannot be read: {0}")]
    Unreadable(#[from] rusqlite::Error),
    /// There is too much of it.
    #[error("there are more than {MAX_LINES} lines in this stretch")]
    TooLong,
}

/// A journal file opened for reading.
#[derive(Debug)]
pub struct Archive {
    connection: Connection,
}

/// The input of a core in a range of time.
#[derive(Debug, Default)]
pub struct Stretch {
    /// The core before the first line; without it, nothing is known before a beginning.
    pub checkpoint: Option<node::Checkpoint>,
    /// The input, in its order.
    pub lines: Vec<Line>,
    /// Lines are missing before these (by index).
    pub gaps: Vec<usize>,
}

impl Archive {
    /// Opens the journal in the daemon's folder.
    ///
    /// # Errors
    /// If it does not exist, or cannot be read.
    pub fn open(root: &Path) -> Result<Self, ArchiveError> {
        let path = super::path(root);
        if !path.exists() {
            return Err(ArchiveError::None);
        }
        Ok(Self { connection: open(&path)? })
    }

    /// The input of the core between the two, and before that from the last point where a replay can begin. Without
    /// `since`, everything.
    ///
    /// # Errors
    /// If it cannot be read, or is too long.
    pub fn stretch(&self, since: Option<Moment>, until: Option<Moment>) -> Result<Stretch, ArchiveError> {
        let since = since.map_or(i64::MIN, Moment::as_micros);
        let until = until.map_or(i64::MAX, Moment::as_micros);
        let (checkpoint, first) = self.begin(since)?;
        let mut statement = self
            .connection
            .prepare("SELECT id, at, body FROM inputs WHERE id >= ?1 AND at <= ?2 ORDER BY id LIMIT ?3")?;
        let limit = signed(MAX_LINES as u64 + 1);
        let mut rows = statement.query(params![signed(first), until, limit])?;
        let mut stretch = Stretch { checkpoint, ..Stretch::default() };
        let mut expected = first;
        while let Some(row) = rows.next()? {
            let (id, at, body): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let id = u64::try_from(id).unwrap_or(0);
            // Lines of a later version cannot be replayed by this one.
            let input = serde_json::from_str::<Input>(&body).ok();
            if id != expected || input.is_none() {
                stretch.gaps.push(stretch.lines.len());
            }
            expected = id + 1;
            stretch.lines.extend(input.map(|input| Line { at: Moment::from_micros(at), input }));
        }
        if stretch.lines.len() > MAX_LINES {
            return Err(ArchiveError::TooLong);
        }
        Ok(stretch)
    }

    /// The last point before this at which a replay can begin, or else the beginning: the core at that point, if a
    /// checkpoint was kept, and the number of the first line.
    fn begin(&self, since: i64) -> Result<(Option<node::Checkpoint>, u64), ArchiveError> {
        const BEGAN: &str = "body LIKE '{\"began\":%'";
        let number = |sql: &str| -> rusqlite::Result<Option<i64>> {
            self.connection.query_row(sql, [since], |row| row.get(0))
        };
        let began = number(&format!("SELECT max(id) FROM inputs WHERE at <= ?1 AND {BEGAN}"))?;
        let sql = "SELECT input, body FROM checkpoints WHERE at <= ?1 ORDER BY input DESC, id DESC LIMIT 1";
        let checkpoint = self.checkpoint(sql, since)?;
        match (began, checkpoint) {
            (Some(began), Some((input, checkpoint))) if input >= began => {
                Ok((Some(checkpoint), unsigned(input + 1)))
            }
            (Some(began), _) => Ok((None, unsigned(began))),
            (None, Some((input, checkpoint))) => Ok((Some(checkpoint), unsigned(input + 1))),
            (None, None) => {
                let began = number(&format!("SELECT min(id) FROM inputs WHERE at > ?1 AND {BEGAN}"))?;
                let sql = "SELECT input, body FROM checkpoints WHERE at > ?1 ORDER BY input, id LIMIT 1";
                match (self.checkpoint(sql, since)?, began) {
                    (Some((input, checkpoint)), began) if began.is_none_or(|began| input < began) => {
                        Ok((Some(checkpoint), unsigned(input + 1)))
                    }
                    (_, began) => Ok((None, unsigned(began.unwrap_or(0)))),
                }
            }
        }
    }

    /// `None` if there is none that this version understands.
    fn checkpoint(&self, sql: &str, at: i64) -> rusqlite::Result<Option<(i64, node::Checkpoint)>> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let found = self.connection.query_row(sql, [at], read).optional()?;
        Ok(found.and_then(|(input, body)| Some((input, serde_json::from_slice(&body).ok()?))))
    }

    /// The last records, at most this many, in their order.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn last(&self, most: usize) -> Result<Vec<Entry>, ArchiveError> {
        let sql = format!("SELECT {COLUMNS} FROM {RECORDS} ORDER BY seq DESC LIMIT ?1");
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params![signed(most as u64)], entry)?;
        let mut entries = rows.collect::<Result<Vec<_>, _>>()?;
        entries.reverse();
        Ok(entries)
    }

    /// The records with these numbers.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn records(&self, first: u64, last: u64) -> Result<BTreeMap<u64, Record>, ArchiveError> {
        let sql = format!("SELECT {COLUMNS} FROM {RECORDS} WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq");
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params![signed(first), signed(last)], entry)?;
        let mut records = BTreeMap::new();
        for row in rows {
            let record = row?.record;
            records.insert(record.seq, record);
        }
        Ok(records)
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
