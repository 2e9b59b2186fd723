//! Which files have changed and are whole. Pure: what is on disk comes in.
//!
//! ```text
//!   known ──differs──▶ unsettled ──the same at two looks──▶ ready
//!                         ▲ │
//!                         └─┘ still being written
//! ```

use std::collections::BTreeMap;

/// What tells one version of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// In bytes.
    pub(super) size: u64,
    /// Last change of the content, in nanoseconds after the Unix epoch.
    pub(super) modified: i128,
    /// Last change of the file itself, likewise. Differs even if a program sets the time above back.
    pub(super) changed: i128,
    /// Differs when another file takes the place of this one.
    pub(super) inode: u64,
    /// The file system that it is on: numbers of another one mean nothing.
    pub(super) device: u64,
    /// Of the signature beside it, if there is one: number, size and last change.
    pub(super) signature: Option<(u64, u64, i128)>,
}

/// So many looks in a row must miss a file: a tool that copies over it in two
/// steps, with a slow disk between them, does not remove it.
pub(super) const LOOKS_UNTIL_GONE: u32 = 8;

/// What is on disk at one moment.
pub(super) type Listing<K> = BTreeMap<K, Stamp>;

/// What a look at the folders says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look<K> {
    /// New or different, and the same as at the look before: can be read.
    pub(super) ready: Vec<K>,
    /// Known, and not there any more, for [`LOOKS_UNTIL_GONE`] looks.
    pub(super) gone: Vec<K>,
    /// Different from the look before: perhaps still being written.
    pub(super) changing: Vec<K>,
    /// Something is changing, or missing: look again soon.
    pub(super) unsettled: bool,
}

/// Compares the present listing with the one before and with what is known.
pub(super) fn look<K: Ord + Clone>(
    known: &Listing<K>,
    before: &Listing<K>,
    present: &Listing<K>,
    missed: &mut BTreeMap<K, u32>,
) -> Look<K> {
    let (mut ready, mut changing) = (Vec::new(), Vec::new());
    for (file, stamp) in present {
        if known.get(file) == Some(stamp) {
            continue;
        }
        if before.get(file) == Some(stamp) {
            ready.push(file.clone());
        } else {
            changing.push(file.clone());
        }
    }
    let mut unsettled = !changing.is_empty();
    let mut gone = Vec::new();
    missed.retain(|file, _| known.contains_key(file) && !present.contains_key(file));
    for file in known.keys().filter(|file| !present.contains_key(*file)) {
        // A file that is replaced may be missing for a moment.
        let looks = missed.entry(file.clone()).or_default();
        *looks += 1;
        if *looks < LOOKS_UNTIL_GONE {
            unsettled = true;
        } else {
            gone.push(file.clone());
        }
    }
    Look { ready, gone, changing, unsettled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&'static str, u64)]) -> Listing<&'static str> {
        let stamp = |size| Stamp { size, modified: 0, changed: 0, inode: 1, device: 1, signature: None };
        files.iter().map(|(name, size)| (*name, stamp(*size))).collect()
    }

    #[test]
    fn a_file_is_ready_when_it_is_the_same_at_two_looks() {
        let known = listing(&[("a", 1)]);
        let mut missed = BTreeMap::new();
        let growing = look(&known, &listing(&[("a", 2)]), &listing(&[("a", 3)]), &mut missed);
        assert_eq!(growing, Look { ready: vec![], gone: vec![], changing: vec!["a"], unsettled: true });
        let whole = look(&known, &listing(&[("a", 3)]), &listing(&[("a", 3)]), &mut missed);
        assert_eq!(whole, Look { ready: vec!["a"], gone: vec![], changing: vec![], unsettled: false });
    }

    #[test]
    fn a_file_is_gone_when_many_looks_in_a_row_miss_it() {
        let known = listing(&[("a", 1), ("b", 1)]);
        let (without, mut missed) = (listing(&[("b", 1)]), BTreeMap::new());
        for _ in 1..LOOKS_UNTIL_GONE {
            let seen = look(&known, &known, &without, &mut missed);
            assert_eq!(seen, Look { ready: vec![], gone: vec![], changing: vec![], unsettled: true });
        }
        let seen = look(&known, &without, &without, &mut missed);
        assert_eq!(seen, Look { ready: vec![], gone: vec!["a"], changing: vec![], unsettled: false });
    }

    #[test]
    fn a_file_that_comes_back_was_never_gone() {
        let known = listing(&[("a", 1)]);
        let mut missed = BTreeMap::new();
        for present in [listing(&[]), known.clone()].iter().cycle().take(40) {
            assert_eq!(look(&known, &known, present, &mut missed).gone, Vec::<&str>::new());
        }
    }

    #[test]
    fn what_is_known_already_is_left_alone() {
        let same = listing(&[("a", 1)]);
        assert_eq!(
            look(&same, &same, &same, &mut BTreeMap::new()),
            Look { ready: vec![], gone: vec![], changing: vec![], unsettled: false }
        );
    }
}
