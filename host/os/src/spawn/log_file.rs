//! The output of commands: `logs/MODULE.COMMAND.log` under the root.
//!
//! A command writes to its file directly, without a pipe to the daemon in between, so that it outlives the daemon,
//! never blocks on it, and is not ended by a pipe that is no longer read. The cost: the daemon cannot make it open
//! a new file, so a file that has grown large is copied and then truncated while the command writes. The command
//! appends (`O_APPEND`), so it continues at the new end; what it writes in the instant between the last byte copied
//! and the truncation is lost.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::text::without_control;
use tokio::time::{sleep, timeout};

use super::log_growth::LogGrowth;

/// A file of this size is rotated.
pub const MAX_SIZE: u64 = 10 << 20;
/// The number of files of one command, including the current one.
pub const MAX_FILES: usize = 5;
/// The sizes are checked this long after a write: soon enough for a command that writes as fast as the disk, and
/// rarely enough for one that writes a line at a time and never stops.
const AFTER_A_WRITE: Duration = Duration::from_millis(100);
/// The interval where writes are not reported: there is no folder yet, the kernel has no watch left, or the command
/// writes to memory (`mmap`).
const PERIOD: Duration = Duration::from_secs(1);
/// The maximum that is read from the end of an output.
const MAX_TAIL: u64 = 64 << 10;
/// Longer lines are truncated to this many characters.
pub const MAX_LINE: usize = 300;

/// The folder of the outputs.
pub fn folder(root: &Path) -> PathBuf {
    root.join("logs")
}

/// The file for the output of this command. Dots in the module's name are doubled, so that command `c` of module
/// `a.b` and command `b.c` of module `a` have different files.
pub fn path(root: &Path, module: &ModuleName, command: &CommandName) -> PathBuf {
    let module = module.as_str().replace('.', "..");
    folder(root).join(format!("{module}.{command}.log"))
}

/// Opens the file for its writer. Only the daemon's user may read it, because outputs often contain secrets.
pub fn open(root: &Path, module: &ModuleName, command: &CommandName) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder(root))?;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path(root, module, command))
}

/// The last 64 KiB that were written after `from` (an earlier length of the file).
pub fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // The file is shorter than before: it has been rotated since.
    let from = if length < from { 0 } else { from };
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(MAX_TAIL))))?;
    let mut text = Vec::new();
    file.take(MAX_TAIL).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The end of the output of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    pub command: String,
    /// Ordered by time, without terminal control characters.
    pub lines: Vec<String>,
}

/// The number of lines that are shown from the end of an output.
const SHOWN: usize = 100;
/// The maximum number of bytes for these lines.
const SHOWN_BYTES: u64 = 32 << 10;

/// The ends of the outputs of these commands, the most recently written first. Outputs that cannot be read are
/// omitted.
pub fn tails(root: &Path, module: &ModuleName, commands: &[CommandName]) -> Vec<LogTail> {
    let mut found: Vec<_> = commands
        .iter()
        .filter_map(|command| {
            let path = path(root, module, command);
            let written = fs::metadata(&path).ok()?.modified().ok()?;
            let lines = lines(&end(&path, SHOWN_BYTES).ok()?);
            (!lines.is_empty()).then(|| (written, LogTail { command: command.to_string(), lines }))
        })
        .collect();
    found.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    found.into_iter().map(|(_, tail)| tail).collect()
}

fn end(path: &Path, most: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut text = Vec::new();
    file.take(most).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    // The first line is rarely complete.
    Ok(if length > most {
        text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or(text)
    } else {
        text
    })
}

fn lines(text: &str) -> Vec<String> {
    let clean = |line: &str| without_control(line).chars().take(MAX_LINE).collect();
    let all: Vec<String> = text.lines().map(clean).collect();
    all[all.len().saturating_sub(SHOWN)..].to_vec()
}

/// Keeps every file within its size limit, until it is dropped.
pub async fn rotate_forever(root: PathBuf) {
    let folder = folder(&root);
    let growth = LogGrowth::new().inspect_err(|error| {
        tracing::warn!(%error, "the logs of commands are checked every second: no inotify watch is available (see fs.inotify.max_user_instances)");
    });
    let mut failing = false;
    loop {
        // Armed before the check, so that writes during the check are reported.
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

/// Rotates each log in the folder that is larger than this. If one cannot be rotated, the others still are; of
/// several errors, the last one is returned.
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

/// `x.log` becomes `x.log.1`, that becomes `x.log.2`, and so on; the oldest is removed. Of a file that has grown
/// far beyond its limit, the end is kept. If there is no space for a copy, the file is truncated all the same,
/// because it would use up the disk.
fn rotate(path: &Path, max_size: u64) -> io::Result<()> {
    let older = |age: usize| PathBuf::from(format!("{}.{age}", path.display()));
    for age in (1..MAX_FILES - 1).rev() {
        match fs::rename(older(age), older(age + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let copied = copy_end(path, &older(1), max_size);
    if copied.is_err() {
        // An incomplete copy would be in the way of a complete one.
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
        // A command that writes this fast would fill any disk.
        room = max_size;
    }
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    // What is written during the copy is copied as well, as far as there is space.
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
    use super::*;
    use std::io::Write;

    fn names() -> (ModuleName, CommandName) {
        (ModuleName::new("web").unwrap(), CommandName::new("start").unwrap())
    }

    #[test]
    fn no_two_commands_share_a_file() {
        let names = ["a", "b", "a.b", "b.c", "a.", "a..b", "b.", "c"];
        let mut paths = std::collections::BTreeSet::new();
        for (module, command) in names.iter().flat_map(|m| names.iter().map(move |c| (m, c))) {
            let (module, command) = (ModuleName::new(module).unwrap(), CommandName::new(command).unwrap());
            assert!(paths.insert(path(Path::new("/"), &module, &command)), "{module} {command}");
        }
    }

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

    #[test]
    fn the_tail_is_what_was_written_since_and_bounded() {
        let root = tempfile::tempdir().unwrap();
        let (module, command) = names();
        let mut writer = open(root.path(), &module, &command).unwrap();
        let path = path(root.path(), &module, &command);
        writer.write_all(b"before\n").unwrap();
        let from = writer.metadata().unwrap().len();
        assert_eq!(tail(&path, from).unwrap(), "");
        writer.write_all(b"since\n").unwrap();
        assert_eq!(tail(&path, from).unwrap(), "since\n");
        writer.write_all(&vec![b'x'; 100_000]).unwrap();
        assert_eq!(tail(&path, from).unwrap().len(), 64 << 10);
        rotate(&path, MAX_SIZE).unwrap();
        writer.write_all(b"new\n").unwrap();
        assert_eq!(tail(&path, from).unwrap(), "new\n", "rotated in between");
    }

    #[test]
    fn an_output_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let (module, command) = names();
        let file = open(root.path(), &module, &command).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder(root.path())).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
