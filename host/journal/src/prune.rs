//! Removes old or excess data in small steps between batches.
//!
//! The oldest comes first. Of the maximum size of the file, inputs and checkpoints for replay get half and
//! measurements a quarter, before any record has to be removed.

use std::time::{Duration, Instant};

use bellwether_core::measurements::Resolution;
use rusqlite::{Connection, Params, TransactionBehavior, params};

use super::search;
use super::store::{add, set, signed};
use bellwether_config::spec::JournalSpec;

/// The number of rows in one transaction.
const STEP: i64 = 500;
/// The number of steps of merging the index after one transaction.
const MERGES: usize = 4;
/// The maximum duration of one call, except for its last step.
const TURN: Duration = Duration::from_millis(20);
/// The number of pages that are returned to the disk in one step.
const PAGES: i64 = 256;
/// The approximate size of a bucket in the file, in bytes.
const BUCKET: u64 = 56;

/// The progress of the pruning.
#[derive(Debug, Default)]
pub(super) struct Pruning {
    /// The series that is next.
    series: i64,
    /// Measurements are kept for half as long for each of these, if there are too many.
    squeezed: u32,
}

impl Pruning {
    /// Removes data for a moment. `now` is in microseconds since the Unix epoch. Returns whether there is more to
    /// do.
    pub(super) fn turn(
        &mut self,
        connection: &mut Connection,
        spec: &JournalSpec,
        now: i64,
    ) -> rusqlite::Result<bool> {
        let begun = Instant::now();
        let mut more = true;
        while more && begun.elapsed() < TURN {
            more = old_records(connection, spec, now)?
                || old_replay(connection, spec, now)?
                || too_much(connection, spec)?
                || give_back(connection)?;
        }
        Ok(more || self.measurements(connection, spec, now)?)
    }

    /// Prunes one more series. Returns whether there is another one.
    fn measurements(
        &mut self,
        connection: &mut Connection,
        spec: &JournalSpec,
        now: i64,
    ) -> rusqlite::Result<bool> {
        let sql = "SELECT min(id) FROM series WHERE id > ?1";
        let next: Option<i64> = connection.prepare_cached(sql)?.query_row([self.series], |row| row.get(0))?;
        let Some(series) = next else {
            self.series = 0;
            let sql = "SELECT ifnull(max(value), 0) FROM facts WHERE name = 'buckets'";
            let buckets: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            let bytes = buckets.unsigned_abs() * BUCKET;
            self.squeezed = match bytes > spec.size / 4 {
                true => (self.squeezed + 1).min(16),
                false if bytes < spec.size / 16 => self.squeezed.saturating_sub(1),
                false => self.squeezed,
            };
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let counted: i64 = transaction.query_row(
                "SELECT ifnull(sum(value), 0) FROM facts WHERE name = 'counting'",
                [],
                |row| row.get(0),
            )?;
            set(&transaction, "buckets", counted.unsigned_abs())?;
            set(&transaction, "counting", 0)?;
            transaction.commit()?;
            return Ok(bytes > spec.size / 4 && self.squeezed < 16);
        };
        self.series = series;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for resolution in Resolution::ALL {
            let keep = resolution.keep() / (1 << self.squeezed);
            let before = now / 1_000_000 - i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
            transaction
                .prepare_cached(
                    "DELETE FROM points WHERE series = ?1 AND resolution_s = ?2 AND bucket_start_wall < ?3",
                )?
                .execute(params![series, resolution.seconds(), before])?;
        }
        let sql = "SELECT count(*) FROM points WHERE series = ?1";
        let left: i64 = transaction.prepare_cached(sql)?.query_row([series], |row| row.get(0))?;
        if left == 0 {
            transaction.execute("DELETE FROM series WHERE id = ?1", [series])?;
        }
        add(&transaction, "counting", left)?;
        transaction.commit()?;
        Ok(true)
    }
}

