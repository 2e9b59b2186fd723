//! The database file of the guest store.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bellwether_core::id::ModuleName;
use rusqlite::{Connection, params};

use super::{Owner, OwnerKind};
use bellwether_os::atomic_file;
use bellwether_os::file::{self, FileId};
use bellwether_sandbox::StateContents;

/// The version of the tables (`PRAGMA user_version`).
const VERSION: i64 = 1;
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS owners(
    id INTEGER PRIMARY KEY, module TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    runs INTEGER NOT NULL, seen INTEGER NOT NULL, UNIQUE(module, kind, name)
);
CREATE TABLE IF NOT EXISTS entries(
    owner INTEGER NOT NULL REFERENCES owners(id) ON DELETE CASCADE,
    key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(owner, key)
) WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// The stored state of one owner.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) values: BTreeMap<String, Vec<u8>>,
    pub(super) runs: u64,
}

/// Whose, what, how many runs, and whether only that number differs.
pub(super) type StateChange = (Owner, StateContents, u64, bool);

/// The connection, and which file it is to.
#[derive(Debug)]
pub(super) struct Database(Connection, FileId);

impl Database {
    /// Whether the open file is still the one at this path.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.1.is_at(path)
    }

    /// Opens the file; one that cannot be used is moved aside. `None` if no file can be created.
    pub(super) fn open(path: &Path) -> (Option<Self>, Option<String>) {
        match connect(path) {
            Ok(database) => (Some(database), None),
            Err(error) => {
                let told = set_aside(path, &error);
                (connect(path).ok(), Some(told))
            }
        }
    }

    /// All stored states, except those that have not been used for `keep`. Moments in seconds of Unix time.
    pub(super) fn load(&mut self, now: i64, keep: Duration) -> rusqlite::Result<Vec<(Owner, Stored)>> {
        let oldest = now.saturating_sub_unsigned(keep.as_secs());
        // A full disk must not prevent the start of the daemon.
        if let Err(error) = self.0.execute("DELETE FROM owners WHERE seen < ?1", [oldest]) {
            tracing::warn!(%error, "the state of former checkers cannot be removed");
        }
        let mut owners: BTreeMap<i64, (Owner, Stored)> = BTreeMap::new();
        let mut statement = self.0.prepare("SELECT id, module, kind, name, runs FROM owners")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (module, kind): (String, String) = (row.get(1)?, row.get(2)?);
            let (Ok(module), Some(kind)) = (ModuleName::new(&module), OwnerKind::of(&kind)) else { continue };
            // SQLite integers are signed.
            let runs = u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0);
            let stored = Stored { runs, ..Stored::default() };
            owners.insert(row.get(0)?, (Owner { module, kind, name: row.get(3)? }, stored));
        }
        let mut statement = self.0.prepare("SELECT owner, key, value FROM entries")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some((_, stored)) = owners.get_mut(&row.get(0)?) {
                stored.values.insert(row.get(1)?, row.get(2)?);
            }
        }
        Ok(owners.into_values().collect())
    }

    /// All or nothing.
    pub(super) fn write(&mut self, changes: &[StateChange], now: i64) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        for (owner, contents, runs, only_runs) in changes {
            let runs = i64::try_from(*runs).unwrap_or(i64::MAX);
            let id: i64 = transaction
                .prepare_cached(
                    "INSERT INTO owners(module, kind, name, runs, seen) VALUES(?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT(module, kind, name) DO UPDATE SET runs = ?4, seen = ?5 RETURNING id",
                )?
                .query_row(
                    params![owner.module.as_str(), owner.kind.word(), owner.name, runs, now],
                    |row| row.get(0),
                )?;
            if *only_runs {
                continue;
            }
            transaction.prepare_cached("DELETE FROM entries WHERE owner = ?1")?.execute([id])?;
            let mut insert =
                transaction.prepare_cached("INSERT INTO entries(owner, key, value) VALUES(?1, ?2, ?3)")?;
            for (key, value) in contents.values() {
                insert.execute(params![id, key, value])?;
            }
        }
        transaction.commit()
    }
}

fn connect(path: &Path) -> rusqlite::Result<Database> {
    // What a checker keeps may be anybody's secret: made for its owner alone.
    let made = file::private().append(true).create(true).open(path);
    made.map_err(|_| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    // With the write-ahead log a batch survives a killed daemon without a sync of the disk (sqlite.org/wal.html); a
    // power failure may lose the last batches, and nothing else.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        return Err(rusqlite::Error::InvalidQuery);
    }
    connection.execute_batch(TABLES)?;
    let opened = FileId::of(path).map_err(|_| rusqlite::Error::InvalidPath(path.to_owned()))?;
    Ok(Database(connection, opened))
}

/// Moves the file aside, with the files that belong to it.
pub(super) fn set_aside(path: &Path, error: &rusqlite::Error) -> String {
    let aside = atomic_file::set_aside(path);
    format!(
        "state/checkers.db {aside}: {error}; checkers start without their stored state and count their runs from 1"
    )
}
