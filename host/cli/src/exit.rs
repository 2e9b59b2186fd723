//! Exit codes and error messages of the program.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes. Scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The command has succeeded.
    Done = 0,
    Error = 1,
    /// The command line is invalid. clap itself exits with this one.
    Usage = 2,
    /// Denied or failed: a rejected command, a failing check, a scenario with an unexpected result.
    Denied = 3,
    /// No daemon runs on this root.
    NoDaemon = 4,
    /// The files have errors.
    Mistakes = 5,
    /// A port is in use.
    PortInUse = 6,
    /// The root cannot be written.
    RootNotWritable = 7,
    /// Another daemon runs on this root.
    SecondDaemon = 8,
    /// A program that a module declares is missing.
    MissingProgram = 9,
    /// A part of the daemon stalled, and the daemon exited so that it is restarted.
    Lost = 10,
    /// There is no node, module, checker, component, user, token or profile of that name.
    NoSuch = 11,
}

impl Exit {
    const ALL: [Self; 12] = [
        Self::Done,
        Self::Error,
        Self::Usage,
        Self::Denied,
        Self::NoDaemon,
        Self::Mistakes,
        Self::PortInUse,
        Self::RootNotWritable,
        Self::SecondDaemon,
        Self::MissingProgram,
        Self::Lost,
        Self::NoSuch,
    ];

    /// The one with this code.
    pub(crate) fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| *exit as u8 == code)
    }
}

const _: () = assert!(Exit::Lost as i32 == bellwether_daemon::watchdog::EXIT_LOST);

/// The text at the end of the help.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  error
  2  invalid command line
  3  denied or failed: a refused command, a failing check, an installation with problems, a
     scenario with an unexpected result
  4  no daemon runs on this root
  5  configuration errors
  6  a port is in use
  7  the root is not writable
  8  another daemon runs on this root
  9  a program that a module declares is missing
 10  a part of the daemon stalled, and the daemon exited so that it is restarted
 11  no such node, module, checker, component, user, token or profile

Colour is used only on a terminal, and never if NO_COLOR is set.";

/// Why the program has failed, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    next: Option<String>,
}

pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), next: Some(next.into()) }
    }

    /// Everything has been reported; only the exit code remains.
    pub(crate) fn quiet(exit: Exit) -> Self {
        Self { exit, what: String::new(), next: None }
    }

    /// Adds the next step.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// In one line, without the next step.
    pub(crate) fn said(&self) -> String {
        self.what.clone()
    }

    /// The next step, if there is one.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The exit code of the program.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.next {
            Some(next) => write!(f, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Error, what: format!("{error:#}"), next: None }
    }
}

/// An error of the program's own output. A reader that closed it (`| head`) is not an error.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::quiet(Exit::Done);
        }
        Self { exit: Exit::Error, what: error.to_string(), next: None }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() { Self::from(io::Error::from(error)) } else { anyhow::Error::from(error).into() }
    }
}

/// Reports the error, if there was one.
pub(crate) fn finish(outcome: Outcome) -> ExitCode {
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.what.is_empty() {
                // If standard error is closed, the exit code has to suffice.
                let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{failure}\n"));
            }
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_had_enough_is_no_error() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit(), failure.what.as_str()), (Exit::Done, ""));
    }

    #[test]
    fn a_failure_says_what_it_is_and_what_to_do_next() {
        let failure = Failure::new(Exit::NoDaemon, "no daemon runs on /r", "start one");
        assert_eq!(failure.to_string(), "error: no daemon runs on /r\n  next: start one");
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        for exit in Exit::ALL {
            assert!(HELP.contains(&format!("\n{:>3}  ", exit as u8)), "{exit:?}");
            assert_eq!(Exit::of(exit as u8), Some(exit));
        }
    }
}
