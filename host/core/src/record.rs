//! What is written down: one record for everything that happened, with a
//! sentence that a person understands.

use serde::{Deserialize, Serialize};

use crate::command::CommandOutcome;
use crate::id::{CheckerName, ModuleName, NodeName};
use crate::moment::Moment;
use crate::observation::Status;
use crate::plan::{Incident, PastObservation};
use crate::state::StateName;
use crate::verdict::Verdict;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts the records of this node, from 1.
    pub seq: u64,
    /// When.
    pub at: Moment,
    /// Where.
    pub node: NodeName,
    /// To which module, if to one.
    pub module: Option<ModuleName>,
    /// What.
    pub kind: RecordKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RecordKind {
    /// A checker's verdict changed.
    Verdict {
        /// Whose.
        checker: CheckerName,
        /// From.
        from: Verdict,
        /// To.
        to: Verdict,
        /// What its last run saw.
        status: Status,
        /// And said.
        summary: String,
    },
    /// A verdict turned down.
    Incident {
        /// What led to it.
        incident: Incident,
    },
    /// None of a checker's last runs could tell how its resource is: it is not watched any more.
    CannotTell {
        /// Which checker.
        checker: CheckerName,
        /// So many runs in a row, at least.
        runs: u32,
        /// What the last one said.
        summary: String,
    },
    /// What was decided, and why.
    Decision {
        /// In words: `restart (1 of 3 within 24h)`.
        decision: String,
        /// In words.
        reason: String,
    },
    /// The module's state changed.
    State {
        /// From.
        from: StateName,
        /// To.
        to: StateName,
        /// Why, in one sentence.
        reason: String,
    },
    /// A plan was made.
    Plan {
        /// What for.
        occasion: String,
        /// In the script's words.
        summary: String,
        /// Its steps in words.
        steps: Vec<String>,
    },
    /// There is no plan.
    NoPlan {
        /// What for.
        occasion: String,
        /// Why not.
        reason: String,
    },
    /// A step was carried out.
    Step {
        /// Which, in words.
        step: String,
        /// Whether it worked.
        ok: bool,
        /// What came of it.
        result: String,
    },
    /// A person asked for something.
    Command {
        /// What.
        command: crate::command::Command,
        /// Who, and from where.
        by: String,
        /// What became of it.
        outcome: CommandOutcome,
    },
    /// A file was taken over, or refused.
    Reload {
        /// What was read: `checkers/http.wasm`.
        what: String,
        /// Whether it is in force now.
        ok: bool,
        /// What came of it.
        detail: String,
    },
    /// A version of a component does not work and is not tried again for a while.
    Quarantine {
        /// Its file: `checkers/http.wasm`.
        what: String,
        /// BLAKE3 of the file, in hexadecimal.
        digest: String,
        /// What happened.
        why: String,
        /// How often it was tried.
        tries: u32,
        /// Not tried again before.
        next: Moment,
    },
    /// A version of a component asks for more than the one before it, or a person has let it in.
    Approval {
        /// Its file: `checkers/http.wasm`.
        what: String,
        /// BLAKE3 of the file, in hexadecimal.
        digest: String,
        /// What it asks for beyond the version before it and its grants, in the notation of grants.
        asks: Vec<String>,
        /// Who let it in, and from where; nobody as long as it waits.
        by: Option<String>,
    },
    /// A person signed in, or did something that is no command: a user added, a checker run.
    Access {
        /// Who, and from where.
        by: String,
        /// What, as a sentence goes on behind the name: `signed in`.
        what: String,
    },
    /// The daemon started, stopped, or has something to say of itself.
    Daemon {
        /// In words.
        message: String,
    },
}

/// The decision when the time of a suspension is over.
pub(crate) const ACT_AGAIN: &str = "act on checkers again";

/// How the decision begins to try a start again that has failed for some time.
pub(crate) const KEEP_TRYING: &str = "keep trying";

impl RecordKind {
    /// All texts in it, as [`Event::texts`](crate::event::Event::texts) has them.
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
            Self::Daemon { message } => vec![message],
        }
    }

    /// Whether a start has failed for so long that a person should know of it, although it is tried
    /// again.
    pub fn is_of_a_start_that_keeps_failing(&self) -> bool {
        matches!(self, Self::Decision { decision, .. } if decision.starts_with(KEEP_TRYING))
    }

    /// All that [`Self::word`] says.
    pub const WORDS: [&str; 14] = [
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
        "daemon",
    ];

    /// The kind in one word, as it is written down and asked for.
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
            Self::Daemon { .. } => "daemon",
        }
    }

    /// The checker that it is about, if it is about one.
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
            Self::Daemon { message } => message.clone(),
        }
    }
}

/// Enough of a digest to tell versions apart.
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
