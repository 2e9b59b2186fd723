//! Starts a declared command.
//!
//! With `posix_spawn` (std uses it as long as nothing else is needed, such as a `pre_exec` closure or another
//! user): its cost does not grow with the memory of the daemon, unlike that of a fork.

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

/// The settings that are the same for all commands.
#[derive(Debug, Clone)]
pub struct Home {
    /// The daemon's folder: relative paths of programs and folders are relative to it.
    pub root: PathBuf,
    pub node: NodeName,
    /// How to start applications, and commands that run as another user or with their own limits.
    pub launcher: Launcher,
}

/// Which command to start.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The module that declares it.
    pub module: &'a ModuleName,
    pub command: &'a CommandName,
    pub spec: &'a CommandSpec,
    /// Added after the declared arguments.
    pub arguments: &'a [String],
}

/// The standard streams of a command. It gets no other descriptor: whatever the daemon opens is closed in its
/// children (`O_CLOEXEC`).
#[derive(Debug)]
pub struct Streams {
    pub stdin: Stdio,
    pub stdout: Stdio,
    pub stderr: Stdio,
}

impl Streams {
    /// No input, and both outputs to a file.
    pub(crate) fn to_log(log: File) -> io::Result<Self> {
        Ok(Self { stdin: Stdio::null(), stdout: log.try_clone()?.into(), stderr: log.into() })
    }

    /// No input, and both outputs discarded.
    pub(crate) fn to_nobody() -> Self {
        Self { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null() }
    }
}

impl Home {
    /// Starts it as the leader of its own process group. Returns once the program itself runs. The caller must
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

    /// The same, and the process waits at the gate if there is a launcher. From then on it is the leader of its own
    /// session. Everything that comes from it carries the mark. `notify_socket` is the address for its
    /// `sd_notify(3)` messages.
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
            // A process that waits at the gate creates its own session instead, which the leader of a group cannot
            // do.
            prepared.command.stdin(streams.stdin).process_group(0);
        }
        prepared.command.env_clear();
        self.variables(launch, login.as_ref(), &mut prepared)?;
        if let Some(mark) = mark {
            // Also for a launcher: a process that it leaves without a mark is identified by the launcher's mark.
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
        // From here on only the child has its end of the connection, so that the daemon sees when it is closed.
        drop(prepared);
        // No other code waits for our children, so this id belongs to the child, dead or alive.
        match PidFd::of_child(&child) {
            Ok(leader) => Ok(Waiting { leader, child, gate }),
            Err(error) => {
                // A process that cannot be monitored must not run. It has been our child for an instant only.
                let _ = child.kill().and_then(|()| child.wait());
                Err(error).with_context(|| format!("cannot hold the process of command `{command}`"))
            }
        }
    }

    /// The whole environment; later variables replace earlier ones.
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
            // Visible while the process is still waiting, too.
            prepared.command.env(mark::NAME, mark::value(&self.root, module, command));
        }
        Ok(())
    }

    /// Lets a waiting process execute its program.
    pub fn let_through(&self, launch: &Launch<'_>, waiting: Waiting) -> anyhow::Result<PidFd> {
        let Waiting { leader, child, gate } = waiting;
        match gate.map(Gate::open).transpose() {
            Ok(_) => Ok(leader),
            Err(not_applied) => Err(self.why_not_let_through(launch, child, not_applied)),
        }
    }

    /// Lets a waiting process start its program, and stay until [that has ended](Staying::ended). Without a
    /// launcher no process stays.
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
        // It exits by itself, now that it has reported the error.
        let _ = child.wait();
        if !doing.is_empty() {
            return anyhow!("cannot start command `{}`: cannot {doing}: {error}", launch.command);
        }
        match self.place(launch) {
            Ok(place) => place.why_not_started(launch.command, &error),
            Err(error) => error,
        }
    }

    /// No input, both outputs to the command's log, and the present length of the log. An application without a log
    /// is better than none.
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

    fn place<'a>(&self, launch: &Launch<'a>) -> anyhow::Result<CommandPaths<'a>> {
        let Launch { command, spec, .. } = launch;
        let (program, declared) =
            spec.run.split_first().ok_or_else(|| anyhow!("command `{command}` names no program"))?;
        let program = program_file(&self.root, program).ok_or_else(|| {
            anyhow!(
                "cannot start command `{command}`: there is no program `{program}` in {PROGRAM_PATH}: \
                 install it, or give its full path"
            )
        })?;
        let dir = spec.dir.as_ref().map_or_else(|| self.root.clone(), |dir| self.root.join(dir));
        Ok(CommandPaths { program, declared, dir })
    }
}

/// The service manager protects the daemon from the kernel's out-of-memory killer (`OOMScoreAdjust`), and children
/// inherit that. An application must not have this protection.
fn as_likely_to_be_killed_as_others(pid: u32) {
    let protected = std::fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|own| own.starts_with('-'));
    // An error: it has ended already.
    if protected && let Err(error) = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "0") {
        tracing::debug!(%error, pid, "a child stays protected from the kernel's search for memory");
    }
}

/// The paths of a command and its program.
struct CommandPaths<'a> {
    program: PathBuf,
    declared: &'a [String],
    dir: PathBuf,
}

impl CommandPaths<'_> {
    /// The system's error names neither the file nor a remedy.
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
                format!("there is no program {shown}: give its full path, as `command -v` shows it")
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
