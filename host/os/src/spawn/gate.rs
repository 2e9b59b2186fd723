//! The gate between a process and the program that it executes.
//!
//! ```text
//!   daemon                               launcher (this very program)
//!   start ─────────────────────────────▶ waits at the gate
//!   writes down which process it is
//!   opens the gate ────────────────────▶ becomes the application (same process id)
//!   knows that it runs ◀── end of line ──┘ or cannot: says why, and ends
//!
//!   dies before it has written ── end of line ──▶ ends, and nothing was started
//! ```
//! A command that starts an application in the background needs a second launcher. The first launcher stays, as the
//! parent that the system assigns to the processes that the command leaves, and the second launcher executes the
//! command:
//!
//! ```text
//!   opens the gate ────────────────────▶ starts the command
//!   knows that it runs ◀────────────────┘ or cannot: says why, and ends
//!                      ◀──────────────── the command has ended
//!   looks whose children there are ────▶ ends as the command did
//! ```
//! The daemon can be killed between any two instructions. If the application were started first and recorded
//! afterwards, a daemon that is killed in between would leave an application behind that the next daemon does not
//! know and would start a second time. With the gate, a process that is not recorded never becomes the application.
//!
//! The launcher applies the declared user and limits to itself, and reports what it cannot apply. A command that
//! runs to completion and has such settings has a launcher as well, which does not wait.
//!
//! A launcher has the rights of the daemon, and the application's variables may name files that the application's
//! own user writes (`LD_LIBRARY_PATH`). Therefore they are hidden behind a prefix until it executes the
//! application.
//!
//! The cost is one more `exec`. Alternatives that were considered: a mark in the environment, which the next daemon
//! searches for in `/proc`, costs less, but programs that set their title overwrite it (it exists in addition, see
//! [`mark`]); and to stop the process between fork and exec needs a `fork`, whose cost grows with the daemon's
//! memory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{
    Resource, Rlimit, Signal, getpid, kill_process, set_child_subreaper, setrlimit, setsid,
};
use rustix::stdio::{dup2_stdin, stdin};
use tokio::io::AsyncReadExt as _;

use super::mark;
use super::program::this_program;
use super::settings::{NotApplied, Settings};
use crate::at_most;
use crate::process::pidfd::PidFd;
use crate::process::table::MARK;

/// How a process is started and held at the gate.
#[derive(Debug, Clone, Default)]
pub enum Launcher {
    /// No launcher: programs are started immediately. For tests and benches, whose own program is not a launcher.
    #[default]
    Nobody,
    /// This program, called with these arguments, calls [`wait_and_become`].
    Child {
        program: PathBuf,
        /// The argument that selects this mode.
        argument: &'static str,
    },
}

/// Opens the gate: the launcher executes the program.
const BECOME: [u8; 1] = *b"!";
/// Opens the gate: the launcher starts the program, and stays until that has ended and the daemon has scanned the
/// processes.
const STAY: [u8; 1] = *b"+";
/// Sent by a launcher that stays, instead of an error of `exec`: the program runs.
const RUNS: [u8; 4] = [0; 4];
/// Sent after that: the program has ended.
const ENDED: [u8; 4] = [0xff; 4];
/// The time limit for a program on a disk that does not respond. It may still start later.
const BECOMES_WITHIN: Duration = at_most!(Duration::from_secs(3));
/// The daemon scans all processes within this time; after that a launcher that stays is not seen.
const LOOKS_WITHIN: Duration = at_most!(Duration::from_secs(3));
/// The prefix of the names of the program's variables.
const HIDDEN: &[u8] = b"BELLWETHER_FOR_IT_";
/// The maximum length of a launcher's message, in bytes.
const MAX_WORDS: u64 = 1000;

/// When a launcher executes its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Immediately. Errors are reported on its standard error.
    Now,
    /// Immediately. Errors are reported on its standard input, a connection to its parent.
    Told,
    /// When the gate is opened.
    Opened,
}

impl When {
    fn word(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Told => "told",
            Self::Opened => "opened",
        }
    }
}

/// A command to be started, and its connection to the gate.
#[derive(Debug)]
pub struct Prepared {
    pub(super) command: Command,
    /// The daemon's side of the gate, if the process waits at one.
    pub(super) gate: Option<Gate>,
    is_launcher: bool,
}

