//! Control groups of version 2 (cgroups(7)): whatever a process starts is in its group, and only a privileged process
//! can leave it. So the group says who belongs to a command, whatever has become of sessions and parents.
//!
//! ```text
//!   /sys/fs/cgroup/system.slice/bellwether.service      the daemon's own
//!   └── bellwether.0123456789abcdef                     of one root
//!       └── module.web
//!           └── command.start                           of one command
//! ```
//! No controller is enabled for them: a group with controllers for its children must have no process of its own
//! (cgroups(7), "no internal processes"), and the daemon is in the first one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bellwether_core::id::{CommandName, ModuleName};
use rustix::fs::{Access, access};

const MODULE: &str = "module.";
const COMMAND: &str = "command.";
/// The file of the processes in a group.
const PROCESSES: &str = "cgroup.procs";
/// SIGKILL for all of them at once, since Linux 5.14.
const KILL: &str = "cgroup.kill";
/// An application may make groups in its own. Deeper ones are left to it.
const MAX_DEPTH: usize = 16;
/// How often a group is made that is taken away as soon as it is there.
const MAX_TRIES: usize = 3;

/// The groups of one root.
#[derive(Debug, Clone)]
pub struct ControlGroups {
    folder: PathBuf,
    name: String,
    /// Where the file system of groups is mounted, as `/proc/self/mountinfo` has it.
    mounts: String,
}

/// The group of one command.
#[derive(Debug, Clone)]
pub struct ControlGroup(PathBuf);

impl ControlGroups {
    /// Below the group of this process, for the root with this name; `None` where the system has no control groups of
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

    /// The command that a process belongs to by its control group (`/proc/PID/cgroup`), if it is one of this root. A group
    /// counts only if it is this user's: in a part of the tree that was left to another user, that user may make groups of
    /// any name.
    pub fn command_of(&self, control_groups: &str) -> Option<(ModuleName, CommandName)> {
        let (command, path) = named(control_groups, &self.name)?;
        let owner = fs::metadata(folder(&path, &self.mounts)?).ok()?.uid();
        (owner == rustix::process::geteuid().as_raw()).then_some(command)
    }

    /// The group of this command, whether it is there or not.
    pub fn group(&self, module: &ModuleName, command: &CommandName) -> ControlGroup {
        let module = format!("{MODULE}{module}");
        ControlGroup(self.folder.join(&self.name).join(module).join(format!("{COMMAND}{command}")))
    }
}

impl ControlGroup {
    /// Puts a process there, with all that it will start.
    pub fn enter(&self, pid: u32) -> io::Result<()> {
        let mut tries = 0;
        loop {
            fs::create_dir_all(&self.0)?;
            match fs::write(self.0.join(PROCESSES), pid.to_string()) {
                // Somebody has found it empty in between, and taken it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MAX_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// SIGKILL for all in there, also for what they are just starting. Not if this process is one of them.
    pub fn kill(&self) -> io::Result<()> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let within = self.within();
        if path_of(&own).is_some_and(|own| Path::new(own).ancestors().any(|group| group.ends_with(&within))) {
            return Ok(());
        }
        match fs::write(self.0.join(KILL), "1") {
            // Nothing is there, or the kernel is older.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Takes the group away, unless somebody is in there.
    pub fn remove(&self) {
        if remove_tree(&self.0, MAX_DEPTH).is_ok() {
            // Those above it only if it was the last one in there.
            for folder in self.0.ancestors().skip(1).take(2) {
                if fs::remove_dir(folder).is_err() {
                    return;
                }
            }
        }
    }

    /// The part of its path that is the same wherever this daemon is.
    fn within(&self) -> PathBuf {
        self.0.components().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect()
    }
}

/// Files of the kernel are not removed, groups are.
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

/// The command that a group is named for below the group `name`, and the path of its group.
fn named(control_groups: &str, name: &str) -> Option<((ModuleName, CommandName), String)> {
    // Most processes are in none of them, and each is asked about at every look.
    let path = path_of(control_groups).filter(|path| path.contains(name))?;
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| *part == name)?;
    let module = parts.get(at + 1)?.strip_prefix(MODULE)?;
    let command = parts.get(at + 2)?.strip_prefix(COMMAND)?;
    let command = (ModuleName::new(module).ok()?, CommandName::new(command).ok()?);
    Some((command, parts.get(..at + 3)?.join("/")))
}

/// The path of the one group of version 2, from the root of these groups on.
fn path_of(control_groups: &str) -> Option<&str> {
    control_groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The folder of a group, where its file system is mounted. Not if a part of it is mounted that the group is not in.
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
