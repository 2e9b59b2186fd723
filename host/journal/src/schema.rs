//! The tables of `journal.db`, and their migrations.
//!
//! Each version of the schema is a step from the previous one; a file of an older version takes the missing steps,
//! all in one transaction.

use rusqlite::{Connection, TransactionBehavior};

/// Distinguishes the file from other programs' databases: `Bell`.
pub(super) const APPLICATION: i32 = 0x4265_6c6c;

/// `user_version` is the number of steps that were taken.
pub(super) const STEPS: [&str; 4] = [RECORDS, REPLAY, MEASUREMENTS, SEARCH];

const RECORDS: &str = "
-- One row for each start of a daemon.
CREATE TABLE boots(
    id INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,    -- the kernel's boot id
    node TEXT NOT NULL,
    version TEXT NOT NULL, -- of the daemon
    wall INTEGER NOT NULL  -- microseconds after the Unix epoch
) STRICT;
CREATE TABLE records(
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,   -- microseconds on the time line of that daemon
    wall INTEGER NOT NULL, -- microseconds after the Unix epoch, as the wall clock said then
    boot INTEGER NOT NULL,
    module TEXT,
    kind TEXT NOT NULL,
    checker TEXT,
    text TEXT NOT NULL,
    body TEXT NOT NULL     -- JSON
) STRICT;
CREATE INDEX records_module ON records(module, seq);
CREATE INDEX records_kind ON records(kind, seq);
CREATE INDEX records_wall ON records(wall);
-- `reserved`: numbers up to this may have been given out. `clean`: 1 if the last daemon ended in order.
CREATE TABLE facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

const REPLAY: &str = "
CREATE TABLE inputs(
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    module TEXT,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE checkpoints(
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    input INTEGER NOT NULL, -- the last input that is in it
    body BLOB NOT NULL
) STRICT;
CREATE INDEX checkpoints_input ON checkpoints(input);
-- `replay_bytes`, among the facts, is what inputs and checkpoints take.
";

const MEASUREMENTS: &str = "
CREATE TABLE series(
    id INTEGER PRIMARY KEY,
    module TEXT NOT NULL,
    checker TEXT NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    UNIQUE(module, checker, name, unit)
) STRICT;
CREATE TABLE points(
    series INTEGER NOT NULL,
    resolution_s INTEGER NOT NULL,
    bucket_start_wall INTEGER NOT NULL, -- seconds after the Unix epoch
    count INTEGER NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    sum REAL NOT NULL,
    PRIMARY KEY(series, resolution_s, bucket_start_wall)
) STRICT, WITHOUT ROWID;
CREATE VIEW measurements AS
    SELECT module, checker, name, bucket_start_wall, resolution_s, count, min, max, sum, unit
    FROM points JOIN series ON series.id = points.series;
";

/// Existing records are not added to the index: a large file would delay the start. They are scanned instead.
pub(super) const SEARCH: &str = "
-- In which records which three letters stand beside each other.
CREATE VIRTUAL TABLE sought USING fts5(
    letters, tokenize = 'trigram', detail = 'none', content = '', contentless_delete = 1
);
-- Left alone it merges for seconds within one transaction. It is done in small steps instead.
INSERT INTO sought(sought, rank) VALUES('automerge', 0);
-- Records before this number are not in it.
INSERT INTO facts(name, value) SELECT 'sought_from', ifnull(max(seq) + 1, 0) FROM records;
";

/// The version of the files that this daemon writes.
pub(super) const fn newest() -> usize {
    STEPS.len()
}

/// Takes the steps from `version` up to `to`.
pub(super) fn migrate(connection: &mut Connection, version: usize, to: usize) -> rusqlite::Result<()> {
    if version >= to {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.get(version..to).unwrap_or_default() {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", i64::try_from(to).unwrap_or(i64::MAX))?;
    transaction.commit()
}
