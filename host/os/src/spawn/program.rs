//! Finds the file of a command's program.

use std::env;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The folders in which programs are looked up by name, by the daemon and by what it starts. The same on every
/// node, however the daemon was started.
pub const PROGRAM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file of a command's program, both for the check of its module's file and for its start: a name with a slash
/// is a path, relative to the root, whether or not the file exists; any other name is looked up in
/// [`PROGRAM_PATH`], and `None` means that it is in none of its folders.
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