impl Prepared {
    /// Adds a variable for the program.
    pub(super) fn variable(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        if self.is_launcher {
            self.command.env(OsString::from_vec([HIDDEN, name.as_ref().as_bytes()].concat()), value);
        } else {
            self.command.env(name, value);
        }
    }
}

impl Launcher {
    /// This program itself, called with `argument` first.
    pub fn child_of_this_program(argument: &'static str) -> Self {
        // Not the path of the file: after an upgrade in place there is another program.
        Self::Child { program: this_program(), argument }
    }

    /// The command that executes `program`.
    pub(super) fn command(
        &self,
        program: &std::path::Path,
        settings: &Settings,
        when: When,
    ) -> io::Result<Prepared> {
        let Self::Child { program: launcher, argument } = self else {
            return Ok(Prepared { command: Command::new(program), gate: None, is_launcher: false });
        };
        let mut command = Command::new(launcher);
        command.arg(argument).arg(when.word()).arg(settings.argument()?).arg(program);
        let gate = match when {
            When::Now | When::Told => None,
            When::Opened => {
                let (ours, theirs) = UnixStream::pair()?;
                ours.set_read_timeout(Some(BECOMES_WITHIN))?;
                command.stdin(OwnedFd::from(theirs));
                Some(Gate(ours))
            }
        };
        Ok(Prepared { command, gate, is_launcher: true })
    }

    /// Whether a process with this command line is still waiting at the gate.
    pub fn is_waiting(&self, command_line: &[u8]) -> bool {
        match self {
            Self::Nobody => false,
            Self::Child { argument, .. } => {
                command_line.split(|byte| *byte == 0).nth(1) == Some(argument.as_bytes())
            }
        }
    }
}

/// The daemon's side. If it is dropped, the program is not started.
#[derive(Debug)]
pub struct Gate(UnixStream);

impl Gate {
    /// Lets the process execute its program. An error names the failed operation, which is empty if it was `exec`
    /// itself.
    pub(super) fn open(mut self) -> Result<(), NotApplied> {
        self.send(BECOME)
    }

    /// Lets the process start its program, and stay. Errors are as for [`open`](Self::open).
    pub(super) fn open_to_stay(mut self) -> Result<Staying, NotApplied> {
        self.send(STAY).map(|()| Staying(self.0))
    }

    fn send(&mut self, word: [u8; 1]) -> Result<(), NotApplied> {
        // A process that has already ended is reported by its end.
        let _ = self.0.write_all(&word);
        // End of file: its descriptor was closed when it executed the program. If it takes too long, it may still
        // do so, and its end will be noticed.
        hear(&mut self.0).map_or(Ok(()), Err)
    }
}

/// The failed operation that the other end of a connection reports. `None` if it runs, or reports nothing.
fn hear(line: &mut UnixStream) -> Option<NotApplied> {
    let mut errno = [0; 4];
    line.read_exact(&mut errno).ok()?;
    if errno == RUNS {
        return None;
    }
    let mut doing = Vec::new();
    // It exits once it has reported the error.
    let _ = line.take(MAX_WORDS).read_to_end(&mut doing);
    let doing = String::from_utf8_lossy(&doing).into_owned();
    Some(NotApplied { doing, error: io::Error::from_raw_os_error(i32::from_le_bytes(errno)) })
}

fn say(line: &mut impl io::Write, NotApplied { doing, error }: &NotApplied) {
    let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
    // A launcher that has ended does not receive it, and need not.
    let _ = line.write_all(&[&errno.to_le_bytes(), doing.as_bytes()].concat());
}

/// The connection to a launcher that stays. When it is dropped, the launcher exits the way its command ended.
#[derive(Debug)]
pub struct Staying(UnixStream);

impl Staying {
    /// Returns when the command has ended and its launcher waits, or when the launcher has ended, too. Must be
    /// called in a tokio runtime.
    pub async fn ended(&mut self) -> io::Result<()> {
        let line = self.0.try_clone()?;
        line.set_nonblocking(true)?;
        let mut line = tokio::net::UnixStream::from_std(line)?;
        let mut word = RUNS;
        // On a slow disk it is reported late that the program runs. End of file means that the launcher has ended.
        while word == RUNS && line.read_exact(&mut word).await.is_ok() {}
        Ok(())
    }
}

/// A process that waits at the gate, or one that runs.
#[derive(Debug)]
pub struct Waiting {
    pub leader: PidFd,
    pub child: Child,
    pub gate: Option<Gate>,
}

