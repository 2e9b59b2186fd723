//! Files that outlive the daemon and the machine.
//!
//! ```text
//!   FILE        what counts             ◀──┐ exchanged in one instant
//!   FILE.spare  written, then exchanged ◀──┘
//! ```
//! What has to be written when the disk is full is written into a file that has
//! its room already.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::shortage::with_reserve;

/// Whole or not at all: a new file, synced, takes the place of the old one. For its owner alone.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content)?.take_its_place()
}

/// A file that is written, and neither synced nor in its place. A daemon that is killed leaves it
/// whole; the machine may not.
#[derive(Debug)]
pub(crate) struct Beside {
    file: File,
    path: PathBuf,
}

/// Where it is until then.
pub(crate) fn beside(path: &Path) -> PathBuf {
    with_ending(path, ".new")
}

/// The first half of [`replace`].
pub(crate) fn write_beside(path: &Path, content: &[u8]) -> io::Result<Beside> {
    let new = beside(path);
    with_reserve(|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        Ok(Beside { file, path: path.to_owned() })
    })
}

impl Beside {
    /// The second half, which waits for the disk.
    pub(crate) fn take_its_place(self) -> io::Result<()> {
        let Self { file, path } = self;
        file.sync_all()?;
        fs::rename(beside(&path), &path)?;
        match path.parent() {
            Some(folder) => with_reserve(|| File::open(folder))?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Room that is asked for at a time, in bytes.
const ROOM: usize = 16 << 10;

/// Whole or not at all, and without new room on the disk as long as the content does not outgrow
/// that of both files: a JSON document, filled up with blanks. Not synced: for what counts only
/// as long as the machine runs.
pub(crate) fn exchange(path: &Path, json: &[u8]) -> io::Result<()> {
    let spare = with_ending(path, ".spare");
    let filled = json.len().div_ceil(ROOM).max(1) * ROOM;
    let mut content = json.to_vec();
    content.resize(filled, b' ');
    with_reserve(|| write_over(&spare, &content))?;
    // If it fails: there is none yet, or the file system cannot exchange.
    if renameat_with(CWD, &spare, CWD, path, RenameFlags::EXCHANGE).is_err() {
        fs::rename(&spare, path)?;
        // For the next time. If there is no room now, there may be then.
        let _ = write_over(&spare, &content);
    }
    Ok(())
}

/// Its blocks stay its own: nothing is cut off before it is written.
fn write_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all(content)?;
    if file.metadata()?.len() > content.len() as u64 { file.set_len(content.len() as u64) } else { Ok(()) }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

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
