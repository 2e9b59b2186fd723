//! What is asked of the records.

use bellwether_core::id::{CheckerName, ModuleName};

use bellwether_bus::Entry;

/// Which records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of this module only.
    pub module: Option<ModuleName>,
    /// Of this kind only: `verdict`, `state`, …
    pub kind: Option<String>,
    /// About this checker only.
    pub checker: Option<CheckerName>,
    /// With this in the text; large and small letters of ASCII are the same.
    pub search: Option<String>,
    /// Not older than this, by the wall clock of then, in microseconds after the Unix epoch.
    pub since: Option<i64>,
    /// Not younger than this, likewise.
    pub until: Option<i64>,
    /// Behind this number.
    pub after: Option<u64>,
    /// Before this number.
    pub before: Option<u64>,
    /// At most so many: the latest ones; with `after`, the first ones behind it.
    pub limit: usize,
}

impl RecordQuery {
    /// Whether a record is asked for. The limit is not looked at.
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

    /// Cuts what is wanted, the latest last, down to the limit.
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
