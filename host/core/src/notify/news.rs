//! The meaning of a record for notifications.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::command::{Command, CommandOutcome};
use crate::id::NodeName;
use crate::record::{ACT_AGAIN, FarmEvent, Record, RecordKind};
use crate::state::StateName;
use crate::verdict::Verdict;

/// The topics of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The module has failed and waits for an operator, or has not started for a minute. Lasts until it is up, or
    /// stopped.
    Failed,
    /// A checker went down while the application should be running: lasts until it is up. Or it can no longer
    /// determine its status: lasts until it is up or down.
    Incident,
    /// A prerequisite is down. Lasts until the module continues.
    Waiting,
    /// The application is restarted, automatically or by a user.
    Restart,
    /// An alert that was sent is over.
    Recovered,
    /// Automatic actions are suspended (maintenance). Lasts until `resume`.
    Suspended,
    /// A user gave a command, and it was accepted.
    Command,
    /// A file was rejected. Lasts until it is active, or gone.
    Refused,
    /// A version of a component does not work. Lasts until it is active, or gone.
    Quarantine,
    /// A version of a component waits for approval. Lasts until it is active, or gone.
    Approval,
    /// A node of the farm is not heard any more: lasts until it is heard, or is no longer of the farm. Or a
    /// certificate of the farm expires soon: lasts until it is renewed.
    Farm,
    /// Events of the daemon itself: it started, something was damaged.
    Daemon,
}

impl Topic {
    pub const ALL: [Self; 12] = [
        Self::Failed,
        Self::Incident,
        Self::Waiting,
        Self::Restart,
        Self::Recovered,
        Self::Suspended,
        Self::Command,
        Self::Refused,
        Self::Quarantine,
        Self::Approval,
        Self::Farm,
        Self::Daemon,
    ];

    /// The default topics: those that affect the users of an application or will, and their end.
    pub const DEFAULT: [Self; 5] = [Self::Failed, Self::Incident, Self::Waiting, Self::Farm, Self::Recovered];

