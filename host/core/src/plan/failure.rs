//! Why there is no plan, and why a step failed.
//!
//! In events and records both are sentences. Records of earlier versions are read as [`PlanError::Reported`] or
//! [`StepError::Reported`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MAX_STEPS;
use crate::id::{CommandName, ComponentName};
use crate::moment::plain;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PlanError {
    /// In the words of the host or of the restart script.
    #[error("{0}")]
    Reported(String),
    /// The module has no file any more.
    #[error("the module's file is gone")]
    ModuleGone,
    /// There is no component of this name.
    #[error("there is no restart script `{0}`: put it into restart-scripts/{0}.wasm")]
    NoScript(ComponentName),
    /// The restart script did not answer within this time.
    #[error("the restart script did not answer within {}", plain(*.0))]
    TimedOut(Duration),
    /// The plan has this many steps, more than [`MAX_STEPS`].
    #[error("it has {0} steps, more than {max}", max = MAX_STEPS)]
    TooManySteps(usize),
}

/// Why a step failed, in half a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum StepError {
    /// In the words of the host or of the application.
    #[error("{0}")]
    Reported(String),
    /// The module has no file any more.
    #[error("the module's file is gone")]
    ModuleGone,
    /// The plan names a command that the module does not have.
    #[error("the module declares no command `{0}`: add it to `[commands]` of its file")]
    NotDeclared(CommandName),
    /// The plan runs a command that has to be kept.
    #[error("command `{0}` is kept, not run to completion: use a `keep` step")]
    IsKept(CommandName),
    /// The plan keeps a command that has to run to completion.
    #[error("command `{0}` is not kept: set `keep = true`")]
    NotKept(CommandName),
    /// A command exceeded its time limit.
    #[error("did not end within {} and was killed", plain(*.0))]
    Killed(Duration),
    /// Another step exceeded its time limit.
    #[error("was not done within {}", plain(*.0))]
    Overdue(Duration),
    /// The host has not reported the result of the step in time.
    #[error("not done within {}", plain(*.0))]
    TimedOut(Duration),
    /// The host has not reported in time that all kept processes have ended.
    #[error("still there after {}", plain(*.0))]
    StillThere(Duration),
    /// The host has not reported in time whether the application has ended.
    #[error("it could not be determined within {}", plain(*.0))]
    NotTold(Duration),
    /// A process has not ended.
    #[error("{what} still runs (pid {pid})")]
    StillRuns {
        /// The name of its command or program.
        what: String,
        pid: u32,
    },
    /// A process has not ended, and the module has no command that could end it.
    #[error(
        "{what} still runs (pid {pid}) and there is no kept command to end: declare a `forced-stop` command"
    )]
    NothingToKill { what: String, pid: u32 },
}

impl PlanError {
    /// The texts in it that come from outside.
    pub(crate) fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Reported(text) => vec![text],
            Self::ModuleGone | Self::NoScript(_) | Self::TimedOut(_) | Self::TooManySteps(_) => Vec::new(),
        }
    }
}

impl StepError {
    /// The texts in it that come from outside.
    pub(crate) fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Reported(text)
            | Self::StillRuns { what: text, pid: _ }
            | Self::NothingToKill { what: text, pid: _ } => vec![text],
            Self::ModuleGone
            | Self::NotDeclared(_)
            | Self::IsKept(_)
            | Self::NotKept(_)
            | Self::Killed(_)
            | Self::Overdue(_)
            | Self::TimedOut(_)
            | Self::StillThere(_)
            | Self::NotTold(_) => Vec::new(),
        }
    }
}

impl From<String> for PlanError {
    fn from(text: String) -> Self {
        Self::Reported(text)
    }
}

impl From<PlanError> for String {
    fn from(error: PlanError) -> Self {
        error.to_string()
    }
}

impl From<String> for StepError {
    fn from(text: String) -> Self {
        Self::Reported(text)
    }
}

impl From<StepError> for String {
    fn from(error: StepError) -> Self {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_the_sentence() {
        let gone: Result<String, StepError> = Err(StepError::NotDeclared("start".parse().unwrap()));
        let written = serde_json::to_string(&gone).unwrap();
        let sentence = "the module declares no command `start`: add it to `[commands]` of its file";
        assert_eq!(written, format!(r#"{{"Err":"{sentence}"}}"#));
        let read: Result<String, StepError> = serde_json::from_str(&written).unwrap();
        assert_eq!(read.unwrap_err().to_string(), sentence);

        let late = PlanError::TimedOut(Duration::from_secs(5));
        let written = serde_json::to_string(&late).unwrap();
        assert_eq!(written, r#""the restart script did not answer within 5s""#);
        assert_eq!(serde_json::from_str::<PlanError>(&written).unwrap().to_string(), late.to_string());
        assert_eq!(PlanError::TooManySteps(65).to_string(), "it has 65 steps, more than 64");
    }
}
