//! How many requests were answered, and by whom.

use std::collections::BTreeMap;
use std::fmt;

use crate::output::counted;

/// The requests of some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::demo) struct Tally {
    by_node: BTreeMap<String, u64>,
    repeated: u64,
    failed: u64,
}

impl Tally {
    /// A node has answered; perhaps after another could not.
    pub(in crate::demo) fn answered(&mut self, node: &str, elsewhere_before: bool) {
        let answered = self.by_node.entry(node.to_owned()).or_default();
        *answered = answered.saturating_add(1);
        self.repeated = self.repeated.saturating_add(elsewhere_before.into());
    }

    /// No node has answered, or one has reported an error of its own (5xx).
    pub(in crate::demo) fn failed(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// What has come since an earlier one.
    pub(in crate::demo) fn since(&self, earlier: &Self) -> Self {
        let before = |node: &str| earlier.by_node.get(node).copied().unwrap_or_default();
        let by_node = self.by_node.iter().map(|(node, now)| (node.clone(), now.saturating_sub(before(node))));
        Self {
            by_node: by_node.filter(|(_, answered)| *answered > 0).collect(),
            repeated: self.repeated.saturating_sub(earlier.repeated),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }

    /// Whether there were no requests.
    pub(in crate::demo) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `25 requests: 13 answered by node-1, 12 by node-2, none failed`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.by_node.values().fold(self.failed, |all, one| all.saturating_add(*one));
        f.write_str(&counted(usize::try_from(all).unwrap_or(usize::MAX), "request", "requests"))?;
        for (index, (node, answered)) in self.by_node.iter().enumerate() {
            let (before, verb) = if index == 0 { (": ", "answered ") } else { (", ", "") };
            write!(f, "{before}{answered} {verb}by {node}")?;
        }
        let before = if self.by_node.is_empty() { ": " } else { ", " };
        match self.failed {
            0 => write!(f, "{before}none failed")?,
            failed => write!(f, "{before}{failed} failed")?,
        }
        match self.repeated {
            0 => Ok(()),
            1 => f.write_str(" (1 after another node could not be reached)"),
            more => write!(f, " ({more} after another node could not be reached)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_one_sentence() {
        let mut tally = Tally::default();
        assert!(tally.is_empty());
        tally.failed();
        assert_eq!(tally.to_string(), "1 request: 1 failed");
        tally.answered("node-2", false);
        tally.answered("node-1", false);
        tally.answered("node-1", true);
        assert_eq!(
            tally.to_string(),
            "4 requests: 2 answered by node-1, 1 by node-2, 1 failed (1 after another node could not be reached)"
        );
        let before = tally.clone();
        tally.answered("node-1", false);
        let since = tally.since(&before);
        assert_eq!(since.to_string(), "1 request: 1 answered by node-1, none failed");
        assert!(tally.since(&tally.clone()).is_empty() && !tally.is_empty());
    }
}
