//! The gate between a process and the program that it is to be.
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
//! A command that starts an application in the background is looked at once more. Its launcher stays, as the parent that
//! the system gives to what the command leaves:
//!
//! ```text
//!   opens the gate ────────────────────▶ starts the command
//!   knows that it runs ◀────────────────┘ or cannot: says why, and ends
//!                      ◀──────────────── the command has ended
//!   looks whose children there are ────▶ ends as the command did
//! ```
//!
//! A daemon may be killed between any two instructions. Were the application
//! started first and written down then, one that is killed in between would leave
//! an application behind that the next daemon knows nothing of, and would start a
//! second time. Here a process that is not written down never becomes the
//! application.
//!
//! The price is one more `exec`. What was looked at instead: a mark in the
//! environment, to be searched for in `/proc` by the next daemon, costs less, but
//! programs that set their title overwrite it (it is there besides, see [`mark`]); and to stop the process between
//! fork and exec needs a `fork`, whose cost grows with the daemon's memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Signal, getpid, kill_process, set_child_subreaper, setsid};
use rustix::stdio::{dup2_stdin, stdin};
use tokio::io::AsyncReadExt as _;

use super::kept::mark;
use crate::patience::at_most;
use crate::process::open_files;
use crate::process::pidfd::PidFd;

/// Who waits at the gate.
#[derive(Debug, Clone, Default)]
pub enum Launcher {
    /// Nobody: programs are started at once. For tests and benches, whose own program is no launcher.
    #[default]
    Nobody,
    /// This program, called with these arguments, calls [`wait_and_become`].
    Child {
        /// The program.
        program: PathBuf,
        /// What makes it do so.
        argument: &'static str,
    },
}

/// Opens the gate: the launcher becomes the program.
const BECOME: [u8; 1] = *b"!";
/// Opens the gate: the launcher starts the program, and stays until that has ended and the daemon has looked.
const STAY: [u8; 1] = *b"+";
/// In the place of an error of `exec`: it runs, and then: it has ended.
const WELL: [u8; 4] = [0; 4];
/// A program on a disk that does not answer is waited for this long. It may come yet.
const BECOMES_WITHIN: Duration = at_most(Duration::from_secs(3));
/// Where [`Launcher::Child`] gets no limit to set.
const NO_LIMIT: &str = "-";
/// The daemon looks at all processes within this time; a launcher that stays is not seen longer.
const LOOKS_WITHIN: Duration = at_most(Duration::from_secs(3));

impl Launcher {
    /// This program itself, called with `argument` first.
    pub fn child_of_this_program(argument: &'static str) -> Self {
        // Not the path of the file: after an upgrade in place there is another program.
        Self::Child { program: PathBuf::from("/proc/self/exe"), argument }
    }

    /// The command that waits before it becomes `program`, and our side of the gate.
    pub(super) fn command(&self, program: &std::path::Path) -> io::Result<(Command, Option<Gate>)> {
        let Self::Child { program: launcher, argument } = self else {
            return Ok((Command::new(program), None));
        };
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(BECOMES_WITHIN))?;
        let limit = open_files::of_others().map_or_else(|| NO_LIMIT.to_owned(), |most| most.to_string());
        let mut command = Command::new(launcher);
        command.arg(argument).arg(limit).arg(program).stdin(OwnedFd::from(theirs));
        Ok((command, Some(Gate(ours))))
    }

    /// Whether a process of this command line waits at the gate still.
    pub(super) fn is_waiting(&self, command_line: &[u8]) -> bool {
        match self {
            Self::Nobody => false,
            Self::Child { argument, .. } => {
                command_line.split(|byte| *byte == 0).nth(1) == Some(argument.as_bytes())
            }
        }
    }
}

/// The daemon's side. Dropped, nothing is started.
#[derive(Debug)]
pub(super) struct Gate(UnixStream);

impl Gate {
    /// Lets the process become its program. An error is the one that `exec` gave.
    pub(super) fn open(mut self) -> io::Result<()> {
        self.send(BECOME)
    }

