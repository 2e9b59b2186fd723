//! Reads records from the file and from memory.
//!
//! ```text
//!   at hand (memory) ── is it all that is asked for? ──yes──▶ answer
//!         │ no
//!         ▼ a connection of its own, on a thread that may wait
//!   the file ──merged by number──▶ answer
//!         └── gone, hung ──▶ what is at hand
//! ```
//! Memory is read first: a record that is written in the meantime is found in the file, and one that is found twice
//! counts once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::{ModuleName, NodeName};
use bellwether_core::moment::Moment;
use bellwether_core::record::{Record, RecordKind};
use rusqlite::types::Value;
use rusqlite::{Connection, InterruptHandle, OpenFlags, Row, params, params_from_iter};
use tokio::sync::{Semaphore, oneshot};

use super::charts::{self, Chart, ChartQuery};
use super::failure::is_damage;
use super::query::RecordQuery;
use super::search;
use super::store::signed;
use super::waiting::Waiting;
use bellwether_bus::Entry;
use bellwether_os::at_most;

/// The number of concurrent readers.
const READERS: usize = 4;
/// The time limit of a query. Clients wait a little longer.
const READ_WITHIN: Duration = at_most!(Duration::from_secs(3));
/// A disk that works stops within this time when it is interrupted.
const LET_GO_WITHIN: Duration = Duration::from_millis(200);
/// Up to this number, records of a module are scanned instead of looked up.
const FEW: i64 = 2_000;
/// How long a reader waits for the writer's short exclusive locks.
const BUSY: Duration = at_most!(Duration::from_millis(500));

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// It would take too long.
    #[error("the journal could not be searched in time")]
    TooMuch,
    /// The disk does not respond, or the file cannot be read.
    #[error("the journal cannot be read: {0}")]
    Disk(String),
}

/// Reads records. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    path: Arc<Path>,
    waiting: Arc<Waiting>,
    readers: Arc<Semaphore>,
}

impl Reader {
    pub(super) fn new(path: PathBuf, waiting: Arc<Waiting>) -> Self {
        Self { path: path.into(), waiting, readers: Arc::new(Semaphore::new(READERS)) }
    }

    pub(super) async fn records(&self, query: RecordQuery) -> Result<Vec<Entry>, NotRead> {
        Ok(self.records_of(vec![query]).await?.pop().unwrap_or_default())
    }

    /// What each of the queries finds, in their order: the file is opened once for all of them.
    pub(super) async fn records_of(&self, queries: Vec<RecordQuery>) -> Result<Vec<Vec<Entry>>, NotRead> {
        let at_hand = self.waiting.at_hand();
        let wanted = |query: &RecordQuery| -> BTreeMap<u64, Arc<Entry>> {
            let wanted = at_hand.iter().filter(|entry| query.wants(entry));
            wanted.map(|entry| (entry.seq, Arc::clone(entry))).collect()
        };
        let mut found: Vec<BTreeMap<u64, Arc<Entry>>> = queries.iter().map(wanted).collect();
        let incomplete: Vec<usize> = queries
            .iter()
            .zip(&found)
            .enumerate()
            .filter(|(_, (query, found))| !is_all(query, &at_hand, found.len()))
            .map(|(index, _)| index)
            .collect();
        if !incomplete.is_empty() {
            let asked: Vec<RecordQuery> = incomplete.iter().map(|index| queries[*index].clone()).collect();
            let read = move |connection: &Connection| {
                asked.iter().map(|query| records(connection, query)).collect::<rusqlite::Result<Vec<_>>>()
            };
            match self.read(read).await {
                Ok(read) => {
                    for (index, (written, broke_off)) in incomplete.into_iter().zip(read) {
                        found[index].extend(written.into_iter().map(|entry| (entry.seq, Arc::new(entry))));
                        if let Some(error) = broke_off {
                            drop(self.not_read::<()>(&error));
                        }
                    }
                }
                Err(NotRead::TooMuch) => return Err(NotRead::TooMuch),
                // `status` says that the disk is gone; here is what there is.
                Err(NotRead::Disk(why)) => tracing::warn!("only the latest records can be shown: {why}"),
            }
        }
        let limited = |(query, found): (&RecordQuery, BTreeMap<u64, Arc<Entry>>)| {
            let entries = query.limited(found.into_values().collect::<Vec<_>>());
            entries.into_iter().map(|entry| Entry::clone(&entry)).collect()
        };
        Ok(queries.iter().zip(found).map(limited).collect())
    }

