//! A record as it is stored, with the wall-clock time.

use std::ops::Deref;

use bellwether_core::moment::Moment;
use bellwether_core::record::{Record, RecordKind};

use bellwether_os::clock::timestamp;

/// A record, and the wall-clock time at which it was written. Setting the clock later does not change it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub record: Record,
    /// The wall-clock time, in microseconds since the Unix epoch.
    pub wall: i64,
}

/// The approximate size of an entry without its texts.
const COST: usize = 400;

impl Entry {
    /// A moment of this record in the wall-clock time of then: RFC 3339 in UTC.
    pub fn timestamp(&self, moment: Moment) -> String {
        timestamp(self.wall.saturating_add(moment.as_micros().saturating_sub(self.record.at.as_micros())))
    }

    /// The approximate memory it takes, in bytes.
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
            RecordKind::Farm { message, by, .. } => message.len() + by.as_ref().map_or(0, String::len),
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
