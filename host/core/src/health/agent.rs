//! The line that `HAProxy`'s agent-check reads (`HAProxy` configuration manual,
//! `agent-check`).
//!
//! A line has a health word (`up`, `down`, `stopped`) and, if need be, an admin
//! word (`ready`, `drain`) and a weight. `HAProxy` keeps what an agent said until
//! the agent, or a person at `HAProxy`'s own command line, says otherwise. The
//! health word is always ours. The admin word and the weight are the person's who
//! runs `HAProxy`, so they are left alone but for the drains that we announce:
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
//! A drain is taken back only when the application serves again: `HAProxy` applies
//! the admin word before the health word, so `ready` while it is being taken down
//! would let new sessions in for an instant.

use super::{Core, Question, Standing, Subject, line, load, standing};
use crate::id::ModuleName;
use crate::moment::Moment;
use crate::snapshot::{Load, Snapshot};
use crate::state::StateName;

/// `HAProxy` shows the description in its statistics; it is never longer, in bytes.
const MAX_DESCRIPTION: usize = 80;

/// One port on which agent-checks are answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agent {
    /// The module spoken for; all of them together if none is named.
    pub module: Option<ModuleName>,
    /// Whether the admin state and the weight of the server in `HAProxy` are the agent's alone:
    /// every line then sets both, and undoes what a person has set.
    pub owns: bool,
}

impl Agent {
    fn subject(&self) -> Subject<'_> {
        self.module.as_ref().map_or(Subject::All, |name| Subject::Module(name.as_str()))
    }

    /// What its line answers.
    pub fn question(&self) -> Question<'_> {
        Question::Health(self.subject())
    }
}

/// One ASCII line, ended by `\n`, for a module or for all of them together.
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

/// `admitted` is whether the admin state is ours to set.
fn up(admitted: bool, load: Option<Load>) -> &'static str {
    match (admitted, load) {
        (true, None | Some(Load::Full)) => "up ready 100%\n",
        (true, Some(Load::Degraded)) => "up ready 50%\n",
        (false, None) => "up\n",
        (false, Some(Load::Full)) => "up 100%\n",
        (false, Some(Load::Degraded)) => "up 50%\n",
    }
}

/// Whether a drain of ours has to be taken back.
fn is_readmitted(snapshot: &Snapshot, subject: Subject<'_>, now: Moment) -> bool {
    let until = match subject {
        Subject::All => snapshot.readmit_until,
        Subject::Module(name) => snapshot.module(name).and_then(|module| module.readmit_until),
    };
    until.is_some_and(|until| now < until)
}

/// Which module speaks for all when several do not serve: the lowest. One that
/// still serves its sessions must not hide one that serves nobody.
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
