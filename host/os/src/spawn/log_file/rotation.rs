//! Keeps the outputs of commands within their size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::growth::LogGrowth;
use super::{MAX_FILES, MAX_SIZE, folder};
use crate::file;

/// The sizes are looked at so long after a write: soon enough for one who writes as fast as a disk, and
/// seldom enough for one who writes a line at a time and never stops.
const AFTER_A_WRITE: Duration = Duration::from_millis(100);
/// And so often where no write is told: there is no folder yet, the kernel has no watch to give, or
/// who writes has the file in its memory (`mmap`).
const PERIOD: Duration = Duration::from_secs(1);

/// Keeps every file within its size, until dropped.
pub async fn rotate_forever(root: PathBuf) {
    let folder = folder(&root);
    let growth = LogGrowth::new().inspect_err(|error| {
        tracing::warn!(%error, "the logs of commands are checked every second: no inotify watch is available (see fs.inotify.max_user_instances)");
    });
    let mut failing = false;
    loop {
        // Armed before the look: what is written during it is told.
        let armed = growth.as_ref().ok().filter(|growth| growth.arm(&folder).is_ok());
        let looked_at = folder.clone();
        let rotated = tokio::task::spawn_blocking(move || rotate_large(&looked_at, MAX_SIZE)).await;
        let error = rotated.map_err(io::Error::other).and_then(|rotated| rotated).err();
        if let Some(error) = error.as_ref().filter(|_| !failing) {
            tracing::warn!(%error, "cannot rotate the logs of commands: look after the space on this disk");
        }
        failing = error.is_some();
        let told = async {
            match armed {
                Some(growth) => growth.written().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        if let Ok(true) = timeout(PERIOD, told).await {
            sleep(AFTER_A_WRITE).await;
        }
    }
}

/// Rotates each log in the folder that is larger than this. One that cannot be rotated is no
/// reason to leave the others; of several errors, the last is returned.
fn rotate_large(folder: &Path, max_size: u64) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        // No command has run yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    let mut outcome = Ok(false);
    for entry in entries {
        let entry = entry?;
        let (path, file) = (entry.path(), entry.metadata()?);
        if path.extension().is_some_and(|end| end == "log") && file.is_file() && file.len() > max_size {
            let rotated = rotate(&path, max_size);
            outcome = rotated.and(outcome).map(|_| true);
        }
    }
    outcome
}

/// `x.log` becomes `x.log.1`, that `x.log.2`, and so on; the oldest is dropped. Of a file that has
/// grown far beyond its size, the end is kept. If there is no room for a copy, the file is emptied
/// all the same: it must not take the room of everything else.
pub(super) fn rotate(path: &Path, max_size: u64) -> io::Result<()> {
    let older = |age: usize| PathBuf::from(format!("{}.{age}", path.display()));
    for age in (1..MAX_FILES - 1).rev() {
        match fs::rename(older(age), older(age + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let copied = copy_end(path, &older(1), max_size);
    if copied.is_err() {
        // Half a copy is in the way of a whole one.
        let _ = fs::remove_file(older(1));
    }
    OpenOptions::new().write(true).open(path)?.set_len(0)?;
    copied
}

fn copy_end(path: &Path, to: &Path, max_size: u64) -> io::Result<()> {
    let mut from = File::open(path)?;
    let length = from.metadata()?.len();
    let mut room = max_size + max_size / 2;
    if length > room {
        from.seek(SeekFrom::End(-i64::try_from(max_size).unwrap_or(0)))?;
        // Who writes that fast would fill any room.
        room = max_size;
    }
    let mut to = file::private().write(true).create(true).truncate(true).open(to)?;
    // What is written while this copies is copied too, as far as there is room.
    for _ in 0..3 {
        let copied = io::copy(&mut (&mut from).take(room), &mut to)?;
        room -= copied;
        if copied == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::super::{open, path};
    use super::*;
    use std::io::Write as _;

    #[test]
    fn rotation_by_size_keeps_the_writer_going_and_a_bounded_number_of_files() {
        let root = tempfile::tempdir().unwrap();
        let (module, command) = names();
        let mut writer = open(root.path(), &module, &command).unwrap();
        let path = path(root.path(), &module, &command);
        for round in 0..8 {
            writeln!(writer, "round {round} {}", "x".repeat(100)).unwrap();
            rotate_large(&folder(root.path()), 100).unwrap();
            writeln!(writer, "after {round}").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("after {round}\n"));
            rotate_large(&folder(root.path()), 100).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), format!("after {round}\n").len() as u64);
        }
        assert_eq!(fs::read_dir(folder(root.path())).unwrap().count(), MAX_FILES);
        let newest = fs::read_to_string(format!("{}.1", path.display())).unwrap();
        assert!(newest.starts_with("after 6\nround 7 x"), "{newest}");
        let oldest = fs::read_to_string(format!("{}.4", path.display())).unwrap();
        assert!(oldest.starts_with("after 3\nround 4 x"), "{oldest}");
    }

    #[test]
    fn of_a_flood_the_end_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let (module, command) = names();
        let mut writer = open(root.path(), &module, &command).unwrap();
        let path = path(root.path(), &module, &command);
        for line in 0..100_000 {
            writeln!(writer, "line {line}").unwrap();
        }
        assert!(rotate_large(&folder(root.path()), 1000).unwrap());
        assert!(!rotate_large(&folder(root.path()), 1000).unwrap(), "there is nothing left to do");
        let copy = fs::read_to_string(format!("{}.1", path.display())).unwrap();
        assert_eq!(copy.len(), 1000);
        assert!(copy.ends_with("line 99999\n"), "{copy}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }
}