    /// Lets the process start its program, and stay. An error is the one that `exec` gave.
    pub(super) fn open_to_stay(mut self) -> io::Result<Staying> {
        self.send(STAY).map(|()| Staying(self.0))
    }

    fn send(&mut self, word: [u8; 1]) -> io::Result<()> {
        // One that has ended already is told by its end.
        let _ = self.0.write_all(&word);
        let mut errno = [0; 4];
        match self.0.read_exact(&mut errno) {
            Ok(()) if errno != WELL => Err(io::Error::from_raw_os_error(i32::from_le_bytes(errno))),
            // The end of the line: its descriptor was closed as it became the program.
            // Or it takes its time, and its end will be seen if that is what becomes of it.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The line to a launcher that stays. Dropped, the launcher ends as its command has ended.
#[derive(Debug)]
pub(super) struct Staying(UnixStream);

impl Staying {
    /// Returns when the command has ended and its launcher waits, or that has ended, too. Needs a tokio runtime around it.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        let line = self.0.try_clone()?;
        line.set_nonblocking(true)?;
        let mut word = WELL;
        // The end of the line says the same.
        let _ = tokio::net::UnixStream::from_std(line)?.read_exact(&mut word).await;
        Ok(())
    }
}

/// A process that waits at the gate, or one that runs.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) leader: PidFd,
    pub(super) child: Child,
    pub(super) gate: Option<Gate>,
}

/// The launcher's part: the limit of open files, the program and its arguments. Returns only if it
/// cannot become that program, or must not, with the exit code.
pub fn wait_and_become(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> u8 {
    const USAGE: u8 = 2;
    const CANNOT: u8 = 127;
    let (Some(limit), Some(program)) = (arguments.next(), arguments.next()) else { return USAGE };
    // In the daemon's session the group would be orphaned by the daemon's death, and the kernel hangs up an orphaned
    // group that has a stopped process (setpgid(2), "orphaned process group"). EPERM: it leads a group already.
    let _ = setsid();
    let Ok(line) = fcntl_dupfd_cloexec(stdin(), 3) else { return CANNOT };
    let mut line = UnixStream::from(line);
    let mut word = [0];
    // The end of the line: there is no daemon any more that would know of us.
    if line.read_exact(&mut word).is_err() || ![BECOME, STAY].contains(&word) {
        return 0;
    }
    if word == STAY {
        lower_limit(&limit);
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null());
        return start_and_stay(command, line).unwrap_or(CANNOT);
    }
    let mut become_it = || {
        dup2_stdin(File::open("/dev/null")?)?;
        lower_limit(&limit);
        let marked = std::env::var_os(mark::NAME).map(|_| (mark::PID, std::process::id().to_string()));
        let mut command = Command::new(&program);
        command.args(arguments.by_ref()).envs(marked).stdin(Stdio::inherit());
        Err::<(), io::Error>(command.exec())
    };
    let error = become_it().err().and_then(|error| error.raw_os_error());
    let errno = error.unwrap_or(Errno::IO.raw_os_error());
    // A daemon that has ended since does not hear it, nor need to.
    let _ = line.write_all(&errno.to_le_bytes());
    CANNOT
}

fn lower_limit(limit: &OsStr) {
    if let Some(most) = limit.to_str().and_then(|limit| limit.parse().ok()) {
        open_files::lower_to(most);
    }
}

/// Starts the command, waits for its end and for the daemon's look, and ends likewise: returns the exit code.
fn start_and_stay(mut command: Command, mut line: UnixStream) -> io::Result<u8> {
    // What the command leaves becomes our child, and not that of the first process.
    let _ = set_child_subreaper(Some(getpid()));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            line.write_all(&errno.to_le_bytes())?;
            return Err(error);
        }
    };
    // A daemon that has ended since does not hear it, nor look.
    let _ = line.write_all(&WELL);
    let status = child.wait()?;
    let _ = line.write_all(&WELL);
    line.set_read_timeout(Some(LOOKS_WITHIN))?;
    let _ = line.read(&mut [0]);
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        kill_process(getpid(), signal)?;
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
