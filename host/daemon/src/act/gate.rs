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

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::setsid;
use rustix::stdio::{dup2_stdin, stdin};

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

/// Opens the gate.
const OPEN: [u8; 1] = *b"!";
/// A program on a disk that does not answer is waited for this long. It may come yet.
const BECOMES_WITHIN: Duration = at_most(Duration::from_secs(3));
/// Where [`Launcher::Child`] gets no limit to set.
const NO_LIMIT: &str = "-";

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
        // One that has ended already is told by its end.
        let _ = self.0.write_all(&OPEN);
        let mut errno = [0; 4];
        match self.0.read_exact(&mut errno) {
            Ok(()) => Err(io::Error::from_raw_os_error(i32::from_le_bytes(errno))),
            // The end of the line: its descriptor was closed as it became the program.
            // Or it takes its time, and its end will be seen if that is what becomes of it.
            Err(_) => Ok(()),
        }
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
    let mut line = File::from(line);
    let mut word = [0];
    // The end of the line: there is no daemon any more that would know of us.
    if line.read_exact(&mut word).is_err() || word != OPEN {
        return 0;
    }
    let mut become_it = || {
        dup2_stdin(File::open("/dev/null")?)?;
        if let Some(most) = limit.to_str().and_then(|limit| limit.parse().ok()) {
            open_files::lower_to(most);
        }
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
