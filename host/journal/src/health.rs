//! The state of the journal, for `status`, the metrics and the watchdog.

use std::time::Duration;

use bellwether_core::counting::counted as plural;
use bellwether_os::clock::timestamp;

/// The state of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalHealth {
    /// Why it cannot be written, if it cannot.
    pub failing: Option<Failing>,
    /// Records that wait to be written.
    pub waiting: u64,
    /// Records that could not be kept until the disk works again. Reset once that has been reported.
    pub lost: u64,
    /// Inputs, checkpoints and measurements that could not be kept, since the daemon's start.
    pub replay_lost: u64,
    /// Records written since the daemon's start.
    pub written: u64,
    /// The duration of the last batch.
    pub last_batch: Duration,
    /// Damage that was found since the daemon's start, in words.
    pub damaged: Vec<String>,
}

/// The journal cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Since when, in microseconds since the Unix epoch.
    pub since: i64,
    /// The error in plain words.
    pub why: String,
}

impl JournalHealth {
    /// Problems that an operator should know about, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.damaged.clone();
        if let Some(failing) = &self.failing {
            problems.push(format!(
                "the journal cannot be written since {}: {}; {}, {} lost",
                timestamp(failing.since),
                failing.why,
                plural(self.waiting, "record waits", "records wait"),
                plural(self.lost, "is", "are")
            ));
        }
        problems
    }
}

/// For example `1 record`, `2 records`.
pub(super) fn counted(records: u64) -> String {
    plural(records, "record", "records")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_cannot_be_written_says_since_when_why_and_what_it_costs() {
        let failing = Some(Failing { since: 1_774_000_000_000_000, why: "disk full".to_owned() });
        let health = JournalHealth { failing, waiting: 3, lost: 1, ..JournalHealth::default() };
        let told = "the journal cannot be written since 2026-03-20T09:46:40.000Z: disk full; \
                    3 records wait, 1 is lost";
        assert_eq!(health.problems(), [told]);
        assert!(JournalHealth::default().problems().is_empty());
    }
}
