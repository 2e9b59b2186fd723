//! Files that outlive the daemon and the machine.
//!
//! ```text
//!   FILE        what counts             ◀──┐ exchanged in one instant
//!   FILE.spare  written, then exchanged ◀──┘
//! ```
//! What has to be written when the disk is full is written into a file that has
//! its room already. What was written last, by this daemon or by an earlier one, is remembered: a file or a
//! folder that is removed while the daemon runs is written anew ([`lost`], [`remember`], [`write_anew`]).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::exhaustion::with_reserve;
use crate::file;

/// Whole or not at all: a new file, synced, takes the place of the old one. For its owner alone.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content)?.take_its_place()
}

/// A file that is written, and neither synced nor in its place. A daemon that is killed leaves it
/// whole; the machine may not.
#[derive(Debug)]
pub struct Beside {
    file: File,
    path: PathBuf,
    content: Arc<[u8]>,
}

/// Where it is until then.
pub fn beside(path: &Path) -> PathBuf {
    with_ending(path, ".new")
}

/// The first half of [`replace`].
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

/// Room that is asked for at a time, in bytes.
const ROOM: usize = 16 << 10;

/// Whole or not at all, and without new room on the disk as long as the content does not outgrow
/// that of both files: a JSON document, filled up with blanks. Not synced: for what counts only
/// as long as the machine runs.
pub fn exchange(path: &Path, json: &[u8]) -> io::Result<()> {
    let spare = with_ending(path, ".spare");
    let filled = json.len().div_ceil(ROOM).max(1) * ROOM;
    let mut content = json.to_vec();
    content.resize(filled, b' ');
    with_reserve(|| write_over(&spare, &content))?;
    // If it fails: there is none yet, or the file system cannot exchange.
    if file::exchange(&spare, path).is_err() {
        fs::rename(&spare, path)?;
        // For the next time. If there is no room now, there may be then.
        let _ = write_over(&spare, &content);
    }
    written().insert(path.to_owned(), json.into());
    Ok(())
}

/// What was written last, by its place.
fn written() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<[u8]>>> {
    static WRITTEN: Mutex<BTreeMap<PathBuf, Arc<[u8]>>> = Mutex::new(BTreeMap::new());
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells that the file holds what an earlier daemon has written, and this one has read and goes by. One that is
/// of no use is not remembered: it would be written anew once it is set aside.
pub fn remember(path: &Path) {
    // A file that cannot be read any more has been read a moment ago, and is written anew when its content changes.
    if let Ok(content) = fs::read(path) {
        written().entry(path.to_owned()).or_insert_with(|| content.into());
    }
}

/// The parts of a file: the file itself, and what `SQLite` keeps beside it if it is a database.
pub const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// What has become of a file that cannot be used. Shown as the verb of a sentence about it: `was moved aside`.
#[derive(Debug)]
pub enum SetAside {
    /// It has this name now.
    As(PathBuf),
    /// It has the name that it had.
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

/// Gives a file that cannot be used the name `FILE.damaged`, so that a new one can be begun and people can look at the
/// old one. The one that was set aside before is replaced.
pub fn set_aside(path: &Path) -> SetAside {
    set_aside_as(path, ".damaged")
}

/// The same for a file of which more than one is kept: `FILE.damaged-STAMP`.
pub fn set_aside_with(path: &Path, stamp: &str) -> SetAside {
    set_aside_as(path, &format!(".damaged-{stamp}"))
}

fn set_aside_as(path: &Path, ending: &str) -> SetAside {
    // It is not to be written anew when it is missed.
    written().remove(path);
    let aside = with_ending(path, ending);
    for part in PARTS {
        let (from, to) = (with_ending(path, part), with_ending(&aside, part));
        match fs::rename(from, &to) {
            Ok(()) => {}
            // A log that was set aside before must not be left beside this: it would be taken for this one's.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_empty() => {
                drop(fs::remove_file(to));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return SetAside::Not(error),
        }
    }
    SetAside::As(aside)
}

/// Removes a file that was written here, for good.
pub fn remove(path: &Path) -> io::Result<()> {
    written().remove(path);
    fs::remove_file(path)
}

/// The files below a folder that were written or remembered by this process.
pub fn known(folder: &Path) -> Vec<PathBuf> {
    written().keys().filter(|path| path.starts_with(folder)).cloned().collect()
}

/// Those of them that are not there any more.
pub fn lost(folder: &Path) -> Vec<PathBuf> {
    let is_gone = |path: &PathBuf| {
        let found = fs::symlink_metadata(path);
        found.is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        })
    };
    known(folder).into_iter().filter(is_gone).collect()
}

/// Writes such a file as it was written last, and the folders that it lies in.
pub fn write_anew(path: &Path) -> io::Result<()> {
    let Some(content) = written().get(path).cloned() else { return Ok(()) };
    if let Some(folder) = path.parent() {
        file::create_private_dir_all(folder)?;
    }
    // Under a name of its own: the owner of the file may just be writing it as well, and then that is the newer one.
    let anew = with_ending(path, ".anew");
    let mut file = file::private().write(true).create(true).truncate(true).open(&anew)?;
    file.write_all(&content)?;
    file.sync_all()?;
    match file::rename_new(&anew, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(&anew),
        renamed => renamed,
    }
}

/// Its blocks stay its own: nothing is cut off before it is written.
fn write_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = file::private().write(true).create(true).truncate(false).open(path)?;
    file.write_all(content)?;
    if file.metadata()?.len() > content.len() as u64 { file.set_len(content.len() as u64) } else { Ok(()) }
}

/// The path with this behind the name of the file.
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
        // What is written later is newer than what was read.
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
        // The next one takes its place, and has no log.
        fs::write(&path, "3").unwrap();
        assert!(matches!(set_aside(&path), SetAside::As(_)));
        assert_eq!((content("x.db.damaged").as_deref(), content("x.db.damaged-wal")), (Some("3"), None));
        // One with a stamp stands beside it.
        fs::write(&path, "4").unwrap();
        assert!(matches!(set_aside_with(&path, "2026"), SetAside::As(_)));
        assert_eq!(content("x.db.damaged-2026").as_deref(), Some("4"));
        assert_eq!(content("x.db.damaged").as_deref(), Some("3"));
        // A folder with something in it cannot be replaced.
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
