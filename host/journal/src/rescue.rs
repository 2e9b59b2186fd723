//! A journal whose file was removed or replaced while it is open: its content is copied to another file.
//!
//! ```text
//!   open, without a name ──copied, synced──▶ journal.db.copy ──renamed──▶ journal.db.new ──renamed──▶ journal.db
//!                                            may be a part                 whole
//! ```
//! `journal.db.new` is always complete. The store is closed once that file exists; a daemon that is killed in
//! between leaves it to the next one, which renames it before it opens the journal.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bellwether_os::file;

use super::aside::{remove_companions, remove_parts, set_aside};
use super::failure::StoreError;
use super::store::Store;

/// Writes the content of an open file, which is no longer at its path, to that path again. Another file at the path
/// is moved aside. After an error the store still exists, unless there is a complete copy.
pub(super) fn rescue(store: &mut Option<Store>, path: &Path, wall: i64) -> Result<(), StoreError> {
    let Some(open) = store else { return Ok(()) };
    copy(open, path)?;
    // SQLite removes the log by its name when it closes the store. The log of another file has to be moved away by
    // then.
    if open.owns_log(path) {
        remove_companions(path)?;
    }
    if path.exists() {
        set_aside(path, wall)?;
    }
    *store = None;
    put_in_place(path)?;
    Ok(())
}

fn copy(store: &Store, path: &Path) -> Result<(), StoreError> {
    if let Some(folder) = path.parent() {
        file::create_private_dir_all(folder)?;
    }
    let copy = path.with_extension("db.copy");
    remove_parts(&copy)?;
    store.copy_to(&copy)?;
    File::open(&copy)?.sync_all()?;
    fs::rename(copy, whole_copy(path))?;
    Ok(())
}

/// Renames a complete copy to its path, if there is one.
pub(super) fn put_in_place(path: &Path) -> io::Result<()> {
    let whole = whole_copy(path);
    if !whole.is_file() {
        return Ok(());
    }
    if path.exists() {
        set_aside(path, jiff::Timestamp::now().as_microsecond())?;
    }
    remove_companions(path)?;
    fs::rename(whole, path)?;
    path.parent().map_or(Ok(()), file::sync_dir)
}

fn whole_copy(path: &Path) -> PathBuf {
    path.with_extension("db.new")
}