/// The records with these numbers, and their entries in the index.
fn remove_records(
    connection: &mut Connection,
    which: &str,
    values: impl Params + Clone,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = format!("DELETE FROM sought WHERE rowid IN ({which})");
    transaction.prepare_cached(&sql)?.execute(values.clone())?;
    let sql = format!("DELETE FROM records WHERE seq IN ({which})");
    let removed = transaction.prepare_cached(&sql)?.execute(values)?;
    transaction.commit()?;
    // As fast as entries are removed, each step separately: a batch may come in between.
    for _ in 0..if removed > 0 { MERGES } else { 0 } {
        search::merge(connection)?;
    }
    Ok(removed > 0)
}

fn old_records(connection: &mut Connection, spec: &JournalSpec, now: i64) -> rusqlite::Result<bool> {
    let before = now.saturating_sub(micros(spec.keep));
    let old = "SELECT seq FROM records WHERE wall < ?1 ORDER BY wall LIMIT ?2";
    // Usually there are none, and nothing is written.
    let any = format!("SELECT EXISTS({old})");
    if !connection.prepare_cached(&any)?.query_row([before, 1], |row| row.get(0))? {
        return Ok(false);
    }
    remove_records(connection, old, [before, STEP])
}

fn old_replay(connection: &mut Connection, spec: &JournalSpec, now: i64) -> rusqlite::Result<bool> {
    let before = now.saturating_sub(micros(spec.keep));
    let sql = "SELECT max(id) FROM (SELECT id FROM inputs WHERE at < ?1 ORDER BY id LIMIT ?2)";
    // Numbers increase with time: as soon as the first one is young enough, all are.
    let first: Option<i64> = connection
        .prepare_cached("SELECT at FROM inputs ORDER BY id LIMIT 1")?
        .query_map([], |row| row.get(0))?
        .next()
        .transpose()?;
    if first.is_none_or(|first| first >= before) {
        return Ok(false);
    }
    let last: Option<i64> = connection.prepare_cached(sql)?.query_row([before, STEP], |row| row.get(0))?;
    remove_replay(connection, last)
}

/// Inputs up to `last`, and checkpoints that no input follows any more.
fn remove_replay(connection: &mut Connection, last: Option<i64>) -> rusqlite::Result<bool> {
    let Some(last) = last else { return Ok(false) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let freed: i64 = transaction.query_row(
        "SELECT ifnull((SELECT sum(length(body) + 64) FROM inputs WHERE id <= ?1), 0)
              + ifnull((SELECT sum(length(body) + 64) FROM checkpoints WHERE input < ?1), 0)",
        [last],
        |row| row.get(0),
    )?;
    let inputs = transaction.execute("DELETE FROM inputs WHERE id <= ?1", [last])?;
    let checkpoints = transaction.execute("DELETE FROM checkpoints WHERE input < ?1", [last])?;
    add(&transaction, "replay_bytes", -freed)?;
    transaction.commit()?;
    Ok(inputs + checkpoints > 0)
}

fn too_much(connection: &mut Connection, spec: &JournalSpec) -> rusqlite::Result<bool> {
    if used(connection)? <= spec.size {
        return Ok(false);
    }
    let replay: i64 = connection
        .prepare_cached("SELECT ifnull(max(value), 0) FROM facts WHERE name = 'replay_bytes'")?
        .query_row([], |row| row.get(0))?;
    if replay.unsigned_abs() > spec.size / 2 {
        let sql = "SELECT max(id) FROM (SELECT id FROM inputs ORDER BY id LIMIT ?1)";
        let last: Option<i64> = connection.prepare_cached(sql)?.query_row([STEP], |row| row.get(0))?;
        // Checkpoints without inputs are useless.
        let last = last.or(Some(i64::MAX));
        if remove_replay(connection, last)? {
            return Ok(true);
        }
    }
    remove_records(connection, "SELECT seq FROM records ORDER BY seq LIMIT ?1", [STEP])
}

/// The used size of the file, in bytes.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = number(connection, "page_count")? - number(connection, "freelist_count")?;
    Ok((pages * number(connection, "page_size")?).unsigned_abs())
}

fn number(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Returns free pages to the disk.
fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    if number(connection, "freelist_count")? < PAGES {
        return Ok(false);
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}

fn micros(duration: Duration) -> i64 {
    signed(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
