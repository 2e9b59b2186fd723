//! The queries for journal records.

use bellwether_core::id::{CheckerName, ModuleName};

use bellwether_bus::Entry;

/// A query for records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of this module only.
    pub module: Option<ModuleName>,
    /// Of this kind only: `verdict`, `state`, …
    pub kind: Option<String>,
    /// About this checker only.
    pub checker: Option<CheckerName>,
    /// With this in the text; ASCII letters are compared without case.
    pub search: Option<String>,
    /// Not older than this, by the wall clock of then, in microseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Not newer than this, in microseconds since the Unix epoch.
    pub until: Option<i64>,
    /// After the record with this number.
    pub after: Option<u64>,
    /// Before the record with this number.
    pub before: Option<u64>,
    /// The maximum number: the latest ones; with `after`, the first ones after it.
    pub limit: usize,
}

impl RecordQuery {
    /// Whether a record matches. The limit is not considered.
    pub fn wants(&self, entry: &Entry) -> bool {
        self.module.as_ref().is_none_or(|module| entry.module.as_ref() == Some(module))
            && self.since.is_none_or(|since| entry.wall >= since)
            && self.until.is_none_or(|until| entry.wall <= until)
            && self.after.is_none_or(|after| entry.seq > after)
            && self.before.is_none_or(|before| entry.seq < before)
            && self.kind.as_ref().is_none_or(|kind| entry.kind.word() == kind)
            && self.checker.as_ref().is_none_or(|checker| entry.kind.checker() == Some(checker))
            && self.search.as_ref().is_none_or(|text| contains(&entry.kind.sentence(), text))
    }

    /// Truncates the matching records, the latest last, to the limit.
    pub fn limited<T>(&self, mut wanted: Vec<T>) -> Vec<T> {
        if self.after.is_some() {
            wanted.truncate(self.limit);
        } else {
            let surplus = wanted.len().saturating_sub(self.limit);
            wanted.drain(..surplus);
        }
        wanted
    }
}

fn contains(text: &str, searched: &str) -> bool {
    text.to_ascii_lowercase().contains(&searched.to_ascii_lowercase())
}
