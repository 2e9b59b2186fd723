//! Journal records: one for everything that happened, with a readable sentence.

use serde::{Deserialize, Serialize};

use crate::command::CommandOutcome;
use crate::id::{CheckerName, ModuleName, NodeName};
use crate::moment::Moment;
use crate::observation::Status;
use crate::plan::{Incident, PastObservation};
use crate::state::StateName;
use crate::verdict::Verdict;

/// A record of one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The number of the record on this node, from 1.
    pub seq: u64,
    pub at: Moment,
    pub node: NodeName,
    /// The module, if it concerns one.
    pub module: Option<ModuleName>,
    pub kind: RecordKind,
}

/// The kinds of records, with their data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RecordKind {
    /// A checker's verdict changed.
    Verdict {
        /// The checker whose verdict changed.
        checker: CheckerName,
        from: Verdict,
        to: Verdict,
        /// The status of its last run.
        status: Status,
        /// The summary of its last run.
        summary: String,
    },
    /// A checker went down.
    Incident {
        /// The checker and its last observations.
        incident: Incident,
    },
    /// All of a checker's last runs were unknown: its resource is not monitored any more.
    CannotTell {
        /// The checker whose runs were unknown.
        checker: CheckerName,
        /// At least this many runs in a row.
        runs: u32,
        /// The summary of the last run.
        summary: String,
    },
    /// A decision and its reason.
    Decision {
        /// In words: `restart (1 of 3 within 24h)`.
        decision: String,
        /// The reason in words.
        reason: String,
    },
    /// The module's state changed.
    State {
        from: StateName,
        to: StateName,
        /// Why, in one sentence.
        reason: String,
    },
    /// A plan was made.
    Plan {
        /// The occasion of the plan.
        occasion: String,
        /// In the script's words.
        summary: String,
        /// Its steps in words.
        steps: Vec<String>,
    },
    /// There is no plan.
    NoPlan {
        /// The occasion of the plan.
        occasion: String,
        /// Why there is no plan.
        reason: String,
    },
    /// A step was carried out.
    Step {
        /// The step in words.
        step: String,
        /// Whether the step succeeded.
        ok: bool,
        /// The result in words.
        result: String,
    },
    /// A user gave a command.
    Command {
        /// The command that was given.
        command: crate::command::Command,
        /// The user and the origin.
        by: String,
        /// The outcome of the command.
        outcome: CommandOutcome,
    },
    /// A file was activated, or rejected.
    Reload {
        /// The file, relative to the root: `checkers/http.wasm`.
        what: String,
        /// Whether it is active now.
        ok: bool,
        /// The result in words.
        detail: String,
    },
    /// A version of a component does not work and is not tried again for a while.
    Quarantine {
        /// The component's file: `checkers/http.wasm`.
        what: String,
        /// BLAKE3 of the file, in hexadecimal.
        digest: String,
        /// Why it does not work.
        why: String,
        /// How often it was tried.
        tries: u32,
        /// The time of the next attempt.
        next: Moment,
    },
    /// A version of a component requests more grants than the one before it, or a user has approved it.
    Approval {
        /// The component's file: `checkers/http.wasm`.
        what: String,
        /// BLAKE3 of the file, in hexadecimal.
        digest: String,
        /// The requested grants beyond the version before it and the existing grants, in the notation of grants.
        asks: Vec<String>,
        /// The user who approved it and the origin; `None` while it waits.
        by: Option<String>,
    },
    /// A user signed in, or did something other than a command: added a user, ran a checker.
    Access {
        /// The user and the origin.
        by: String,
        /// The rest of a sentence that begins with the user: `signed in`.
        what: String,
    },
    /// A change of the farm that this node belongs to.
    Farm {
        /// What happened.
        event: FarmEvent,
        /// The other node, if it is about one.
        peer: Option<NodeName>,
        /// One sentence; if a user did it, the rest of a sentence that begins with the user: `invited a node`.
        message: String,
        /// The user who did it and the origin, if a user did it on this node.
        by: Option<String>,
    },
    /// The daemon started, stopped, or reports something about itself.
    Daemon {
        /// The message in words.
        message: String,
    },
}

/// What happened in a farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FarmEvent {
    /// A node is not heard any more. Lasts until it is heard, or is no longer of the farm.
    NotHeard,
    /// A node is heard, for the first time or again.
    Heard,
    /// A node has joined the farm, or this node has founded or joined one.
    Joined,
    /// A node has left the farm or was removed from it; if it is about no other node, this one.
    Left,
    /// A certificate or the authority of the farm expires soon. Lasts until it is renewed.
    Expires,
    /// What had been about to expire was renewed.
    Renewed,
    /// Anything else, such as an invitation.
    Note,
}

impl FarmEvent {
    /// The word in records.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotHeard => "not-heard",
            Self::Heard => "heard",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Expires => "expires",
            Self::Renewed => "renewed",
            Self::Note => "note",
        }
    }
}

/// The decision when a suspension ends after its duration.
pub(crate) const ACT_AGAIN: &str = "act on checkers again";

/// The beginning of the decision to retry a start that has failed for some time.
pub(crate) const KEEP_TRYING: &str = "keep trying";

