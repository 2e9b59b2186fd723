//! Starts a declared command.
//!
//! By `posix_spawn` (std uses it as long as nothing asks for more, such as a
//! `pre_exec` closure or another user): its cost does not grow with the memory
//! of the daemon, as that of a fork does.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};
use bellwether_core::id::{CommandName, ModuleName, NodeName};

use crate::config::host_files::{PROGRAM_PATH, program_file};
use crate::config::spec::CommandSpec;
use crate::process::pidfd::PidFd;

/// What is the same for all commands.
#[derive(Debug, Clone)]
pub struct Home {
    /// The daemon's folder: programs and folders that are not absolute are relative to it.
    pub root: PathBuf,
    /// This node's name.
    pub node: NodeName,
}

/// Which command to start.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// Of which module.
    pub module: &'a ModuleName,
    /// Its name.
    pub command: &'a CommandName,
    /// As it was declared.
    pub spec: &'a CommandSpec,
    /// Added behind the declared arguments.
    pub arguments: &'a [String],
}

/// What a command reads and where its outputs go. It gets no other descriptor:
/// whatever the daemon opens is closed in its children (`O_CLOEXEC`).
#[derive(Debug)]
pub struct Streams {
    /// What it reads.
    pub stdin: Stdio,
    /// Its standard output.
    pub stdout: Stdio,
    /// Its standard error.
    pub stderr: Stdio,
}

impl Streams {
    /// Nothing to read, and both outputs to a file.
    pub fn to_log(log: File) -> io::Result<Self> {
        Ok(Self { stdin: Stdio::null(), stdout: log.try_clone()?.into(), stderr: log.into() })
    }
}

impl Home {
    /// Starts it as the leader of a process group of its own. Returns once the
    /// program itself runs. Whoever gets the handle has to
    /// [reap](PidFd::wait_status) the child.
    pub fn spawn(&self, launch: &Launch<'_>, streams: Streams) -> anyhow::Result<PidFd> {
        let Launch { module, command, spec, arguments } = launch;
        let (program, declared) =
            spec.run.split_first().ok_or_else(|| anyhow!("command `{command}` names no program"))?;
        let program = program_file(&self.root, program).ok_or_else(|| {
            anyhow!(
                "cannot start command `{command}`: there is no program `{program}` in {PROGRAM_PATH}: \
                 install it, or give its whole path"
            )
        })?;
        let dir = spec.dir.as_ref().map_or_else(|| self.root.clone(), |dir| self.root.join(dir));
        let variable = |name: &str, otherwise: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.into())
        };
        let mut child = Command::new(&program)
            .args(declared)
            .args(*arguments)
            .env_clear()
            .env("PATH", PROGRAM_PATH)
            .env("HOME", variable("HOME", "/"))
            .env("LANG", variable("LANG", "C.UTF-8"))
            .envs(&spec.env)
            .env("BELLWETHER_MODULE", module.as_str())
            .env("BELLWETHER_NODE", self.node.as_str())
            .current_dir(&dir)
            .process_group(0)
            .stdin(streams.stdin)
            .stdout(streams.stdout)
            .stderr(streams.stderr)
            .spawn()
            .map_err(|error| why_not_started(command, &program, &dir, &error))?;
        // Nobody else waits for our children, so this id is the child's, dead or alive.
        PidFd::of_child(&child).or_else(|error| {
            // What cannot be watched must not run. It has been our child for an instant only.
            let _ = child.kill().and_then(|()| child.wait());
            Err(error).with_context(|| format!("cannot hold the process of command `{command}`"))
        })
    }
}

/// The system's error names neither the file nor what to do.
fn why_not_started(command: &CommandName, program: &Path, dir: &Path, error: &io::Error) -> anyhow::Error {
    let (shown, file) = (program.display(), program.metadata());
    let reason = match error.kind() {
        io::ErrorKind::NotFound if !dir.is_dir() => {
            format!("its folder {} does not exist: create it, or change `dir`", dir.display())
        }
        io::ErrorKind::NotFound if file.is_err() => {
            format!("there is no program {shown}: give its whole path, as `command -v` shows it")
        }
        io::ErrorKind::NotFound => {
            format!("what {shown} needs to run (named in its first line) does not exist")
        }
        io::ErrorKind::PermissionDenied if file.is_ok_and(|file| file.is_dir()) => {
            format!("{shown} is a folder, not a program")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{shown} may not be executed by this user: see its mode (chmod +x)")
        }
        _ => format!("{shown}: {error}"),
    };
    anyhow!("cannot start command `{command}`: {reason}")
}

#[cfg(test)]
mod tests;
