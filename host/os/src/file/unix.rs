//! Files of Unix: modes, owners, inodes.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, StatVfsMountFlags, open, renameat_with, statvfs};
use rustix::io::Errno;

use super::{FileId, Stamp};
use crate::user;

/// Of a folder that is for its owner alone.
const PRIVATE_DIR: u32 = 0o700;
/// The same of a file.
const PRIVATE_FILE: u32 = 0o600;

/// Opening a pipe would wait for a writer, a terminal would become ours.
const TO_READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(PRIVATE_FILE);
    options
}

pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_DIR).create(path)
}

pub(super) fn create_private_dir_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path)
}

pub(super) fn make_private_dir(path: &Path) -> io::Result<()> {
    set_mode(path, PRIVATE_DIR)
}

/// Makes a folder with this mode, whatever the umask is.
pub fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)?;
    set_mode(path, mode)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Sets who may use a file that is open: `chmod`.
pub fn set_file_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Gives a file or a folder to a user and a group: `chown`. Only root can.
pub fn set_owner(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    chown(path, Some(uid), Some(gid))
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system knows no such rename.
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

pub(super) fn open_without_waiting(path: &Path) -> io::Result<File> {
    Ok(open(path, TO_READ, Mode::empty())?.into())
}

/// [`open_without_waiting`](super::open_without_waiting), unless it is a symbolic link.
pub fn open_no_link(path: &Path) -> io::Result<Option<File>> {
    match open(path, TO_READ.union(OFlags::NOFOLLOW), Mode::empty()) {
        Err(Errno::LOOP) => Ok(None),
        opened => Ok(Some(opened?.into())),
    }
}

pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let found = fs::metadata(path)?;
    Ok(Stamp {
        id: FileId { device: found.dev(), number: found.ino() },
        is_file: found.is_file(),
        size: found.len(),
        modified: nanos(found.mtime(), found.mtime_nsec()),
        changed: nanos(found.ctime(), found.ctime_nsec()),
    })
}

/// Who may use a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The number of the user that it belongs to.
    pub owner: u32,
    /// The twelve bits of its mode: what `chmod` sets.
    pub mode: u32,
}

impl Access {
    /// Of what was looked at.
    pub fn of(metadata: &Metadata) -> Self {
        Self { owner: metadata.uid(), mode: metadata.mode() & 0o7777 }
    }

    /// Whether it belongs to this process's user.
    pub fn is_own(self) -> bool {
        user::uid() == Some(self.owner)
    }

    /// Whether it belongs to this process's user or to root: nobody else can change its mode.
    pub fn is_own_or_roots(self) -> bool {
        self.owner == 0 || self.is_own()
    }

    /// Whether users besides its owner may read, write or execute it.
    pub fn is_for_others(self) -> bool {
        self.mode & 0o077 != 0
    }

    /// Whether users besides its owner may write it.
    pub fn is_written_by_others(self) -> bool {
        self.mode & 0o022 != 0
    }

    /// Whether users who are neither its owner nor in its group may use it.
    pub fn is_for_everyone(self) -> bool {
        self.mode & 0o007 != 0
    }

    /// Whether users who are neither its owner nor in its group may write it.
    pub fn is_written_by_everyone(self) -> bool {
        self.mode & 0o002 != 0
    }
}

/// The room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process's user may still write, in bytes.
    pub free: u64,
    /// Nothing can be written.
    pub is_read_only: bool,
    /// No further file can be made, whatever is free.
    pub has_no_inodes: bool,
}

impl Space {
    /// On the disk of this file or folder.
    pub fn at(path: &Path) -> io::Result<Self> {
        let disk = statvfs(path)?;
        Ok(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            is_read_only: disk.f_flag.contains(StatVfsMountFlags::RDONLY),
            // A file system without a count of inodes says 0 of 0.
            has_no_inodes: disk.f_files > 0 && disk.f_favail == 0,
        })
    }
}
