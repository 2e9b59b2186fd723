//! The line for `HAProxy`'s agent-check (`HAProxy` configuration manual, `agent-check`).
//!
//! A line has a health word (`up`, `down`, `stopped`) and, if needed, an admin word (`ready`, `drain`) and a
//! weight. `HAProxy` keeps the answer of an agent until the agent, or an operator in `HAProxy`'s command line,
//! changes it. The health word is always set by the agent. The admin word and the weight are controlled by the
//! operator of `HAProxy`, so they are not set, except for the drains that the agent announces:
//!
//! | the module | line | if the agent owns the admin state and the weight |
//! |---|---|---|
//! | serves | `up` | `up ready 100%` |
//! | serves, and its file has `degrade = true` | `up 100%`, or `up 50%` while it is degraded | `up ready 100%`, or `up ready 50%` |
//! | serves again after a drain, for a minute | `up ready 100%` | `up ready 100%` |
//! | is draining | `up drain` | `up drain` |
//! | is being stopped or restarted | `down # why` | `down drain # why` |
//! | is stopped by a person | `stopped # why` | `stopped ready # why` |
//! | does not serve for any other reason | `down # why` | `down ready # why` |
//!
//! A drain is cancelled only when the application serves again: `HAProxy` applies the admin word before the health
//! word, so `ready` while it is being stopped would admit new sessions for an instant.

use super::{Core, Question, Standing, Subject, line, load, standing};
use crate::id::ModuleName;
use crate::moment::Moment;
use crate::snapshot::{Load, Snapshot};
use crate::state::StateName;

/// The maximum length of the description that `HAProxy` shows in its statistics, in bytes.
const MAX_DESCRIPTION: usize = 80;

/// One port on which agent-checks are answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agent {
    /// Its module; all of them together if none is named.
    pub module: Option<ModuleName>,
    /// Whether the agent alone controls the admin state and the weight of the server in `HAProxy`: then every line
    /// sets both, and overrides what an operator has set.
    pub owns: bool,
}

impl Agent {
    fn subject(&self) -> Subject<'_> {
        self.module.as_ref().map_or(Subject::All, |name| Subject::Module(name.as_str()))
    }

    /// The question that its line answers.
    pub fn question(&self) -> Question<'_> {
        Question::Health(self.subject())
    }
}

/// One ASCII line, terminated by `\n`, for a module or for all of them together.
pub fn agent_line(snapshot: &Snapshot, core: Core, agent: &Agent, now: Moment) -> String {
    let subject = agent.subject();
    let standing = standing(snapshot, core, subject);
    let (health, admin) = match standing {
        Standing::Ready => {
            let admitted = agent.owns || is_readmitted(snapshot, subject, now);
            return up(admitted, load(snapshot, subject)).to_owned();
        }
        Standing::Begins | Standing::Stalled | Standing::NoModules | Standing::NoSuchModule => {
            ("down", " ready")
        }
        Standing::NotReady { module, .. } => match module.state {
            StateName::Draining => return "up drain\n".to_owned(),
            StateName::Stopping | StateName::Restarting => ("down", " drain"),
            StateName::Stopped => ("stopped", " ready"),
            StateName::Starting
            | StateName::Up
            | StateName::Backoff
            | StateName::Failed
            | StateName::Waiting => ("down", " ready"),
        },
    };
    let admin = if agent.owns { admin } else { "" };
    format!("{health}{admin} # {}\n", line::shown_in_ascii(&standing.reason(), MAX_DESCRIPTION))
}

/// `admitted`: whether the agent may set the admin state.
fn up(admitted: bool, load: Option<Load>) -> &'static str {
    match (admitted, load) {
        (true, None | Some(Load::Full)) => "up ready 100%\n",
        (true, Some(Load::Degraded)) => "up ready 50%\n",
        (false, None) => "up\n",
        (false, Some(Load::Full)) => "up 100%\n",
        (false, Some(Load::Degraded)) => "up 50%\n",
    }
}

/// Whether an announced drain has to be cancelled.
fn is_readmitted(snapshot: &Snapshot, subject: Subject<'_>, now: Moment) -> bool {
    let until = match subject {
        Subject::All => snapshot.readmit_until,
        Subject::Module(name) => snapshot.module(name).and_then(|module| module.readmit_until),
    };
    until.is_some_and(|until| now < until)
}

/// The module that determines the answer for all when several do not serve: the lowest. One that still serves its
/// sessions must not hide one that serves none.
pub(super) fn precedence(state: StateName) -> u8 {
    match state {
        StateName::Stopping | StateName::Restarting => 0,
        StateName::Failed | StateName::Backoff | StateName::Starting | StateName::Waiting | StateName::Up => {
            1
        }
        StateName::Stopped => 2,
        StateName::Draining => 3,
    }
}
