//! Installs and removes single files and folders; existing ones are checked first.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bellwether_os::file::{Access, create_dir, open_without_waiting, set_file_mode, set_owner};

use crate::output::Tone;

/// The result for one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    Made,
    Replaced,
    AsItShouldBe,
    /// It does not belong to the installation.
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

/// The system to install into.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    dry: bool,
}

impl Place {
    pub(super) fn new(root: &Path, dry: bool) -> Self {
        Self { root: root.to_owned(), dry }
    }

    /// A path in that system.
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

    /// Writes a file. An existing one, such as a running program, is not overwritten: the new file replaces its
    /// name.
    pub(super) fn put(&self, path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<Done> {
        let to = self.at(path);
        let there = fs::read(&to).ok();
        let same_mode = || fs::metadata(&to).is_ok_and(|found| Access::of(&found).mode == mode);
        if there.as_deref() == Some(bytes) && same_mode() {
            return Ok(Done::AsItShouldBe);
        }
        if !self.dry {
            let folder = to.parent().context("a file lies in a folder")?;
            let put = || -> io::Result<()> {
                make_folders(folder, 0o755)?;
                let mut new = tempfile::Builder::new().prefix(".bellwether-").tempfile_in(folder)?;
                new.write_all(bytes)?;
                set_file_mode(new.as_file(), mode)?;
                new.as_file().sync_all()?;
                new.persist(&to)?;
                Ok(())
            };
            put().with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(if there.is_some() { Done::Replaced } else { Done::Made })
    }

    /// Writes a file, unless there is one that has another content and does not belong to the installation.
    pub(super) fn put_if(
        &self,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        ours: impl Fn(&[u8]) -> bool,
    ) -> anyhow::Result<Done> {
        let to = self.at(path);
        let edited = match fs::symlink_metadata(&to) {
            Ok(found) if found.is_file() => {
                let there = fs::read(&to).with_context(|| format!("cannot read {}", to.display()))?;
                there != bytes && !ours(&there)
            }
            // Only regular files are written: a link or a pipe belongs to someone else. Writing reports a folder.
            Ok(found) => !found.is_dir(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", to.display())),
        };
        if edited { Ok(Done::Kept("kept: edited")) } else { self.put(path, bytes, mode) }
    }

    /// Creates a folder. An existing one keeps its owner and mode: `doctor` reports problems with them.
    pub(super) fn folder(&self, path: &Path, mode: u32, owner: Option<Owner>) -> anyhow::Result<Done> {
        let to = self.at(path);
        if to.is_dir() {
            return Ok(Done::AsItShouldBe);
        }
        if !self.dry {
            let make = || -> io::Result<()> {
                if let Some(parent) = to.parent() {
                    make_folders(parent, 0o755)?;
                }
                create_dir(&to, mode)?;
                if let Some(owner) = owner {
                    set_owner(&to, owner.uid, owner.gid)?;
                }
                Ok(())
            };
            make().with_context(|| format!("cannot create {}", to.display()))?;
        }
        Ok(Done::Made)
    }

    /// Removes a file of the installation.
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

    /// Removes a file if it is still ours; otherwise it is kept for this reason.
    pub(super) fn remove_if(
        &self,
        path: &Path,
        kept: &'static str,
        ours: impl Fn(&[u8]) -> bool,
    ) -> anyhow::Result<Done> {
        let at = self.at(path);
        // Reading a pipe would wait for a writer.
        if fs::metadata(&at).is_ok_and(|found| !found.is_file()) {
            return Ok(Done::Kept("kept: not a file"));
        }
        match fs::read(&at) {
            Ok(bytes) if !ours(&bytes) => Ok(Done::Kept(kept)),
            _ => self.remove(path),
        }
    }

    /// Removes a link, but not other files.
    pub(super) fn remove_link(&self, path: &Path) -> anyhow::Result<Done> {
        match fs::symlink_metadata(self.at(path)) {
            Ok(found) if !found.is_symlink() => Ok(Done::Kept("kept: data")),
            _ => self.remove(path),
        }
    }

    /// Removes a folder if it is empty.
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

/// Opens a file for reading. Anything else is rejected: opening a pipe would wait for a writer.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let file = open_without_waiting(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Creates a folder and its parents, with this mode regardless of the umask. Existing folders keep theirs.
fn make_folders(folder: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        create_dir(folder, mode)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use rustix::fs::{FileType, Mode};

    use super::*;

    const FILE: &str = "/share/file";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_file_is_written_over_only_if_it_is_ours() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let file = place.at(Path::new(FILE));
        let put = |new: &str| {
            place.put_if(Path::new(FILE), new.as_bytes(), 0o644, |there| there == b"one").unwrap()
        };
        assert_eq!(put("one"), Done::Made);
        assert_eq!(put("one"), Done::AsItShouldBe);
        assert_eq!(put("two"), Done::Replaced);
        assert_eq!(put("two"), Done::AsItShouldBe, "the file has the wanted content, whatever wrote it");
        assert_eq!(put("three"), Done::Kept("kept: edited"), "`two` is not among what is ours");
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }

    #[test]
    fn a_link_or_a_pipe_is_kept() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let file = place.at(Path::new(FILE));
        fs::create_dir(file.parent().unwrap()).unwrap();
        symlink("nowhere", &file).unwrap();
        let put = || place.put_if(Path::new(FILE), b"one", 0o644, |_| true).unwrap();
        assert_eq!(put(), Done::Kept("kept: edited"));
        assert_eq!(fs::read_link(&file).unwrap(), Path::new("nowhere"));
        fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(put(), Done::Kept("kept: edited"));
        let removed = place.remove_if(Path::new(FILE), "kept: edited", |_| true).unwrap();
        assert_eq!(removed, Done::Kept("kept: not a file"));
    }

    #[test]
    fn only_a_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert_eq!(open_file(&file).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&file, "text").unwrap();
        assert_eq!(io::read_to_string(open_file(&file).unwrap()).unwrap(), "text");
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for other in [pipe.as_path(), folder.path()] {
            assert_eq!(open_file(other).unwrap_err().to_string(), "it is not a regular file");
        }
    }

    #[test]
    fn folders_have_their_mode_whatever_the_umask_is() {
        let system = tempfile::tempdir().unwrap();
        let there = system.path().join("there");
        fs::create_dir(&there).unwrap();
        fs::set_permissions(&there, Permissions::from_mode(0o700)).unwrap();
        // Every usual umask removes a bit of this mode.
        make_folders(&there.join("a/b"), 0o777).unwrap();
        assert_eq!([there.join("a"), there.join("a/b")].map(|folder| mode(&folder)), [0o777; 2]);
        assert_eq!(mode(&there), 0o700, "a folder that exists keeps its mode");
        make_folders(&there.join("a/b"), 0o755).unwrap();
        assert_eq!(mode(&there.join("a/b")), 0o777);
    }

    #[test]
    fn a_wrong_mode_is_corrected() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let file = place.at(Path::new(FILE));
        let put = || place.put(Path::new(FILE), b"one", 0o755).unwrap();
        assert_eq!(put(), Done::Made);
        for wrong in [0o600, 0o4755] {
            fs::set_permissions(&file, Permissions::from_mode(wrong)).unwrap();
            assert_eq!(put(), Done::Replaced, "{wrong:o}");
            assert_eq!(mode(&file), 0o755);
            assert_eq!(put(), Done::AsItShouldBe);
        }
    }
}
