//! A command as a module declares it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::execution::Execution;

/// A command of a module, as declared in `[commands]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandSpec {
    /// The program (an absolute path, a path relative to the root, or a bare name to be found in
    /// [`PROGRAM_PATH`](super::program::PROGRAM_PATH)) and its arguments. Never empty.
    pub run: Vec<String>,
    /// The long-running application itself, which the host keeps.
    pub keep: bool,
    /// Its time limit; for a kept command, the time limit of its exit.
    pub timeout: Duration,
    /// The time that processes of its last run have to exit before it is started again.
    pub leftovers: Duration,
    /// Added to a small, clean environment.
    pub env: BTreeMap<String, String>,
    /// The working directory; the root if the file does not set it.
    pub dir: Option<PathBuf>,
    /// The arguments that a component may add. Without it, none.
    pub arguments: Option<ArgumentPattern>,
    /// The user and limits that it runs with.
    pub execution: Execution,
}

/// The rule for each argument that a component adds to a command.
#[derive(Debug, Clone)]
pub struct ArgumentPattern {
    text: String,
    whole: regex::Regex,
}

impl ArgumentPattern {
    /// A regular expression that must match the whole argument.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        // Compiled by itself first: a parenthesis that closes our group must not be accepted.
        regex::Regex::new(text)?;
        Ok(Self { text: text.to_owned(), whole: regex::Regex::new(&format!(r"\A(?:{text})\z"))? })
    }

    /// The expression as written in the file.
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
    /// This argument does not match the rule.
    #[error("the argument {0:?} does not match its `arguments = {1:?}`")]
    Mismatch(String, String),
    /// The arguments are longer than the limit.
    #[error("these are too many or too long arguments; at most {MAX_ADDED} bytes are allowed")]
    TooLong,
    /// A program would see the argument end at the zero byte (execve(2)).
    #[error("an argument holds a zero byte")]
    ZeroByte,
}

/// The limit of all arguments that a component adds to a command at once, in bytes, each with its terminator.
pub const MAX_ADDED: usize = 16 << 10;

impl CommandSpec {
    /// The default of [`leftovers`](Self::leftovers).
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