    /// The word for it in files and notifications.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Incident => "incident",
            Self::Waiting => "waiting",
            Self::Restart => "restart",
            Self::Recovered => "recovered",
            Self::Suspended => "suspended",
            Self::Command => "command",
            Self::Refused => "refused",
            Self::Quarantine => "quarantine",
            Self::Approval => "approval",
            Self::Farm => "farm",
            Self::Daemon => "daemon",
        }
    }

    /// Whether it lasts until it is over. The others are single events.
    pub fn lasts(self) -> bool {
        !matches!(self, Self::Restart | Self::Command | Self::Daemon)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A change that a notification reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AlertChange {
    /// Something begins, or just happens.
    Begins { topic: Topic, about: String, summary: String },
    /// An alert is over.
    Ends { topic: Topic, about: String, why: String },
    /// All alerts of this module are over.
    AllEnds { why: String },
}

fn begins(topic: Topic, about: &str, summary: impl Into<String>) -> AlertChange {
    AlertChange::Begins { topic, about: about.to_owned(), summary: summary.into() }
}

fn ends(topic: Topic, about: &str, why: impl Into<String>) -> AlertChange {
    AlertChange::Ends { topic, about: about.to_owned(), why: why.into() }
}

/// Appended to the name of a checker that cannot determine its status, which is a different alert from its being
/// down: a later outage must be sent although the unknown status was. Names contain no spaces.
const CANNOT_TELL: &str = " (cannot tell)";

/// Why the alert of a checker that could not tell is over.
pub(super) const SEES_AGAIN: &str = "the checker can tell again";

fn blindness(checker: &str) -> String {
    format!("{checker}{CANNOT_TELL}")
}

/// The checker that cannot determine its status, if the incident is about one.
pub(super) fn blind_checker(about: &str) -> Option<&str> {
    about.strip_suffix(CANNOT_TELL)
}

/// In the order in which it happened.
pub(super) fn news(record: &Record) -> Vec<AlertChange> {
    match &record.kind {
        RecordKind::Verdict { checker, to: Verdict::Up, summary, .. } => {
            let why = format!("it is up: {summary}");
            let blindness = blindness(checker.as_str());
            vec![
                ends(Topic::Incident, &blindness, why.as_str()),
                ends(Topic::Incident, checker.as_str(), why),
            ]
        }
        RecordKind::Verdict { checker, to: Verdict::Down, .. } => {
            vec![ends(Topic::Incident, &blindness(checker.as_str()), SEES_AGAIN)]
        }
        RecordKind::Incident { incident } => {
            let checker = incident.checker.as_str();
            vec![
                ends(Topic::Incident, &blindness(checker), SEES_AGAIN),
                begins(
                    Topic::Incident,
                    checker,
                    format!("checker `{checker}` is down: {}", incident.summary),
                ),
            ]
        }
        RecordKind::CannotTell { checker, .. } => {
            vec![begins(Topic::Incident, &blindness(checker.as_str()), record.kind.sentence())]
        }
        RecordKind::State { from, to, reason } => state(*from, *to, reason),
        RecordKind::Command { command, by, outcome: CommandOutcome::Accepted(what) } => {
            let mut changes =
                vec![begins(Topic::Command, command.word(), format!("{by} said `{command}`: {what}"))];
            match command {
                Command::Suspend => {
                    changes.push(begins(
                        Topic::Suspended,
                        "",
                        format!("{by} has suspended it: no automatic action is taken"),
                    ));
                }
                Command::Resume => changes.push(ends(Topic::Suspended, "", format!("{by} has resumed it"))),
                Command::Start | Command::Stop | Command::Restart | Command::Reset | Command::Confirm => {}
            }
            changes
        }
        RecordKind::Reload { what, ok: true, .. } => {
            let over = |topic| ends(topic, what, "the file is active, or removed");
            vec![over(Topic::Refused), over(Topic::Quarantine), over(Topic::Approval)]
        }
        RecordKind::Reload { what, ok: false, .. } => {
            vec![begins(Topic::Refused, what, record.kind.sentence())]
        }
        RecordKind::Quarantine { what, .. } => vec![begins(Topic::Quarantine, what, record.kind.sentence())],
        RecordKind::Approval { what, by: None, .. } => {
            vec![begins(Topic::Approval, what, record.kind.sentence())]
        }
        RecordKind::Approval { what, by: Some(_), .. } => {
            vec![ends(Topic::Approval, what, record.kind.sentence())]
        }
        RecordKind::Decision { decision, reason } if decision == ACT_AGAIN => {
            vec![ends(Topic::Suspended, "", reason.as_str())]
        }
        RecordKind::Decision { reason, .. } if record.kind.is_of_a_start_that_keeps_failing() => {
            vec![begins(Topic::Failed, "", format!("it does not start, and is being retried: {reason}"))]
        }
        RecordKind::Farm { event, peer, message, by: _ } => {
            farm(*event, peer.as_ref(), message).into_iter().collect()
        }
        RecordKind::Daemon { message } => vec![begins(Topic::Daemon, "", message)],
        RecordKind::Verdict { .. }
        | RecordKind::Access { .. }
        | RecordKind::Decision { .. }
        | RecordKind::Plan { .. }
        | RecordKind::NoPlan { .. }
        | RecordKind::Step { .. }
        | RecordKind::Command { .. } => Vec::new(),
    }
}

/// The subject of the alert that something expires. It is the name of no node: names contain no spaces.
const EXPIRY: &str = "expires soon";

fn farm(event: FarmEvent, peer: Option<&NodeName>, message: &str) -> Option<AlertChange> {
    match (event, peer) {
        (FarmEvent::NotHeard, Some(peer)) => Some(begins(Topic::Farm, peer.as_str(), message)),
        (FarmEvent::Heard, Some(peer)) => Some(ends(Topic::Farm, peer.as_str(), "it is heard again")),
        (FarmEvent::Left, Some(peer)) => {
            Some(ends(Topic::Farm, peer.as_str(), "it is no longer a node of the farm"))
        }
        (FarmEvent::Expires, _) => Some(begins(Topic::Farm, EXPIRY, message)),
        (FarmEvent::Renewed, _) => Some(ends(Topic::Farm, EXPIRY, message)),
        (FarmEvent::NotHeard | FarmEvent::Heard | FarmEvent::Left, None)
        | (FarmEvent::Joined | FarmEvent::Note, _) => None,
    }
}

fn state(from: StateName, to: StateName, reason: &str) -> Vec<AlertChange> {
    let mut changes = Vec::new();
    if from == StateName::Waiting {
        changes.push(ends(Topic::Waiting, "", "the prerequisite is up"));
    }
    match to {
        StateName::Failed => changes.push(begins(Topic::Failed, "", reason)),
        StateName::Waiting => changes.push(begins(Topic::Waiting, "", reason)),
        StateName::Restarting | StateName::Backoff => changes.push(begins(Topic::Restart, "", reason)),
        StateName::Up => changes.push(ends(Topic::Failed, "", "it is up again")),
        StateName::Stopped => {
            changes.push(AlertChange::AllEnds { why: format!("the module is stopped: {reason}") });
        }
        StateName::Starting | StateName::Draining | StateName::Stopping => {}
    }
    changes
}
