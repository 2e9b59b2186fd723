//! Present problems of the daemon itself, for everything that shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Sentences, by the part that reports them. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Arc<ArcSwap<BTreeMap<&'static str, Vec<String>>>>);

impl Diagnostics {
    /// One sentence for each problem.
    pub fn sentences(&self) -> Vec<String> {
        self.0.load().values().flatten().cloned().collect()
    }

    /// Sets the problems that `who` reports, in place of its previous ones. An empty list means that there are
    /// none.
    pub fn set(&self, who: &'static str, sentences: &[String]) {
        let same = self.0.load().get(who).map_or(sentences.is_empty(), |before| before == sentences);
        if !same {
            self.0.rcu(|all| {
                let mut all = BTreeMap::clone(all);
                all.insert(who, sentences.to_vec());
                all
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_takes_back_only_what_they_said_themselves() {
        let problems = Diagnostics::default();
        problems.set("watchdog", &["a".to_owned(), "b".to_owned()]);
        problems.set("node file", &["c".to_owned()]);
        assert_eq!(problems.sentences(), ["c", "a", "b"]);
        problems.set("watchdog", &[]);
        assert_eq!(problems.sentences(), ["c"]);
    }
}
