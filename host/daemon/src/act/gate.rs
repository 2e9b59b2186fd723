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
//! What the declaration says of its user and its limits, the launcher sets of itself, and it says what it
//! cannot. A command that is run to its end, and says such things, has a launcher too, that waits for nobody.
//!
//! A launcher has the rights of the daemon, and the variables of an application may name what that
//! application's own user writes (`LD_LIBRARY_PATH`). So they are hidden behind a prefix until it is the
//! application.
//!
//! The price is one more `exec`. What was looked at instead: a mark in the
//! environment, to be searched for in `/proc` by the next daemon, costs less, but
//! programs that set their title overwrite it (it is there besides, see [`mark`]); and to stop the process between
//! fork and exec needs a `fork`, whose cost grows with the daemon's memory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::setsid;
use rustix::stdio::{dup2_stdin, stdin};

use super::kept::mark;
use super::settings::{NotApplied, Settings};
use crate::patience::at_most;
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
/// What stands before the names of the program's variables.
const HIDDEN: &[u8] = b"BELLWETHER_FOR_IT_";
/// Of what a launcher says, in bytes.
const MAX_WORDS: u64 = 1000;

/// When a launcher becomes its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// At once.
    Now,
    /// When the gate is opened.
    Opened,
}

impl When {
    fn word(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Opened => "opened",
        }
    }
}

/// A command to be started, and what is special about it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) command: Command,
    /// Our side of the gate, if it waits at one.
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
        Self::Child { program: PathBuf::from("/proc/self/exe"), argument }
    }

    /// The command that becomes `program`.
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
            When::Now => None,
            When::Opened => {
                let (ours, theirs) = UnixStream::pair()?;
                ours.set_read_timeout(Some(BECOMES_WITHIN))?;
                command.stdin(OwnedFd::from(theirs));
                Some(Gate(ours))
            }
        };
        Ok(Prepared { command, gate, is_launcher: true })
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
    /// Lets the process become its program. An error says what it could not do; nothing if it is the
    /// one that `exec` gave.
    pub(super) fn open(mut self) -> Result<(), NotApplied> {
        // One that has ended already is told by its end.
        let _ = self.0.write_all(&OPEN);
        let mut errno = [0; 4];
        match self.0.read_exact(&mut errno) {
            Ok(()) => {
                let mut doing = Vec::new();
                // It ends once it has said it.
                let _ = self.0.take(MAX_WORDS).read_to_end(&mut doing);
                let doing = String::from_utf8_lossy(&doing).into_owned();
                Err(NotApplied { doing, error: io::Error::from_raw_os_error(i32::from_le_bytes(errno)) })
            }
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

const USAGE: u8 = 2;
const CANNOT: u8 = 127;

/// The launcher's part: when, the settings, the program and its arguments. Returns only if it
/// cannot become that program, or must not, with the exit code.
pub fn wait_and_become(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let (Some(when), Some(settings), Some(program)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return USAGE;
    };
    let Some(settings) = Settings::from_argument(&settings) else { return USAGE };
    if when == When::Now.word() {
        let NotApplied { doing, error } = become_it(&settings, &program, arguments);
        // Its standard error is the command's log.
        let doing = if doing.is_empty() { format!("run {}", program.display()) } else { doing };
        let _ = writeln!(io::stderr(), "cannot {doing}: {error}");
        return CANNOT;
    }
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
    let nothing_to_read = || dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from);
    let NotApplied { doing, error } = match nothing_to_read() {
        Ok(()) => become_it(&settings, &program, arguments),
        Err(error) => NotApplied { doing: "read from /dev/null".to_owned(), error },
    };
    let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
    // A daemon that has ended since does not hear it, nor need to.
    let _ = line.write_all(&[&errno.to_le_bytes(), doing.as_bytes()].concat());
    CANNOT
}

/// Returns only if it cannot. What it was doing is empty if that was `exec` itself.
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
    match settings.apply() {
        Err(not_applied) => not_applied,
        Ok(()) => NotApplied { doing: String::new(), error: command.exec() },
    }
}
