//! One file or folder after the other, put there or taken away; what is there already is looked at first.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::output::Tone;

/// The result for one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    Made,
    Replaced,
    AsItShouldBe,
    /// It is not ours to change.
    Kept(&'static str),
    Removed,
    NotThere,
}

impl Done {
    pub(super) fn shown(&self, dry: bool) -> (Tone, String) {
        let (tone, what) = match self {
            Self::Made if dry => (Tone::Good, "would be created"),
            Self::Made => (Tone::Good, "created"),
            Self::Replaced if dry => (Tone::Good, "would be replaced"),
            Self::Replaced => (Tone::Good, "replaced"),
            Self::AsItShouldBe => (Tone::Quiet, "up to date"),
            Self::Kept(why) => (Tone::Busy, *why),
            Self::Removed if dry => (Tone::Good, "would be removed"),
            Self::Removed => (Tone::Good, "removed"),
            Self::NotThere => (Tone::Quiet, "not found"),
        };
        (tone, what.to_owned())
    }
}

/// The owner of a file or folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The system that is installed into.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    dry: bool,
}

impl Place {
    pub(super) fn new(root: &Path, dry: bool) -> Self {
        Self { root: root.to_owned(), dry }
    }

    /// A path of that system.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file that each version rewrites, unless it has been replaced by another one.
    pub(super) fn ours(&self, path: &Path, text: &str, mark: &str) -> anyhow::Result<Done> {
        match fs::read(self.at(path)) {
            Ok(there) if !there.starts_with(mark.as_bytes()) => Ok(Done::Kept("kept: your own file")),
            _ => self.put(path, text.as_bytes(), 0o644),
        }
    }

    /// A file that belongs to the operator once it is there.
    pub(super) fn operators(&self, path: &Path, text: &str) -> anyhow::Result<Done> {
        match fs::symlink_metadata(self.at(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.put(path, text.as_bytes(), 0o644),
            _ => Ok(Done::Kept("kept")),
        }
    }

    /// A file. One that is there, such as a running program, is not written over: the new one takes its name.
    pub(super) fn put(&self, path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<Done> {
        let to = self.at(path);
        let there = fs::read(&to).ok();
        if there.as_deref() == Some(bytes) {
            return Ok(Done::AsItShouldBe);
        }
        if !self.dry {
            let folder = to.parent().context("a file lies in a folder")?;
            let put = || -> io::Result<()> {
                fs::create_dir_all(folder)?;
                let mut new = tempfile::Builder::new().prefix(".bellwether-").tempfile_in(folder)?;
                new.write_all(bytes)?;
                new.as_file().set_permissions(Permissions::from_mode(mode))?;
                new.as_file().sync_all()?;
                new.persist(&to)?;
                Ok(())
            };
            put().with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(if there.is_some() { Done::Replaced } else { Done::Made })
    }

    /// A folder. One that is there keeps its owner and mode: `doctor` says what is wrong with them.
    pub(super) fn folder(&self, path: &Path, mode: u32, owner: Option<Owner>) -> anyhow::Result<Done> {
        let to = self.at(path);
        if to.is_dir() {
            return Ok(Done::AsItShouldBe);
        }
        if !self.dry {
            let make = || -> io::Result<()> {
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent)?;
                }
                DirBuilder::new().mode(mode).create(&to)?;
                fs::set_permissions(&to, Permissions::from_mode(mode))?;
                if let Some(owner) = owner {
                    chown(&to, Some(owner.uid), Some(owner.gid))?;
                }
                Ok(())
            };
            make().with_context(|| format!("cannot create {}", to.display()))?;
        }
        Ok(Done::Made)
    }

    /// Removes a file.
    pub(super) fn remove(&self, path: &Path) -> anyhow::Result<Done> {
        let path = self.at(path);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(Done::NotThere);
        }
        if !self.dry {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(Done::Removed)
    }

    /// Removes a file if it is still ours.
    pub(super) fn remove_if(&self, path: &Path, ours: impl Fn(&[u8]) -> bool) -> anyhow::Result<Done> {
        match fs::read(self.at(path)) {
            Ok(bytes) if !ours(&bytes) => Ok(Done::Kept("kept: edited")),
            _ => self.remove(path),
        }
    }

    /// Removes a link, and nothing that is none.
    pub(super) fn remove_link(&self, path: &Path) -> anyhow::Result<Done> {
        match fs::symlink_metadata(self.at(path)) {
            Ok(found) if !found.is_symlink() => Ok(Done::Kept("kept: data")),
            _ => self.remove(path),
        }
    }

    /// Removes a folder if nothing is in it.
    pub(super) fn remove_folder(&self, path: &Path) -> anyhow::Result<Done> {
        let path = self.at(path);
        if !path.is_dir() {
            return Ok(Done::NotThere);
        }
        if self.dry {
            return Ok(Done::Kept("removed if it is empty"));
        }
        match fs::remove_dir(&path) {
            Ok(()) => Ok(Done::Removed),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                Ok(Done::Kept("kept: contains configuration or data"))
            }
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        }
    }
}
