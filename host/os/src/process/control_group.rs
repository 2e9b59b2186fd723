//! Control groups of version 2 (cgroups(7)). Every process that a process starts is in its group, and only a
//! privileged process can leave it. The group therefore identifies the processes of a command, regardless of
//! sessions and parents.
//!
//! ```text
//!   /sys/fs/cgroup/system.slice/bellwether.service      the daemon's own
//!   └── bellwether.0123456789abcdef                     of one root
//!       └── module.web
//!           └── command.start                           of one command
//! ```
//! No controller is enabled for them: a group with controllers for its children must not contain processes
//! (cgroups(7), "no internal processes"), and the daemon is in the top one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bellwether_core::id::{CommandName, ModuleName};
use rustix::fs::{Access, access};

const MODULE: &str = "module.";
const COMMAND: &str = "command.";
/// Lists the processes in a group.
const PROCESSES: &str = "cgroup.procs";
/// Sends SIGKILL to all of them at once, since Linux 5.14.
const KILL: &str = "cgroup.kill";
/// An application may create groups inside its own. Deeper ones are left to it.
const MAX_DEPTH: usize = 16;
/// How often creating a group is retried if it is removed immediately.
const MAX_TRIES: usize = 3;

/// The control groups of one root.
#[derive(Debug, Clone)]
pub struct ControlGroups {
    folder: PathBuf,
    name: String,
    /// The mount point of the control group file system, from `/proc/self/mountinfo`.
    mounts: String,
}

/// The group of one command.
#[derive(Debug, Clone)]
pub struct ControlGroup(PathBuf);

impl ControlGroups {
    /// Below the group of this process, for the root with this name; `None` if the system has no control groups of
    /// version 2, or none that this process may write.
    pub fn find(root: &str) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mounts: Vec<&str> = mounts.lines().filter(|line| line.contains(" - cgroup2 ")).collect();
        let mounts = mounts.join("\n");
        let folder = folder(path_of(&own)?, &mounts)?;
        Some(Self { mounts, ..Self::below(folder, root)? })
    }

    /// Below the group with this folder.
    fn below(folder: PathBuf, root: &str) -> Option<Self> {
        access(folder.join(PROCESSES), Access::WRITE_OK).ok()?;
        access(&folder, Access::WRITE_OK).ok()?;
        Some(Self { folder, name: name_of(root), mounts: String::new() })
    }

    /// The command that a process belongs to according to its control group (`/proc/PID/cgroup`), if it is one of
    /// this root. A group counts only if it belongs to this user: in a part of the tree that is delegated to
    /// another user, that user can create groups of any name.
    pub fn command_of(&self, control_groups: &str) -> Option<(ModuleName, CommandName)> {
        let (command, path) = named(control_groups, &self.name)?;
        let owner = fs::metadata(folder(&path, &self.mounts)?).ok()?.uid();
        (owner == rustix::process::geteuid().as_raw()).then_some(command)
    }

    /// The group of this command, whether it exists or not.
    pub fn group(&self, module: &ModuleName, command: &CommandName) -> ControlGroup {
        let module = format!("{MODULE}{module}");
        ControlGroup(self.folder.join(&self.name).join(module).join(format!("{COMMAND}{command}")))
    }
}

impl ControlGroup {
    /// Moves a process into the group, with everything that it will start.
    pub fn enter(&self, pid: u32) -> io::Result<()> {
        let mut tries = 0;
        loop {
            fs::create_dir_all(&self.0)?;
            match fs::write(self.0.join(PROCESSES), pid.to_string()) {
                // Another process found the group empty in between, and removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MAX_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// Sends SIGKILL to all processes in the group, including those that are just being started. Does nothing if
    /// this process is one of them.
    pub fn kill(&self) -> io::Result<()> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let within = self.within();
        if path_of(&own).is_some_and(|own| Path::new(own).ancestors().any(|group| group.ends_with(&within))) {
            return Ok(());
        }
        match fs::write(self.0.join(KILL), "1") {
            // The group does not exist, or the kernel is older.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Removes the group, unless it contains a process.
    pub fn remove(&self) {
        if remove_tree(&self.0, MAX_DEPTH).is_ok() {
            // Its parents are removed only if this was the last group in them.
            for folder in self.0.ancestors().skip(1).take(2) {
                if fs::remove_dir(folder).is_err() {
                    return;
                }
            }
        }
    }

    /// The part of its path that does not depend on where this daemon runs.
    fn within(&self) -> PathBuf {
        self.0.components().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect()
    }
}

/// The kernel's files in a group cannot be removed, groups can.
fn remove_tree(folder: &Path, depth: usize) -> io::Result<()> {
    if let Some(depth) = depth.checked_sub(1) {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                remove_tree(&entry.path(), depth)?;
            }
        }
    }
    fs::remove_dir(folder)
}

fn name_of(root: &str) -> String {
    format!("bellwether.{root}")
}

/// The command that a group below the group `name` is named after, and the path of its group.
fn named(control_groups: &str, name: &str) -> Option<((ModuleName, CommandName), String)> {
    // Most processes are in none of these groups, and each process is checked in every scan.
    let path = path_of(control_groups).filter(|path| path.contains(name))?;
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| *part == name)?;
    let module = parts.get(at + 1)?.strip_prefix(MODULE)?;
    let command = parts.get(at + 2)?.strip_prefix(COMMAND)?;
    let command = (ModuleName::new(module).ok()?, CommandName::new(command).ok()?);
    Some((command, parts.get(..at + 3)?.join("/")))
}

/// The path of the single group of version 2, from the root of these groups.
fn path_of(control_groups: &str) -> Option<&str> {
    control_groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The folder of a group, where its file system is mounted. `None` if only a part is mounted that does not contain
/// the group.
fn folder(path: &str, mount_info: &str) -> Option<PathBuf> {
    mount_info.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        file_system.starts_with("cgroup2 ").then_some(())?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests;
