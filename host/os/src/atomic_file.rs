//! Files that outlive the daemon and the machine.
//!
//! ```text
//!   FILE        what counts             ◀──┐ exchanged in one instant
//!   FILE.spare  written, then exchanged ◀──┘
//! ```
//! A file that must be writable when the disk is full is written into space that is already allocated. What this or
//! an earlier daemon wrote last is remembered: a file or folder that is removed while the daemon runs is written
//! again ([`lost`], [`remember`], [`write_anew`]).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::exhaustion::with_reserve;
use crate::file;

/// Writes the file atomically: a new file is synced and then replaces the old one. Only the owner may read it.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content)?.take_its_place()
}

/// Like [`replace`], for large content that can be had again: it is not remembered, so the file is not written again if
/// it is removed while the daemon runs.
pub fn place(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path);
    let written = with_reserve(|| {
        let mut file = file::private().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(content)?;
        Ok(file)
    });
    let in_place = written.and_then(|file| file.sync_all()).and_then(|()| fs::rename(&new, path));
    if let Err(error) = in_place {
        // A part of it may fill a disk that is full.
        drop(fs::remove_file(&new));
        return Err(error);
    }
    match path.parent() {
        Some(folder) => with_reserve(|| file::sync_dir(folder)),
        None => Ok(()),
    }
}

/// A file that is written, but neither synced nor renamed to its final path. It is whole if the daemon is killed,
/// but maybe not if the machine fails.
#[derive(Debug)]
pub struct Beside {
    file: File,
    path: PathBuf,
    content: Arc<[u8]>,
}

/// The temporary path until then.
pub fn beside(path: &Path) -> PathBuf {
    with_ending(path, ".new")
}

/// The first half of [`replace`]: writes the temporary file.
pub fn write_beside(path: &Path, content: &[u8]) -> io::Result<Beside> {
    let new = beside(path);
    with_reserve(|| {
        let mut file = file::private().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(content)?;
        Ok(Beside { file, path: path.to_owned(), content: content.into() })
    })
}

impl Beside {
    /// The second half, which waits for the disk.
    pub fn take_its_place(self) -> io::Result<()> {
        let Self { file, path, content } = self;
        file.sync_all()?;
        fs::rename(beside(&path), &path)?;
        written().insert(path.clone(), content);
        match path.parent() {
            Some(folder) => with_reserve(|| file::sync_dir(folder)),
            None => Ok(()),
        }
    }
}

/// Space is allocated in steps of this many bytes.
const ROOM: usize = 16 << 10;

/// Writes the file atomically, and without new disk space as long as the content fits into the space of the two
/// files. For JSON documents, which are padded with blanks. Not synced: for content that matters only until the
/// machine is restarted.
pub fn exchange(path: &Path, json: &[u8]) -> io::Result<()> {
    let spare = with_ending(path, ".spare");
    let filled = json.len().div_ceil(ROOM).max(1) * ROOM;
    let mut content = json.to_vec();
    content.resize(filled, b' ');
    with_reserve(|| write_over(&spare, &content))?;
    // If it fails: there is none yet, or the file system cannot exchange.
    if file::exchange(&spare, path).is_err() {
        fs::rename(&spare, path)?;
        // Allocated for the next write. If there is no space now, there may be some then.
        let _ = write_over(&spare, &content);
    }
    written().insert(path.to_owned(), json.into());
    Ok(())
}

/// The content that was written last, by path.
fn written() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<[u8]>>> {
    static WRITTEN: Mutex<BTreeMap<PathBuf, Arc<[u8]>>> = Mutex::new(BTreeMap::new());
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that the file holds what an earlier daemon has written and this one has loaded. A file that cannot be
/// used must not be remembered: it would be written again once it has been moved aside.
pub fn remember(path: &Path) {
    // A file that can no longer be read was read a moment ago, and is written again when its content changes.
    if let Ok(content) = fs::read(path) {
        written().entry(path.to_owned()).or_insert_with(|| content.into());
    }
}

/// The parts of a file: the file itself, and the files that `SQLite` keeps beside it if it is a database.
pub const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// The fate of a file that cannot be used. Displayed as the verb of a sentence about it: `was moved aside`.
#[derive(Debug)]
pub enum SetAside {
    /// It was renamed to this path.
    As(PathBuf),
    /// It could not be renamed.
    Not(io::Error),
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::As(path) => {
                write!(f, "was moved aside as {}", path.file_name().unwrap_or_default().display())
            }
            Self::Not(error) => write!(f, "could not be moved aside ({error})"),
        }
    }
}

