//! How a process ended.

use std::fmt;

/// How a process ended, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It returned this exit code.
    Exited(i32),
    /// A signal ended it.
    Signaled {
        signal: i32,
        /// Whether the kernel wrote a core file.
        dumped: bool,
    },
    /// It has ended, and only its parent, which is another process, learned how.
    Unknown,
}

impl fmt::Display for Ending {
    /// The rest of a sentence that begins with the process.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signaled { signal, dumped } => {
                f.write_str("was ended by ")?;
                match signal_name(*signal) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "signal {signal}")?,
                }
                if *dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
            Self::Unknown => f.write_str("has ended"),
        }
    }
}

/// Names of the standard signals that terminate a process by default. Their numbers are the same on every
/// architecture that Rust's std supports, except MIPS and SPARC.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_completes_a_sentence() {
        for (ending, text) in [
            (Ending::Exited(3), "exited with 3"),
            (Ending::Signaled { signal: 9, dumped: false }, "was ended by SIGKILL"),
            (Ending::Signaled { signal: 11, dumped: true }, "was ended by SIGSEGV (core dumped)"),
            (Ending::Signaled { signal: 40, dumped: false }, "was ended by signal 40"),
            (Ending::Unknown, "has ended"),
        ] {
            assert_eq!(ending.to_string(), text);
        }
    }
}
