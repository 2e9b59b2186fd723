//! Starts a declared command.
//!
//! By `posix_spawn` (std uses it as long as nothing asks for more, such as a
//! `pre_exec` closure or another user): its cost does not grow with the memory
//! of the daemon, as that of a fork does.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, anyhow};
use bellwether_core::id::{CommandName, ModuleName, NodeName};

use super::gate::{Gate, Launcher, Prepared, Staying, Waiting, When};
use super::log_file;
use super::mark;
use super::settings::{NotApplied, Settings};
use crate::exhaustion::Exhaustion;
use crate::process::account::Login;
use crate::process::open_files;
use crate::process::pidfd::PidFd;
use crate::process::table::MARK;
use crate::spawn::command::CommandSpec;
use crate::spawn::env_file;
use crate::spawn::program::{PROGRAM_PATH, program_file};

/// What is the same for all commands.
#[derive(Debug, Clone)]
pub struct Home {
    /// The daemon's folder: programs and folders that are not absolute are relative to it.
    pub root: PathBuf,
    /// This node's name.
    pub node: NodeName,
    /// What starts applications, and what runs as another user or within limits of its own.
    pub launcher: Launcher,
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
    pub(crate) fn to_log(log: File) -> io::Result<Self> {
        Ok(Self { stdin: Stdio::null(), stdout: log.try_clone()?.into(), stderr: log.into() })
    }

    /// Nothing to read, and both outputs to nobody.
    pub(crate) fn to_nobody() -> Self {
        Self { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null() }
    }
}

impl Home {
    /// Starts it as the leader of a process group of its own. Returns once the
    /// program itself runs. Whoever gets the handle has to
    /// [reap](PidFd::wait_status) the child.
    pub fn spawn(&self, launch: &Launch<'_>, streams: Streams) -> anyhow::Result<PidFd> {
        if launch.spec.execution.changes_the_process() {
            return self
                .start(launch, streams, (&self.launcher, When::Now), None, None)
                .map(|waiting| waiting.leader);
        }
        let waiting = self.start(launch, streams, (&Launcher::Nobody, When::Now), None, None)?;
        open_files::restore_in(&waiting.child);
        Ok(waiting.leader)
    }

    /// The same, and the process waits at the gate if there is a launcher. From then on it is the
    /// leader of a session of its own. All that comes from it carries the mark. `notify_socket` is where it
    /// says how it is.
    pub fn spawn_waiting(
        &self,
        launch: &Launch<'_>,
        streams: Streams,
        mark: Option<String>,
        notify_socket: Option<String>,
    ) -> anyhow::Result<Waiting> {
        self.start(launch, streams, (&self.launcher, When::Opened), mark, notify_socket)
    }

    fn start(
        &self,
        launch: &Launch<'_>,
        streams: Streams,
        (launcher, when): (&Launcher, When),
        mark: Option<String>,
        notify_socket: Option<String>,
    ) -> anyhow::Result<Waiting> {
        let Launch { command, spec, arguments, .. } = launch;
        let place = self.place(launch)?;
        let (settings, login) =
            Settings::of(&spec.execution).with_context(|| format!("cannot start command `{command}`"))?;
        let mut prepared = launcher
            .command(&place.program, &settings, when)
            .with_context(|| format!("cannot make a line to the process of command `{command}`"))?;
        if prepared.gate.is_none() {
            // What waits at the gate makes a session of its own instead, which a leader of a group cannot.
            prepared.command.stdin(streams.stdin).process_group(0);
        }
        prepared.command.env_clear();
        self.variables(launch, login.as_ref(), &mut prepared)?;
        if let Some(mark) = mark {
            // In plain sight also of a launcher: what it leaves without a mark is known by its own.
            prepared.command.env(MARK, mark);
        }
        if let Some(socket) = notify_socket {
            prepared.variable("NOTIFY_SOCKET", socket);
            if let Some(watchdog) = spec.execution.notifies.and_then(|notifies| notifies.watchdog) {
                prepared.variable("WATCHDOG_USEC", watchdog.as_micros().to_string());
            }
        }
        let Prepared { command: mut prepared, gate, .. } = prepared;
        let mut child = prepared
            .args(place.declared)
            .args(*arguments)
            .current_dir(&place.dir)
            .stdout(streams.stdout)
            .stderr(streams.stderr)
            .spawn()
            .map_err(|error| place.why_not_started(command, &error))?;
        if spec.execution.oom_score.is_none() {
            as_likely_to_be_killed_as_others(child.id());
        }
        // Its end of the line is its own from here on, so that the end of it is seen.
        drop(prepared);
        // Nobody else waits for our children, so this id is the child's, dead or alive.
        match PidFd::of_child(&child) {
            Ok(leader) => Ok(Waiting { leader, child, gate }),
            Err(error) => {
                // What cannot be watched must not run. It has been our child for an instant only.
                let _ = child.kill().and_then(|()| child.wait());
                Err(error).with_context(|| format!("cannot hold the process of command `{command}`"))
            }
        }
    }

