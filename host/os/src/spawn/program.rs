//! Finds the file of a command's program.

use std::env;
use std::path::{Path, PathBuf};

/// Where programs are looked for by their names, by the daemon and by what it
/// starts. The same on every node, whoever started the daemon.
#[cfg(unix)]
pub const PROGRAM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where programs are looked for by their names.
#[cfg(windows)]
pub const PROGRAM_PATH: &str = r"C:\Windows\System32;C:\Windows";

/// This program itself. Not the path of its file, which another program has after an upgrade in place.
#[cfg(target_os = "linux")]
pub fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// The file that a command's program means, as the checks of its module's file
/// and its start both see it: what has a slash in it is a path, relative to the
/// root, whether or not there is such a file; any other is looked for in
/// [`PROGRAM_PATH`], and `None` if it is in none of its folders.
pub fn program_file(root: &Path, program: &str) -> Option<PathBuf> {
    if program.contains(std::path::is_separator) {
        return Some(root.join(program));
    }
    env::split_paths(PROGRAM_PATH).map(|folder| folder.join(program)).find(|path| is_executable(path))
}

/// Whether the daemon may execute it.
#[cfg(unix)]
pub fn is_executable(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// Whether the daemon may execute it: the extension says what a program is.
#[cfg(windows)]
pub fn is_executable(path: &Path) -> bool {
    let is_program = |extension: &std::ffi::OsStr| {
        ["exe", "com", "bat", "cmd"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    };
    path.is_file() && path.extension().is_some_and(is_program)
}
