//! Which processes a checker means.

use std::path::PathBuf;

use bellwether_core::id::CommandName;

#[cfg(target_os = "linux")]
mod finder;

#[cfg(target_os = "linux")]
pub use self::finder::{Finder, Found, matches};

/// Which of the matching processes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Those that come from a command of the module.
    Module,
    /// All processes of this host.
    Host,
}

impl Of {
    /// The word in the module file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Host => "host",
        }
    }
}

/// How processes are found.
#[derive(Debug, Clone)]
pub enum Find {
    /// By the program's name (`comm`, or the file name of what was executed).
    Name(String),
    /// By a regular expression over the whole command line, arguments separated by single spaces.
    Arguments(regex::Regex),
    /// By a file that holds the process id.
    PidFile(PathBuf),
    /// By a systemd unit: all processes in its control group.
    Unit(String),
    /// The process that the host keeps for this command (without its children).
    Kept(CommandName),
}

impl PartialEq for Find {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) | (Self::Unit(a), Self::Unit(b)) => a == b,
            (Self::Arguments(a), Self::Arguments(b)) => a.as_str() == b.as_str(),
            (Self::PidFile(a), Self::PidFile(b)) => a == b,
            (Self::Kept(a), Self::Kept(b)) => a == b,
            (Self::Name(_) | Self::Arguments(_) | Self::PidFile(_) | Self::Unit(_) | Self::Kept(_), _) => {
                false
            }
        }
    }
}