    pub(super) async fn chart(&self, query: ChartQuery, now: i64) -> Result<Chart, NotRead> {
        self.read(move |connection| charts::read(connection, &query, now)).await
    }

    /// Reads on a thread that may wait for the disk, until the time limit.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, NotRead> {
        let gone = || NotRead::Disk("the disk does not answer".to_owned());
        let turn = tokio::time::timeout(READ_WITHIN, Arc::clone(&self.readers).acquire_owned()).await;
        let permit = turn.map_err(|_| gone())?.map_err(|_| gone())?;
        let (tell, mut told) = oneshot::channel::<InterruptHandle>();
        let path = Arc::clone(&self.path);
        let mut reading = tokio::task::spawn_blocking(move || {
            // Held for as long as the disk is waited for, however long that is.
            let _permit = permit;
            let connection = open(&path)?;
            // The caller may have given up.
            let _ = tell.send(connection.get_interrupt_handle());
            read(&connection)
        });
        let Ok(read) = tokio::time::timeout(READ_WITHIN, &mut reading).await else {
            let Ok(interrupt) = told.try_recv() else { return Err(gone()) };
            interrupt.interrupt();
            return match tokio::time::timeout(LET_GO_WITHIN, reading).await {
                Ok(_) => Err(NotRead::TooMuch),
                Err(_) => Err(gone()),
            };
        };
        let read = read.map_err(|error| NotRead::Disk(error.to_string()))?;
        read.or_else(|error| self.not_read(&error))
    }

    fn not_read<T>(&self, error: &rusqlite::Error) -> Result<T, NotRead> {
        if is_damage(error) {
            self.waiting.suspect(error.to_string());
        }
        Err(NotRead::Disk(error.to_string()))
    }
}

/// Whether the records in memory answer the whole query.
fn is_all(query: &RecordQuery, at_hand: &[Arc<Entry>], wanted: usize) -> bool {
    let Some(first) = at_hand.first() else { return false };
    match query.after {
        // No record after the first one is missing.
        Some(after) => after.saturating_add(1) >= first.seq,
        None => wanted >= query.limit,
    }
}

pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON")?;
    Ok(connection)
}

/// The columns that [`entry`] reads.
pub(super) const COLUMNS: &str = "seq, at, records.wall, node, module, text, body";
/// The tables that it reads from.
pub(super) const RECORDS: &str = "records LEFT JOIN boots ON boots.id = records.boot";
/// The same for a search in the full-text index: it comes first, and determines the order.
const SOUGHT: &str = "sought CROSS JOIN records ON records.seq = sought.rowid
    LEFT JOIN boots ON boots.id = records.boot";

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let seq: i64 = row.get(0)?;
    let node: Option<String> = row.get(3)?;
    let module: Option<String> = row.get(4)?;
    let body: String = row.get(6)?;
    // Records of a later version remain readable as text.
    let kind = match serde_json::from_str::<RecordKind>(&body) {
        Ok(kind) => kind,
        Err(_) => RecordKind::Daemon { message: row.get(5)? },
    };
    let unknown = || NodeName::new("node").expect("`node` is a name");
    let record = Record {
        seq: u64::try_from(seq).unwrap_or(0),
        at: Moment::from_micros(row.get(1)?),
        node: node.and_then(|node| NodeName::new(&node).ok()).unwrap_or_else(unknown),
        module: module.and_then(|module| ModuleName::new(&module).ok()),
        kind,
    };
    Ok(Entry { record, wall: row.get(2)? })
}

/// The matching records, as far as they can be read; and the error, if it was not completed.
type Found = (Vec<Entry>, Option<rusqlite::Error>);

fn records(connection: &Connection, query: &RecordQuery) -> rusqlite::Result<Found> {
    let (mut found, broke_off) = match query.search.as_deref().and_then(search::parts) {
        None => select(connection, query, RECORDS, Condition::of(query, "seq"))?,
        // Records of a module with few of them are scanned faster than all that match the text.
        Some(_) if are_few(connection, query)? => {
            select(connection, query, RECORDS, Condition::of(query, "seq"))?
        }
        Some(parts) => search(connection, query, parts)?,
    };
    if query.after.is_none() {
        found.reverse();
    }
    Ok((found, broke_off))
}

