//! Which files have changed and are completely written.
//!
//! ```text
//!   known ──differs──▶ changing ──the same at two looks──▶ ready
//!                         ▲ │
//!                         └─┘ still being written
//! ```
//! Missing files are handled elsewhere: see [`Vanished`](crate::vanished::Vanished).

use super::file::Listing;

/// The result of a scan for the files that exist.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look<K> {
    /// New or different, and unchanged since the previous scan: can be read.
    pub(super) ready: Vec<K>,
    /// Different from the previous scan: may still be being written.
    pub(super) changing: Vec<K>,
}

/// Compares the present listing with the previous one and with the known files.
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
    use super::super::file::Stamp;
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
