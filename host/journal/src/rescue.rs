//! A journal whose file was removed or replaced while it is open: all that is in it goes into another file.
//!
//! ```text
//!   open, without a name ──copied, synced──▶ journal.db.copy ──renamed──▶ journal.db.new ──renamed──▶ journal.db
//!                                            may be a part                 whole
//! ```
//! What is named `journal.db.new` is whole. The store is closed once that is there; a daemon that is killed in
//! between leaves it to the next one, which puts it in place before it opens the journal.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bellwether_os::file;

use super::aside::{remove_companions, remove_parts, set_aside};
use super::failure::StoreError;
use super::store::Store;

/// Writes what is in an open file, which is not at its place any more, there again. A file that is there by now
/// belongs to somebody else, and is set aside. After an error the store is still there, unless a whole copy is.
pub(super) fn rescue(store: &mut Option<Store>, path: &Path, wall: i64) -> Result<(), StoreError> {
    let Some(open) = store else { return Ok(()) };
    copy(open, path)?;
    // SQLite removes the log by its name when it closes the store. A log of another file has to be away by then.
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

/// Gives a whole copy its place, if there is one.
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
