//! The control groups that daemons of tests leave when they are killed.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The levels of module and command.
const LEVELS: usize = 2;

/// Removes the groups of daemons that contain no process, as far as that is possible. A group that is just being
/// used is created again by its daemon.
pub fn sweep() {
    let Some(own) = own_folder() else { return };
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("bellwether.") {
            remove(&entry.path(), LEVELS);
        }
    }
}

/// Whether a daemon that is started like this process gets control groups.
pub fn are_there() -> bool {
    let writable = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    own_folder().is_some_and(|folder| writable(&folder) && writable(&folder.join("cgroup.procs")))
}

/// The kernel refuses to remove a group with processes.
fn remove(folder: &Path, levels: usize) {
    if levels > 0 {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path(), levels - 1);
            }
        }
    }
    drop(fs::remove_dir(folder));
}

/// The folder of this process's group, if there are control groups of version 2.
fn own_folder() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    Some(Path::new(line.split(' ').nth(4)?).join(path))
}
