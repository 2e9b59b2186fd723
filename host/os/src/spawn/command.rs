//! A command as a module declares it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::execution::Execution;

/// `[commands]`
#[derive(Debug, Clone, PartialEq)]
pub struct CommandSpec {
    /// The program (an absolute path, a path relative to the root, or a bare name to be found in
    /// [`PROGRAM_PATH`](super::program::PROGRAM_PATH)) and its arguments. Never empty.
    pub run: Vec<String>,
    /// The long-running application itself, which the host keeps.
    pub keep: bool,
    /// How long it may run; for a kept command, how long its end may take.
    pub timeout: Duration,
    /// How long what its last run has left may take to end before it is started again.
    pub leftovers: Duration,
    /// Added to a small, clean environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs; the root if the file does not say.
    pub dir: Option<PathBuf>,
    /// Which arguments a component may add. Without it, none.
    pub arguments: Option<ArgumentPattern>,
    /// As whom and within which limits it runs.
    pub execution: Execution,
}

/// What each argument must be that a component adds to a command.
#[derive(Debug, Clone)]
pub struct ArgumentPattern {
    text: String,
    whole: regex::Regex,
}

impl ArgumentPattern {
    /// A regular expression that an argument must match as a whole.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        // By itself first: what closes our group must not be taken for a pattern.
        regex::Regex::new(text)?;
        Ok(Self { text: text.to_owned(), whole: regex::Regex::new(&format!(r"\A(?:{text})\z"))? })
    }

    /// As it stands in the file.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn allows(&self, argument: &str) -> bool {
        self.whole.is_match(argument)
    }
}

impl PartialEq for ArgumentPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Why a component may not add an argument to a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentRefusal {
    /// The declaration allows none.
    #[error("it takes no further arguments: the command may declare which, with `arguments = \"PATTERN\"`")]
    None,
    /// This one is not among those that it allows.
    #[error("the argument {0:?} does not match its `arguments = {1:?}`")]
    Mismatch(String, String),
    /// More than anybody types.
    #[error("these are too many or too long arguments; at most {MAX_ADDED} bytes are allowed")]
    TooLong,
    /// A program would see the argument end there (execve(2)).
    #[error("an argument holds a zero byte")]
    ZeroByte,
}

/// Of all arguments that a component adds to a command at once, in bytes, each with its end.
pub const MAX_ADDED: usize = 16 << 10;

impl CommandSpec {
    /// [`leftovers`](Self::leftovers), if the file does not say.
    pub const LEFTOVERS: Duration = Duration::from_millis(500);

    /// Whether a component may add these arguments.
    pub fn allows(&self, arguments: &[String]) -> Result<(), ArgumentRefusal> {
        if arguments.is_empty() {
            return Ok(());
        }
        let pattern = self.arguments.as_ref().ok_or(ArgumentRefusal::None)?;
        if arguments.iter().map(|argument| argument.len() + 1).sum::<usize>() > MAX_ADDED {
            return Err(ArgumentRefusal::TooLong);
        }
        if arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(ArgumentRefusal::ZeroByte);
        }
        match arguments.iter().find(|argument| !pattern.allows(argument)) {
            Some(wrong) => {
                let shown = wrong.chars().take(100).collect();
                Err(ArgumentRefusal::Mismatch(shown, pattern.text.clone()))
            }
            None => Ok(()),
        }
    }
}
