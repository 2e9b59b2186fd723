//! Which files have changed and are whole. Pure: what is on disk comes in.
//!
//! ```text
//!   known ──differs──▶ unsettled ──the same at two looks──▶ ready
//!                         ▲ │
//!                         └─┘ still being written
//! ```
//! What is missing is judged elsewhere: [`Vanished`](bellwether_core::vanished::Vanished).

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

/// What is on disk at one moment.
pub(super) type Listing<K> = BTreeMap<K, Stamp>;

/// What a look at the folders says of the files that are there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look<K> {
    /// New or different, and the same as at the look before: can be read.
    pub(super) ready: Vec<K>,
    /// Different from the look before: perhaps still being written.
    pub(super) changing: Vec<K>,
}

/// Compares the present listing with the one before and with what is known.
pub(super) fn look<K: Ord + Clone>(known: &Listing<K>, before: &Listing<K>, present: &Listing<K>) -> Look<K> {
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
    Look { ready, changing }
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
        let growing = look(&known, &listing(&[("a", 2)]), &listing(&[("a", 3)]));
        assert_eq!(growing, Look { ready: vec![], changing: vec!["a"] });
        let whole = look(&known, &listing(&[("a", 3)]), &listing(&[("a", 3)]));
        assert_eq!(whole, Look { ready: vec!["a"], changing: vec![] });
    }

    #[test]
    fn what_is_known_already_is_left_alone() {
        let same = listing(&[("a", 1)]);
        assert_eq!(look(&same, &same, &same), Look { ready: vec![], changing: vec![] });
    }
}
