//! The commands of users, and their possible outcomes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A command for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Start the application, and keep it started.
    Start,
    /// Drain, stop the application, and keep it stopped.
    Stop,
    /// Drain, stop and start.
    Restart,
    /// Keep monitoring, take no action (maintenance).
    Suspend,
    /// End the suspension of automatic actions.
    Resume,
    /// Forget counted restarts and a failure.
    Reset,
    /// Confirm that checkers on probation are correct: act on them.
    Confirm,
}

impl Command {
    pub const ALL: [Self; 7] =
        [Self::Start, Self::Stop, Self::Restart, Self::Suspend, Self::Resume, Self::Reset, Self::Confirm];

    /// The word for it, in the CLI and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Reset => "reset",
            Self::Confirm => "confirm",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Command {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|c| c.word() == text).ok_or(())
    }
}

/// A command with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What is asked for.
    pub command: Command,
    /// The duration of a suspension. `None`: until it is resumed.
    pub lasts: Option<Duration>,
    /// The reason in one line, if one was given. It is recorded, and never sent to load balancers.
    pub reason: Option<String>,
}

impl From<Command> for Order {
    fn from(command: Command) -> Self {
        Self { command, lasts: None, reason: None }
    }
}

/// The maximum duration of a suspension.
pub const LASTS_AT_MOST: Duration = Duration::from_hours(30 * 24);
/// The maximum length of a reason, in characters.
pub const MAX_REASON: usize = 200;

/// A text that is not a valid reason for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reason: expected one line of at most {max} characters", max = MAX_REASON)]
pub struct BadReason;

/// The reason for a command, as typed by a user; `None` if it is empty.
///
/// # Errors
/// If it is more than one line, or too long.
pub fn reason(typed: &str) -> Result<Option<String>, BadReason> {
    let reason = typed.trim();
    if reason.is_empty() {
        return Ok(None);
    }
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(BadReason);
    }
    Ok(Some(reason.to_owned()))
}

/// The user who gave a command, as recorded: with the reason in brackets if one was given.
pub fn with_reason(by: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) if !reason.is_empty() => format!("{by} ({reason})"),
        _ => by.to_owned(),
    }
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "kebab-case")]
pub enum CommandOutcome {
    /// It will be carried out. Describes what will happen.
    Accepted(String),
    /// There is nothing to do, for this reason.
    AlreadySo(String),
    /// It is not carried out.
    Denied(DeniedReason),
}

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum DeniedReason {
    /// No module of that name.
    #[error("there is no module of that name")]
    NoSuchModule,
    /// The application is just being stopped.
    #[error("the application is being stopped")]
    Stopping,
    /// Only what is started can be restarted.
    #[error("the module is stopped, and `start` starts it")]
    Stopped,
    /// A prerequisite is down.
    #[error("the module waits for checker `{0}` and will start automatically when it is up")]
    Waiting(String),
    /// The state that the user decided on has changed.
    #[error("it has changed since you looked: it is {0} now")]
    Moved(String),
    /// The caller's role does not include the command.
    #[error("commands need the role {}", crate::permission::COMMANDS_NEED)]
    Forbidden,
    /// No node would serve the module, and the command was not confirmed.
    #[error("this node would stop serving it, and the command is not confirmed by the module's name")]
    Unconfirmed,
    /// The daemon itself is ending.
    #[error("the daemon is shutting down")]
    Ending,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_stands_behind_who_gave_the_command() {
        assert_eq!(reason(" new version "), Ok(Some("new version".to_owned())));
        assert_eq!(reason(" "), Ok(None));
        assert!(reason("a\nb").is_err() && reason("\u{1b}[2J").is_err());
        assert!(reason(&"x".repeat(MAX_REASON)).is_ok() && reason(&"x".repeat(MAX_REASON + 1)).is_err());
        assert_eq!(with_reason("anna", Some("new version")), "anna (new version)");
        assert_eq!(with_reason("anna", None), "anna");
    }
}
