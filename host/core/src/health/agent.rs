//! The line that `HAProxy`'s agent-check reads (`HAProxy` configuration manual,
//! `agent-check`).
//!
//! `HAProxy` keeps what an agent said until the agent says otherwise, so every
//! line has both a health word and an admin word: each line undoes the one
//! before. The weight is only ever said to be 100%, in case somebody changed it.
//!
//! | the module | line | what `HAProxy` does |
//! |---|---|---|
//! | serves | `up ready 100%` | sends traffic |
//! | is draining | `up drain` | no new sessions, those it has may end |
//! | is being stopped or restarted | `down drain # why` | nothing |
//! | is stopped by a person | `stopped ready # why` | nothing |
//! | does not serve for any other reason | `down ready # why` | nothing |
//!
//! The admin word stays `drain` while the application is being taken down,
//! because `HAProxy` applies the admin word before the health word: `ready` after
//! a drain would let new sessions in for an instant. Once the server is known to
//! be down, `ready` lets nothing in.

use super::{Standing, Subject, line, standing};
use crate::id::ModuleName;
use crate::snapshot::Snapshot;
use crate::state::StateName;

/// `HAProxy` shows the description in its statistics; it is never longer, in bytes.
const MAX_DESCRIPTION: usize = 80;

/// One ASCII line, ended by `\n`, for a module or for all of them together.
pub fn agent_line(snapshot: &Snapshot, alive: bool, module: Option<&ModuleName>) -> String {
    let subject = module.map_or(Subject::All, |name| Subject::Module(name.as_str()));
    let standing = standing(snapshot, alive, subject);
    let words = match standing {
        Standing::Ready => return "up ready 100%\n".to_owned(),
        Standing::Stalled | Standing::NoModules | Standing::NoSuchModule => "down ready",
        Standing::NotReady { module, .. } => match module.state {
            StateName::Draining => return "up drain\n".to_owned(),
            StateName::Stopping | StateName::Restarting => "down drain",
            StateName::Stopped => "stopped ready",
            StateName::Starting
            | StateName::Up
            | StateName::Backoff
            | StateName::Failed
            | StateName::Waiting => "down ready",
        },
    };
    format!("{words} # {}\n", line::shown_in_ascii(&standing.reason(), MAX_DESCRIPTION))
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