/// Renames a file that cannot be used to `FILE.damaged`, so that a new one can be created and an operator can
/// inspect the old one. Replaces an earlier `FILE.damaged`.
pub fn set_aside(path: &Path) -> SetAside {
    set_aside_as(path, ".damaged")
}

/// Like [`set_aside`], but keeps earlier ones: the name is `FILE.damaged-STAMP`.
pub fn set_aside_with(path: &Path, stamp: &str) -> SetAside {
    set_aside_as(path, &format!(".damaged-{stamp}"))
}

fn set_aside_as(path: &Path, ending: &str) -> SetAside {
    // A missing file must not be written again.
    written().remove(path);
    let aside = with_ending(path, ending);
    for part in PARTS {
        let (from, to) = (with_ending(path, part), with_ending(&aside, part));
        match fs::rename(from, &to) {
            Ok(()) => {}
            // The log of an earlier damaged database must not be left beside this one: it would be taken for its
            // log.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_empty() => {
                drop(fs::remove_file(to));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return SetAside::Not(error),
        }
    }
    SetAside::As(aside)
}

/// Removes a file that was written here, and forgets it.
pub fn remove(path: &Path) -> io::Result<()> {
    written().remove(path);
    fs::remove_file(path)
}

/// Forgets all files below a folder, before it is renamed or removed: they must not be written again.
pub fn forget(folder: &Path) {
    written().retain(|path, _| !path.starts_with(folder));
}

/// The files below a folder that this process has written or remembered.
pub fn known(folder: &Path) -> Vec<PathBuf> {
    written().keys().filter(|path| path.starts_with(folder)).cloned().collect()
}

/// Those of them that no longer exist.
pub fn lost(folder: &Path) -> Vec<PathBuf> {
    let is_gone = |path: &PathBuf| {
        let found = fs::symlink_metadata(path);
        found.is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        })
    };
    known(folder).into_iter().filter(is_gone).collect()
}

/// Writes such a file again with its last content, and creates its folders.
pub fn write_anew(path: &Path) -> io::Result<()> {
    let Some(content) = written().get(path).cloned() else { return Ok(()) };
    if let Some(folder) = path.parent() {
        file::create_private_dir_all(folder)?;
    }
    // Under a separate temporary name: the owner of the file may be writing it at the same moment, and then its
    // version is the newer one.
    let anew = with_ending(path, ".anew");
    let mut file = file::private().write(true).create(true).truncate(true).open(&anew)?;
    file.write_all(&content)?;
    file.sync_all()?;
    match file::rename_new(&anew, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(&anew),
        renamed => renamed,
    }
}

/// The file keeps its blocks: it is truncated only after it has been written.
fn write_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = file::private().write(true).create(true).truncate(false).open(path)?;
    file.write_all(content)?;
    if file.metadata()?.len() > content.len() as u64 { file.set_len(content.len() as u64) } else { Ok(()) }
}

