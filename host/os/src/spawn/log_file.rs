//! The output of commands: `logs/MODULE.COMMAND.log` under the root.
//!
//! A command writes to its file directly, without a pipe to the daemon in between, so that it outlives the daemon,
//! never blocks on it, and is not ended by a pipe that is no longer read. The cost: the daemon cannot make it open
//! a new file, so a file that has grown large is copied and then truncated while the command writes. The command
//! appends (`O_APPEND`), so it continues at the new end; what it writes in the instant between the last byte copied
//! and the truncation is lost.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::text::without_control;

use crate::file;

#[cfg(target_os = "linux")]
mod growth;
#[cfg(target_os = "linux")]
mod rotation;

#[cfg(target_os = "linux")]
pub use self::rotation::rotate_forever;

/// A file of this size is rotated.
pub const MAX_SIZE: u64 = 10 << 20;
/// The number of files of one command, including the current one.
pub const MAX_FILES: usize = 5;
/// So much is read of the end of an output.
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
    file::create_private_dir_all(&folder(root))?;
    file::private().append(true).create(true).open(path(root, module, command))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    pub(super) fn names() -> (ModuleName, CommandName) {
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
        rotation::rotate(&path, MAX_SIZE).unwrap();
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
