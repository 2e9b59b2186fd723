//! Files as the system keeps them: for their owner alone, on the disk for good, and which one is which.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
pub mod beneath;
#[cfg(target_os = "linux")]
pub mod private_dir;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use self::unix as system;
#[cfg(unix)]
pub use self::unix::{Access, Space, create_dir, open_no_link, set_file_mode, set_owner};
#[cfg(windows)]
use self::windows as system;

/// Options that make a new file for its owner alone (mode 0600). On Windows it gets the access list of its folder, so
/// the folder has to be [private](create_private_dir).
pub fn private() -> OpenOptions {
    system::private()
}

/// Makes a folder for its owner alone (mode 0700; on Windows also for the system and its administrators).
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    system::create_private_dir(path)
}

/// The same, and makes the folders that it lies in. Folders that exist stay as they are.
pub fn create_private_dir_all(path: &Path) -> io::Result<()> {
    system::create_private_dir_all(path)
}

/// Takes the access to a folder away from all but its owner.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    system::make_private_dir(path)
}

/// Waits until the names in a folder are on the disk: what was made, renamed or removed in it survives the machine.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    system::sync_dir(path)
}

/// Exchanges two files in one instant. Fails if the system or the file system cannot do that.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    system::exchange(one, other)
}

/// Gives a file a name that no other file has: `AlreadyExists` if one does.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    system::rename_new(from, to)
}

/// Opens a file to read it, and does not wait for the writer of a pipe or become the owner of a terminal: whether it
/// is a regular file can be seen by its metadata.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    system::open_without_waiting(path)
}

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    /// The file system that it is on.
    pub device: u64,
    /// Its number there. Given to another file once it is removed.
    pub number: u64,
}

impl FileId {
    /// The file at this place. Links are followed.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Stamp::of(path)?.id)
    }

    /// Whether this file is still the one at this place. A disk that does not answer says nothing: then it is.
    pub fn is_at(&self, path: &Path) -> bool {
        match Self::of(path) {
            Ok(found) => found == *self,
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Which file it is.
    pub id: FileId,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Its length in bytes.
    pub size: u64,
    /// When its content was changed last, in nanoseconds. Programs can set this.
    pub modified: i128,
    /// When anything of it was changed last, in nanoseconds. On Windows the same as `modified`.
    pub changed: i128,
}

impl Stamp {
    /// The file at this place. Links are followed.
    pub fn of(path: &Path) -> io::Result<Self> {
        system::stamp(path)
    }
}

#[cfg(test)]
mod tests;