    /// The whole environment; what comes later takes the place of what was there.
    fn variables(
        &self,
        launch: &Launch<'_>,
        login: Option<&Login>,
        prepared: &mut Prepared,
    ) -> anyhow::Result<()> {
        let Launch { module, command, spec, .. } = launch;
        let own = |name: &str, otherwise: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.into())
        };
        prepared.variable("PATH", PROGRAM_PATH);
        prepared.variable("HOME", own("HOME", "/"));
        prepared.variable("LANG", own("LANG", "C.UTF-8"));
        if let Some(Login { name, home, shell }) = login {
            for (variable, value) in [("HOME", home), ("LOGNAME", name), ("SHELL", shell), ("USER", name)] {
                prepared.variable(variable, value);
            }
        }
        for (name, value) in &spec.env {
            prepared.variable(name, value);
        }
        if let Some(file) = &spec.execution.env_file {
            let file = self.root.join(file);
            let variables = env_file::read(&file).with_context(|| {
                format!("cannot start command `{command}`: its env-file {}", file.display())
            })?;
            for (name, value) in variables {
                prepared.variable(name, value);
            }
        }
        prepared.variable("BELLWETHER_MODULE", module.as_str());
        prepared.variable("BELLWETHER_NODE", self.node.as_str());
        if spec.keep {
            // In plain sight also of what waits still.
            prepared.command.env(mark::NAME, mark::value(&self.root, module, command));
        }
        Ok(())
    }

    /// Lets what waits become its program.
    pub fn let_through(&self, launch: &Launch<'_>, waiting: Waiting) -> anyhow::Result<PidFd> {
        let Waiting { leader, child, gate } = waiting;
        match gate.map(Gate::open).transpose() {
            Ok(_) => Ok(leader),
            Err(not_applied) => Err(self.why_not_let_through(launch, child, not_applied)),
        }
    }

    /// Lets what waits start its program, and stay until [that has ended](Staying::ended). Without a launcher nobody
    /// stays.
    pub fn let_through_to_stay(
        &self,
        launch: &Launch<'_>,
        waiting: Waiting,
    ) -> anyhow::Result<(PidFd, Option<Staying>)> {
        let Waiting { leader, child, gate } = waiting;
        match gate.map(Gate::open_to_stay).transpose() {
            Ok(staying) => Ok((leader, staying)),
            Err(not_applied) => Err(self.why_not_let_through(launch, child, not_applied)),
        }
    }

    fn why_not_let_through(
        &self,
        launch: &Launch<'_>,
        mut child: Child,
        NotApplied { doing, error }: NotApplied,
    ) -> anyhow::Error {
        // It ends by itself, now that it has said why.
        let _ = child.wait();
        if !doing.is_empty() {
            return anyhow!("cannot start command `{}`: cannot {doing}: {error}", launch.command);
        }
        match self.place(launch) {
            Ok(place) => place.why_not_started(launch.command, &error),
            Err(error) => error,
        }
    }

    /// Nothing to read, both outputs to the command's log, and how long that is already. An
    /// application without a log is better than none.
    pub fn streams(
        &self,
        module: &ModuleName,
        command: &CommandName,
    ) -> anyhow::Result<(Streams, Option<u64>)> {
        let opened = log_file::open(&self.root, module, command);
        let lacking = opened.as_ref().err().and_then(Exhaustion::of);
        match (opened, lacking) {
            (Err(error), Some(Exhaustion::Disk | Exhaustion::ReadOnly)) => {
                tracing::error!(%module, %command, %error, "no log file can be made: the output is lost");
                Ok((Streams::to_nobody(), None))
            }
            (opened, _) => {
                let log =
                    opened.with_context(|| format!("cannot open the log file of command `{command}`"))?;
                let before = log.metadata().context("cannot read the size of a log file")?.len();
                Ok((Streams::to_log(log).context("cannot share the log file")?, Some(before)))
            }
        }
    }

    fn place<'a>(&self, launch: &Launch<'a>) -> anyhow::Result<Place<'a>> {
        let Launch { command, spec, .. } = launch;
        let (program, declared) =
            spec.run.split_first().ok_or_else(|| anyhow!("command `{command}` names no program"))?;
        let program = program_file(&self.root, program).ok_or_else(|| {
            anyhow!(
                "cannot start command `{command}`: there is no program `{program}` in {PROGRAM_PATH}: \
                 install it, or give its whole path"
            )
        })?;
        let dir = spec.dir.as_ref().map_or_else(|| self.root.clone(), |dir| self.root.join(dir));
        Ok(Place { program, declared, dir })
    }
}

/// The service manager protects the daemon from the kernel's search for memory
/// (`OOMScoreAdjust`), and children inherit that. An application is no such exception.
fn as_likely_to_be_killed_as_others(pid: u32) {
    let protected = std::fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|own| own.starts_with('-'));
    // One that has ended already needs nothing.
    if protected && let Err(error) = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "0") {
        tracing::debug!(%error, pid, "a child stays protected from the kernel's search for memory");
    }
}

/// Where a command and its program are.
struct Place<'a> {
    program: PathBuf,
    declared: &'a [String],
    dir: PathBuf,
}

impl Place<'_> {
    /// The system's error names neither the file nor what to do.
    fn why_not_started(&self, command: &CommandName, error: &io::Error) -> anyhow::Error {
        let what = format!("cannot start command `{command}`");
        if let Some(shortage) = Exhaustion::of_start(error) {
            return anyhow::Error::new(shortage).context(what);
        }
        let (shown, file) = (self.program.display(), self.program.metadata());
        let reason = match error.kind() {
            io::ErrorKind::NotFound if !self.dir.is_dir() => {
                format!("its folder {} does not exist: create it, or change `dir`", self.dir.display())
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
        anyhow!("{what}: {reason}")
    }
}

#[cfg(test)]
mod tests;
