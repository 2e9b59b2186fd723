//! A folder that is for this process's user alone, held open: what happens to its name later makes no difference.
//!
//! What is in it is reached by a single name, and no link is followed.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat, fstat, mkdirat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::user;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// Others could write there, or read what is in it.
    #[error("{0}")]
    NotPrivate(&'static str),
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The folder.
#[derive(Debug)]
pub struct PrivateDir(OwnedFd);

/// What is in it under one name.
#[derive(Debug)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed last, in nanoseconds.
    pub modified: i128,
}

impl PrivateDir {
    /// Opens it, and makes it if it is not there. What is there and is not private is left as it is.
    pub fn open(path: &Path) -> Result<Self, NotOpened> {
        match mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from)?;
        let stat = fstat(&folder).map_err(io::Error::from)?;
        not_private(&stat).map_or(Ok(Self(folder)), |why| Err(NotOpened::NotPrivate(why)))
    }

    /// Opens a regular file to read it. Nothing if it is anything else, has a second name, or is not private.
    pub fn file(&self, name: &str) -> io::Result<Option<File>> {
        // Neither a link is followed, nor a pipe waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Ok(None),
            file => file?,
        };
        let stat = fstat(&file)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1;
        Ok((is_regular && not_private(&stat).is_none()).then(|| file.into()))
    }

    /// Whether there is something of this name.
    pub fn has(&self, name: &str) -> bool {
        statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// A new file to write, in place of what had this name.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let _not_there = self.remove(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Gives a file another name. What had that name is replaced.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// The same, unless something has that name.
    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE)?)
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// All that is in it but folders, and names that are not UTF-8.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                let modified = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
                entries.push(Entry { name: name.to_owned(), size, modified });
            }
        }
        Ok(entries)
    }
}

/// What keeps something from being this user's alone.
fn not_private(stat: &Stat) -> Option<&'static str> {
    if user::uid() != Some(stat.st_uid) {
        return Some("it belongs to another user");
    }
    (stat.st_mode & 0o077 != 0).then_some("others have access to it")
}
