//! Which file a command's program is.

use std::env;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Where programs are looked for by their names, by the daemon and by what it
/// starts. The same on every node, whoever started the daemon.
pub const PROGRAM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file that a command's program means, as the checks of its module's file
/// and its start both see it: what has a slash in it is a path, relative to the
/// root, whether or not there is such a file; any other is looked for in
/// [`PROGRAM_PATH`], and `None` if it is in none of its folders.
pub fn program_file(root: &Path, program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(root.join(program));
    }
    env::split_paths(PROGRAM_PATH).map(|folder| folder.join(program)).find(|path| is_executable(path))
}

/// Whether the daemon may execute it.
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