/// Whether the module of the query has few records.
fn are_few(connection: &Connection, query: &RecordQuery) -> rusqlite::Result<bool> {
    let Some(module) = &query.module else { return Ok(false) };
    let sql = "SELECT count(*) FROM
               (SELECT 1 FROM records INDEXED BY records_module WHERE module = ?1 LIMIT ?2)";
    let count: i64 = connection.query_row(sql, params![module.as_str(), FEW + 1], |row| row.get(0))?;
    Ok(count <= FEW)
}

/// Searches the index, and scans what is older than it. The one that comes first in the order is done first, and
/// the other one only if the limit is not reached.
fn search(connection: &Connection, query: &RecordQuery, parts: String) -> rusqlite::Result<Found> {
    let sql = "SELECT ifnull(max(value), 0) FROM facts WHERE name = 'sought_from'";
    let from: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    let mut sought = Condition::of(query, "sought.rowid");
    sought.add("sought MATCH ?", parts.into());
    sought.add("sought.rowid >= ?", from.into());
    let mut older = Condition::of(query, "seq");
    older.add("seq < ?", from.into());
    let mut ways = [(SOUGHT, sought), (RECORDS, older)];
    if query.after.is_some() {
        ways.reverse();
    }
    let mut all = Vec::new();
    for (tables, condition) in ways {
        let limit = query.limit.saturating_sub(all.len());
        let rest = RecordQuery { limit, ..query.clone() };
        let (found, broke_off) = select(connection, &rest, tables, condition)?;
        all.extend(found);
        if broke_off.is_some() || all.len() >= query.limit {
            return Ok((all, broke_off));
        }
    }
    Ok((all, None))
}

/// In the order in which they are searched.
fn select(
    connection: &Connection,
    query: &RecordQuery,
    tables: &str,
    condition: Condition,
) -> rusqlite::Result<Found> {
    let Condition { seq, conditions, values } = condition;
    let conditions = conditions.join(" AND ");
    let order = if query.after.is_some() { "" } else { "DESC" };
    let limit = signed(query.limit as u64);
    let sql =
        format!("SELECT {COLUMNS} FROM {tables} WHERE {conditions} ORDER BY {seq} {order} LIMIT {limit}");
    let mut statement = connection.prepare(&sql)?;
    let (mut found, mut broke_off) = (Vec::new(), None);
    for read in statement.query_map(params_from_iter(values), entry)? {
        match read {
            Ok(entry) => found.push(entry),
            Err(error) => broke_off = Some(error),
        }
    }
    Ok((found, broke_off))
}

/// A condition on records.
struct Condition {
    /// The column with its number.
    seq: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Condition {
    /// Numbers, kinds and modules are looked up by their indexes; the wall clock only limits the range, because its
    /// index is not useful for the order.
    fn of(query: &RecordQuery, seq: &'static str) -> Self {
        let mut all = Self { seq, conditions: Vec::new(), values: Vec::new() };
        all.add(&format!("{seq} > ?"), signed(query.after.unwrap_or(0)).into());
        if let Some(since) = query.since {
            let first =
                "SELECT ifnull(min(r.seq), 0) FROM records r INDEXED BY records_wall WHERE r.wall >= ?";
            all.add(&format!("{seq} >= ({first})"), since.into());
            all.add("+records.wall >= ?", since.into());
        }
        if let Some(until) = query.until {
            all.add("+records.wall <= ?", until.into());
        }
        if let Some(before) = query.before {
            all.add(&format!("{seq} < ?"), signed(before).into());
        }
        if let Some(module) = &query.module {
            all.add("module = ?", module.to_string().into());
        }
        if let Some(kind) = &query.kind {
            all.add("kind = ?", kind.clone().into());
        }
        if let Some(checker) = &query.checker {
            all.add("checker = ?", checker.to_string().into());
        }
        if let Some(text) = &query.search {
            let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            all.add("text LIKE ? ESCAPE '\\'", format!("%{escaped}%").into());
        }
        all
    }

    fn add(&mut self, condition: &str, value: Value) {
        self.conditions.push(condition.to_owned());
        self.values.push(value);
    }
}