const USAGE: u8 = 2;
const CANNOT: u8 = 127;

/// The launcher's part: when, the settings, the program and its arguments. Returns the exit code, and only if it
/// cannot or must not execute the program.
pub fn wait_and_become(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let (Some(when), Some(given), Some(program)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return USAGE;
    };
    let Some(settings) = Settings::from_argument(&given) else { return USAGE };
    if when == When::Now.word() {
        let NotApplied { doing, error } = become_it(&settings, &program, arguments);
        // Its standard error is the command's log.
        let doing = if doing.is_empty() { format!("run {}", program.display()) } else { doing };
        let _ = writeln!(io::stderr(), "cannot {doing}: {error}");
        return CANNOT;
    }
    if when == When::Opened.word() {
        // In the daemon's session the group would be orphaned when the daemon dies, and the kernel sends SIGHUP to
        // an orphaned group that has a stopped process (setpgid(2), "orphaned process group"). EPERM: it already
        // leads a group.
        let _ = setsid();
    }
    let Ok(line) = fcntl_dupfd_cloexec(stdin(), 3) else { return CANNOT };
    let mut line = UnixStream::from(line);
    if when == When::Opened.word() {
        let mut word = [0];
        // End of file: the daemon has ended, so no daemon knows about this process.
        if line.read_exact(&mut word).is_err() || ![BECOME, STAY].contains(&word) {
            return 0;
        }
        if word == STAY {
            return start_and_stay(&given, &program, arguments, line).unwrap_or(CANNOT);
        }
    }
    let nothing_to_read = || dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from);
    let not_applied = match nothing_to_read() {
        Ok(()) => become_it(&settings, &program, arguments),
        Err(error) => NotApplied { doing: "read from /dev/null".to_owned(), error },
    };
    say(&mut line, &not_applied);
    CANNOT
}

/// Starts a launcher that executes the command, waits for its end and for the daemon's scan, and exits the same
/// way: returns the exit code. This process keeps the rights of the daemon, and its own group.
fn start_and_stay(
    settings: &OsStr,
    program: &OsStr,
    arguments: impl Iterator<Item = OsString>,
    mut line: UnixStream,
) -> io::Result<u8> {
    // Processes that the command leaves are reparented to this process, and not to the first one.
    let _ = set_child_subreaper(Some(getpid()));
    let started = || -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let launcher = std::env::args_os().nth(1).unwrap_or_default();
        let mut command = Command::new(this_program());
        command.arg(launcher).arg(When::Told.word()).arg(settings).arg(program).args(arguments);
        // Only the child has its end of the connection once this closure has returned.
        Ok((command.stdin(OwnedFd::from(theirs)).spawn()?, ours))
    };
    let (mut child, mut from_child) = match started() {
        Ok(started) => started,
        Err(error) => {
            say(&mut line, &NotApplied { doing: "start a launcher".to_owned(), error });
            return Ok(CANNOT);
        }
    };
    if let Some(not_applied) = hear(&mut from_child) {
        say(&mut line, &not_applied);
        child.wait()?;
        return Ok(CANNOT);
    }
    // A daemon that has ended neither receives it nor scans.
    let _ = line.write_all(&RUNS);
    let status = child.wait()?;
    let _ = line.write_all(&ENDED);
    line.set_read_timeout(Some(LOOKS_WITHIN))?;
    let _ = line.read(&mut [0]);
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        // The command has written its core file, if allowed; this process need not write another one.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        kill_process(getpid(), signal)?;
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Returns only if it fails. The name of the failed operation is empty if that was `exec` itself.
fn become_it(settings: &Settings, program: &OsStr, arguments: impl Iterator<Item = OsString>) -> NotApplied {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.as_bytes().strip_prefix(HIDDEN)?;
        Some((OsString::from_vec(name.to_vec()), value))
    });
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables).stdin(Stdio::inherit());
    if let Some(mark) = std::env::var_os(mark::NAME) {
        command.env(mark::NAME, mark).env(mark::PID, std::process::id().to_string());
    }
    if let Some(mark) = std::env::var_os(MARK) {
        command.env(MARK, mark);
    }
    match settings.apply() {
        Err(not_applied) => not_applied,
        Ok(()) => NotApplied { doing: String::new(), error: command.exec() },
    }
}
