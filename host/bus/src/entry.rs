//! A record as it is kept: with the wall clock beside it.

use std::ops::Deref;

use bellwether_core::moment::Moment;
use bellwether_core::record::{Record, RecordKind};

use bellwether_os::clock::timestamp;

/// A record, and what the wall clock said when it was written down. A clock
/// that is set later does not move it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What happened.
    pub record: Record,
    /// When, in microseconds after the Unix epoch.
    pub wall: i64,
}

/// What an entry costs besides its texts, about.
const COST: usize = 400;

impl Entry {
    /// A moment of this record as the wall clock had it then: RFC 3339 in UTC.
    pub fn timestamp(&self, moment: Moment) -> String {
        timestamp(self.wall.saturating_add(moment.as_micros().saturating_sub(self.record.at.as_micros())))
    }

    /// The memory it takes, about, in bytes.
    pub fn weight(&self) -> usize {
        let texts = match &self.record.kind {
            RecordKind::Incident { incident } => {
                incident.observations.iter().map(|o| o.summary.len() + 64).sum::<usize>()
                    + incident.summary.len()
            }
            RecordKind::Plan { summary, steps, .. } => {
                summary.len() + steps.iter().map(|step| step.len() + 24).sum::<usize>()
            }
            RecordKind::Verdict { summary: text, .. }
            | RecordKind::CannotTell { summary: text, .. }
            | RecordKind::Decision { reason: text, .. }
            | RecordKind::State { reason: text, .. }
            | RecordKind::NoPlan { reason: text, .. }
            | RecordKind::Step { result: text, .. }
            | RecordKind::Reload { detail: text, .. }
            | RecordKind::Quarantine { why: text, .. }
            | RecordKind::Daemon { message: text } => text.len(),
            RecordKind::Approval { asks, .. } => asks.iter().map(|ask| ask.len() + 24).sum(),
            RecordKind::Command { by, .. } => by.len(),
            RecordKind::Access { by, what } => by.len() + what.len(),
        };
        COST + texts
    }
}

impl Deref for Entry {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_beside_a_record_keeps_its_distance_whatever_the_time_line() {
        let record = Record {
            seq: 1,
            at: Moment::from_micros(50_000_000),
            node: "n".parse().unwrap(),
            module: None,
            kind: RecordKind::Daemon { message: String::new() },
        };
        let entry = Entry { record, wall: 1_774_000_000_000_000 };
        assert_eq!(entry.timestamp(entry.at), "2026-03-20T09:46:40.000Z");
        assert_eq!(entry.timestamp(Moment::from_micros(48_500_000)), "2026-03-20T09:46:38.500Z");
    }
}