/// The path with this suffix added to the file name.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn what_somebody_removes_is_written_anew_and_what_was_removed_here_is_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("state/modules");
        fs::create_dir_all(&folder).unwrap();
        let paths = ["web.json", "db.json", "gone.json"].map(|name| folder.join(name));
        replace(&paths[0], b"{}").unwrap();
        exchange(&paths[1], b"[1]").unwrap();
        replace(&paths[2], b"{}").unwrap();
        remove(&paths[2]).unwrap();
        assert_eq!(lost(root.path()), [] as [PathBuf; 0]);
        let other = root.path().join("state/farm");
        fs::create_dir(&other).unwrap();
        replace(&other.join("roster.json"), b"{}").unwrap();
        forget(&other);
        fs::remove_dir_all(root.path().join("state")).unwrap();
        assert_eq!(lost(root.path()), [paths[1].clone(), paths[0].clone()]);
        assert_eq!(lost(Path::new("/nonexistent")), [] as [PathBuf; 0]);
        for path in lost(root.path()) {
            write_anew(&path).unwrap();
        }
        assert_eq!(fs::read(&paths[0]).unwrap(), b"{}");
        assert_eq!(serde_json::from_slice::<Vec<u32>>(&fs::read(&paths[1]).unwrap()).unwrap(), [1]);
        assert!(!paths[2].exists());
        let mode = fs::metadata(&folder).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o700);
    }

    #[test]
    fn what_is_placed_is_whole_and_private_and_is_not_written_anew() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("large");
        for content in ["one", "another one", ""] {
            place(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let mode = fs::metadata(&path).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        fs::remove_file(&path).unwrap();
        assert_eq!(lost(root.path()), [] as [PathBuf; 0]);
        // A folder in its place cannot be replaced: nothing is left of the attempt.
        fs::create_dir_all(path.join("x")).unwrap();
        place(&path, b"one").unwrap_err();
        assert!(!beside(&path).exists());
    }

    #[test]
    fn what_an_earlier_daemon_has_written_is_written_anew_as_well() {
        let root = tempfile::tempdir().unwrap();
        let [read, removed, other] = ["read.json", "removed.json", "other.json"].map(|n| root.path().join(n));
        for path in [&read, &removed, &other] {
            fs::write(path, b"[1]").unwrap();
        }
        remember(&read);
        remember(&removed);
        remember(&root.path().join("absent.json"));
        remove(&removed).unwrap();
        fs::remove_file(&read).unwrap();
        fs::remove_file(&other).unwrap();
        assert_eq!(lost(root.path()), std::slice::from_ref(&read));
        write_anew(&read).unwrap();
        assert_eq!(fs::read(&read).unwrap(), b"[1]");
        // Content that is written later replaces what was read.
        replace(&read, b"[2]").unwrap();
        remember(&read);
        fs::remove_file(&read).unwrap();
        write_anew(&read).unwrap();
        assert_eq!(fs::read(&read).unwrap(), b"[2]");
    }

    #[test]
    fn what_is_set_aside_keeps_its_parts_together_and_is_not_written_anew() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.db");
        let content = |name: &str| fs::read_to_string(root.path().join(name)).ok();
        fs::write(&path, "1").unwrap();
        fs::write(with_ending(&path, "-wal"), "2").unwrap();
        remember(&path);
        let aside = set_aside(&path);
        assert!(
            matches!(&aside, SetAside::As(name) if *name == root.path().join("x.db.damaged")),
            "{aside:?}"
        );
        assert_eq!(aside.to_string(), "was moved aside as x.db.damaged");
        assert_eq!((content("x.db"), content("x.db-wal")), (None, None));
        assert_eq!(content("x.db.damaged").as_deref(), Some("1"));
        assert_eq!(content("x.db.damaged-wal").as_deref(), Some("2"));
        assert_eq!(lost(root.path()), [] as [PathBuf; 0]);
        // The next file takes its place, and has no log.
        fs::write(&path, "3").unwrap();
        assert!(matches!(set_aside(&path), SetAside::As(_)));
        assert_eq!((content("x.db.damaged").as_deref(), content("x.db.damaged-wal")), (Some("3"), None));
        // A file with a stamp stands beside it.
        fs::write(&path, "4").unwrap();
        assert!(matches!(set_aside_with(&path, "2026"), SetAside::As(_)));
        assert_eq!(content("x.db.damaged-2026").as_deref(), Some("4"));
        assert_eq!(content("x.db.damaged").as_deref(), Some("3"));
        // A folder that is not empty cannot be replaced.
        fs::write(&path, "5").unwrap();
        fs::remove_file(root.path().join("x.db.damaged")).unwrap();
        fs::create_dir_all(root.path().join("x.db.damaged/y")).unwrap();
        assert!(set_aside(&path).to_string().starts_with("could not be moved aside ("));
        assert_eq!(content("x.db").as_deref(), Some("5"));
    }

    #[test]
    fn two_files_take_turns_and_keep_their_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        exchange(&path, b"[1]").unwrap();
        let spare = with_ending(&path, ".spare");
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        let (first, second) = (inode(&path), inode(&spare));
        let read = || serde_json::from_slice::<Vec<u32>>(&fs::read(&path).unwrap()).unwrap();
        for round in 0..5_u32 {
            let numbers: Vec<u32> = (0..round * 10_000).collect();
            exchange(&path, &serde_json::to_vec(&numbers).unwrap()).unwrap();
            assert_eq!(read(), numbers);
            assert!([first, second].contains(&inode(&path)), "no third file");
        }
        exchange(&path, b"[2]").unwrap();
        assert_eq!(read(), [2], "a shorter one has no rest of the longer one");
    }
}
