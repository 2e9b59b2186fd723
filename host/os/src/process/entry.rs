//! What `/proc/PID` says of a process besides its [`Stat`](super::stat::Stat) (`proc_pid(5)`).

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::file::Access;

/// The ids of all processes that can be seen.
pub fn all() -> io::Result<impl Iterator<Item = io::Result<u32>>> {
    let pid = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())).transpose()
    };
    Ok(fs::read_dir("/proc")?.filter_map(pid))
}

/// Whether there is such a process.
pub fn exists(pid: u64) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap_or(false)
}

/// The number of the user that it runs as.
pub fn owner(pid: u32) -> io::Result<u32> {
    Ok(Access::of(&fs::metadata(format!("/proc/{pid}"))?).owner)
}

/// Its arguments, each ended by a zero.
pub fn command_line(pid: u32) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cmdline"))
}

/// The path of its program. ` (deleted)` is at its end if the file was replaced or removed since.
pub fn program(pid: u32) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe"))
}

/// The folder that it runs in.
pub fn folder(pid: u32) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd"))
}

/// Names this process in lists of processes, in at most 15 bytes.
pub fn rename_this_process(name: &str) -> io::Result<()> {
    fs::write("/proc/self/comm", name)
}