impl RecordKind {
    /// All texts in it that come from outside; see [`Event::texts`](crate::event::Event::texts).
    pub fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Verdict { checker: _, from: _, to: _, status: _, summary }
            | Self::CannotTell { checker: _, runs: _, summary } => vec![summary],
            Self::Incident { incident: Incident { at: _, checker: _, summary, observations } } => {
                let seen =
                    observations.iter_mut().map(|PastObservation { at: _, status: _, summary }| summary);
                [summary].into_iter().chain(seen).collect()
            }
            Self::Decision { decision, reason } => vec![decision, reason],
            Self::State { from: _, to: _, reason } => vec![reason],
            Self::Plan { occasion, summary, steps } => {
                [occasion, summary].into_iter().chain(steps.iter_mut()).collect()
            }
            Self::NoPlan { occasion, reason } => vec![occasion, reason],
            Self::Step { step, ok: _, result } => vec![step, result],
            Self::Command { command: _, by, outcome } => match outcome {
                CommandOutcome::Accepted(text) | CommandOutcome::AlreadySo(text) => vec![by, text],
                // The core's own words.
                CommandOutcome::Denied(_) => vec![by],
            },
            Self::Reload { what, ok: _, detail } => vec![what, detail],
            Self::Quarantine { what, digest, why, tries: _, next: _ } => vec![what, digest, why],
            Self::Approval { what, digest, asks, by } => {
                [what, digest].into_iter().chain(asks.iter_mut()).chain(by).collect()
            }
            Self::Access { by, what } => vec![by, what],
            Self::Farm { event: _, peer: _, message, by } => [message].into_iter().chain(by).collect(),
            Self::Daemon { message } => vec![message],
        }
    }

    /// Whether a start has failed for so long that an operator should know, although it is retried.
    pub fn is_of_a_start_that_keeps_failing(&self) -> bool {
        matches!(self, Self::Decision { decision, .. } if decision.starts_with(KEEP_TRYING))
    }

    /// All possible values of [`Self::word`].
    pub const WORDS: [&str; 15] = [
        "verdict",
        "incident",
        "cannot-tell",
        "decision",
        "state",
        "plan",
        "no-plan",
        "step",
        "command",
        "reload",
        "quarantine",
        "approval",
        "access",
        "farm",
        "daemon",
    ];

    /// The kind in one word, for storage and queries.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Verdict { .. } => "verdict",
            Self::Incident { .. } => "incident",
            Self::CannotTell { .. } => "cannot-tell",
            Self::Decision { .. } => "decision",
            Self::State { .. } => "state",
            Self::Plan { .. } => "plan",
            Self::NoPlan { .. } => "no-plan",
            Self::Step { .. } => "step",
            Self::Command { .. } => "command",
            Self::Reload { .. } => "reload",
            Self::Quarantine { .. } => "quarantine",
            Self::Approval { .. } => "approval",
            Self::Access { .. } => "access",
            Self::Farm { .. } => "farm",
            Self::Daemon { .. } => "daemon",
        }
    }

    /// The checker that it concerns, if it concerns one.
    pub fn checker(&self) -> Option<&CheckerName> {
        match self {
            Self::Verdict { checker, .. } | Self::CannotTell { checker, .. } => Some(checker),
            Self::Incident { incident } => Some(&incident.checker),
            _ => None,
        }
    }

    /// One sentence, without the time and the module.
    pub fn sentence(&self) -> String {
        match self {
            Self::Verdict { checker, from, to, summary, .. } => {
                format!("checker `{checker}`: {from} → {to}: {summary}")
            }
            Self::Incident { incident } => {
                format!("incident: checker `{}` is down: {}", incident.checker, incident.summary)
            }
            Self::CannotTell { checker, runs, summary } => {
                let runs = match runs {
                    1 => "last run was".to_owned(),
                    runs => format!("last {runs} runs were"),
                };
                format!("checker `{checker}` cannot tell: its {runs} unknown: {summary}")
            }
            Self::Decision { decision, reason } => format!("decided to {decision}: {reason}"),
            Self::State { from, to, reason } => format!("{from} → {to}: {reason}"),
            Self::Plan { occasion, summary, steps } => {
                format!("plan for {occasion}: {summary} ({})", steps.join(", then "))
            }
            Self::NoPlan { occasion, reason } => format!("no plan for {occasion}: {reason}"),
            Self::Step { step, ok, result } => {
                format!("{step}: {}{result}", if *ok { "" } else { "failed: " })
            }
            Self::Command { command, by, outcome } => match outcome {
                CommandOutcome::Accepted(what) => format!("{by} said `{command}`: {what}"),
                CommandOutcome::AlreadySo(why) => format!("{by} said `{command}`: nothing to do, {why}"),
                CommandOutcome::Denied(why) => format!("{by} said `{command}`: denied, {why}"),
            },
            Self::Reload { what, ok, detail } => {
                format!("{what} {}: {detail}", if *ok { "loaded" } else { "refused" })
            }
            Self::Quarantine { what, digest, why, tries, .. } => {
                let again = if *tries > 1 { format!(" again (attempt {tries})") } else { String::new() };
                format!("{what} ({}) is quarantined{again}: {why}", short(digest))
            }
            Self::Approval { what, digest, asks, by } => {
                let (version, asks) = (short(digest), asks.join(", "));
                match by {
                    None => format!("{what} ({version}) waits for approval: it requests {asks}"),
                    Some(by) => format!("{by} approved {what} ({version}), which requests {asks}"),
                }
            }
            Self::Access { by, what } => format!("{by} {what}"),
            Self::Farm { message, by: Some(by), .. } => format!("{by} {message}"),
            Self::Farm { message, by: None, .. } | Self::Daemon { message } => message.clone(),
        }
    }
}

/// Enough of a digest to distinguish versions.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_that_records_are_written_down_with() {
        let unknown = serde_json::from_str::<RecordKind>(r#"{ "kind": "unheard-of" }"#).unwrap_err();
        let words = RecordKind::WORDS.map(|word| format!("`{word}`")).join(", ");
        assert!(unknown.to_string().contains(&format!("expected one of {words}")), "{unknown}");
    }
}
