//! Moves files that cannot be used aside, and reads what is still readable in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use super::reader::{COLUMNS, RECORDS, entry};
use bellwether_bus::Entry;
use bellwether_os::atomic_file::{self, PARTS, SetAside, with_ending};

/// The number of such files that are kept, the latest ones.
const KEPT: usize = 3;

/// Renames a file and those that belong to it: `journal.db.damaged-20261122T213000.123456Z`.
pub(crate) fn set_aside(path: &Path, wall: i64) -> io::Result<PathBuf> {
    let at = jiff::Timestamp::from_microsecond(wall).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let stamp = at.strftime("%Y%m%dT%H%M%S%.6fZ");
    match atomic_file::set_aside_with(path, &stamp.to_string()) {
        SetAside::As(aside) => {
            remove_surplus(path)?;
            Ok(aside)
        }
        SetAside::Not(error) => Err(error),
    }
}

/// Removes a file and those that belong to it.
pub(super) fn remove_parts(path: &Path) -> io::Result<()> {
    remove_companions(path)?;
    remove(path, "")
}

/// Removes the files that belong to a file that is gone: they would be taken for those of another file with its
/// name.
pub(super) fn remove_companions(path: &Path) -> io::Result<()> {
    let [_, companions @ ..] = PARTS;
    companions.into_iter().try_for_each(|part| remove(path, part))
}

fn remove(path: &Path, part: &str) -> io::Result<()> {
    match fs::remove_file(with_ending(path, part)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_surplus(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let begins = format!("{name}.damaged-");
    let mut found: Vec<PathBuf> = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(&begins) && name.ends_with('Z'));
        if ours {
            found.push(file.path());
        }
    }
    found.sort();
    let surplus = found.len().saturating_sub(KEPT);
    for aside in found.into_iter().take(surplus) {
        for part in PARTS {
            // A file that remains takes space and does no harm.
            let _ = fs::remove_file(with_ending(&aside, part));
        }
    }
    Ok(())
}

/// The latest records of a damaged file, as far as they can be read, the latest last.
pub(super) fn salvage(path: &Path, most: usize) -> Vec<Arc<Entry>> {
    let mut found = Vec::new();
    // An error ends the reading: what was read until then is valid.
    let _ = read_backwards(path, most, &mut found);
    found.reverse();
    found
}

fn read_backwards(path: &Path, most: usize, found: &mut Vec<Arc<Entry>>) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = format!("SELECT {COLUMNS} FROM {RECORDS} ORDER BY records.seq DESC LIMIT ?1");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([i64::try_from(most).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        found.push(Arc::new(entry(row)?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_damaged_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        for day in 1..=5 {
            fs::write(&path, "x").unwrap();
            fs::write(with_ending(&path, "-wal"), "x").unwrap();
            set_aside(&path, day * 86_400_000_000).unwrap();
        }
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let expected: Vec<String> = (4..=6)
            .flat_map(|day| {
                let name = format!("journal.db.damaged-1970010{day}T000000.000000Z");
                [name.clone(), name + "-wal"]
            })
            .collect();
        assert_eq!(left, expected);
    }
}
