//! Whether files that are missing from a folder were removed.
//!
//! ```text
//!   there ──missing──▶ one or a few ────────────────────▶ removed, after 8 looks in a row
//!     ▲                much at once, all, another folder ─▶ removed, after a minute, ten minutes
//!     │                the folder is away ───────────────▶ (never removed)
//!     └──────────────── there again ◀──────────────────────┘
//! ```
//! A file that an operator removes is one of several in a folder that is otherwise the same as before. A file
//! system that is unmounted, a mount that is missing, a share that lists nothing for a while or a deployment that
//! removes everything before it writes it again look different, and are not decisions. Active versions stay active
//! for this time, and the problem is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::moment::{Moment, plain};

/// The number of scans in a row that must miss a file: a tool that replaces it in two steps, with a slow disk
/// between them, does not remove it.
pub const LOOKS_UNTIL_GONE: u32 = 8;
/// The time limit when more files disappeared at once than are left, from a folder that is the same as before.
pub const MANY_BELIEVED_AFTER: Duration = Duration::from_mins(1);
/// The time limit when all files disappeared, or an empty folder has taken the place of theirs.
pub const ALL_BELIEVED_AFTER: Duration = Duration::from_mins(10);
/// The maximum number of names that are shown.
const SHOWN: usize = 5;

/// What exists in the place of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderFound {
    /// The same folder.
    Same,
    /// Another one: a mount, or a link with another target.
    Another,
    /// Neither a folder nor a link exists there.
    Away,
}

/// The result of a scan of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight<K> {
    /// What stands there.
    pub found: FolderFound,
    /// How many of its files there are, those that are new included.
    pub present: usize,
    /// The files that existed before and do not now.
    pub missing: BTreeSet<K>,
    /// The folder is rarely meant to be empty: it is doubted even that its last file was removed.
    pub seldom_empty: bool,
}

/// Why missing files do not count as removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// More files disappeared at once than are left.
    Many,
    /// All did: several, or the only one of a folder that is rarely empty.
    All,
    /// An empty folder has taken the place of theirs.
    Another,
    /// There is no folder.
    Away,
}

/// Files that are missing and stay active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt<K> {
    /// The names of the files.
    pub files: BTreeSet<K>,
    /// Why they stay active.
    pub why: Why,
    /// When they count as removed, if they are still missing; `None`: not at all.
    pub until: Option<Moment>,
}

/// The conclusion after a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belief<K> {
    /// The files that were removed.
    pub gone: BTreeSet<K>,
    /// Undecided files, which will soon be decided: scan again.
    pub unsettled: bool,
    /// Missing files that do not seem to have been removed.
    pub doubt: Option<Doubt<K>>,
}

/// The missing files of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vanished<K> {
    missing: BTreeMap<K, Missing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missing {
    since: Moment,
    looks: u32,
}

impl<K> Default for Vanished<K> {
    fn default() -> Self {
        Self { missing: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Vanished<K> {
    /// Handles a scan. `confirmed`: a user has asked for everything to be read again, and so knows about it. That
    /// counts for a folder that exists and is the same.
    pub fn look(&mut self, sight: &Sight<K>, confirmed: bool, now: Moment) -> Belief<K> {
        self.missing.retain(|file, _| sight.missing.contains(file));
        for file in &sight.missing {
            let missing = self.missing.entry(file.clone()).or_insert(Missing { since: now, looks: 0 });
            missing.looks = missing.looks.saturating_add(1);
        }
        let Some(why) = doubt(sight) else {
            let is_gone = |(_, missing): &(&K, &Missing)| missing.looks >= LOOKS_UNTIL_GONE;
            let gone: BTreeSet<K> =
                self.missing.iter().filter(is_gone).map(|(file, _)| file.clone()).collect();
            return Belief { unsettled: gone.len() < self.missing.len(), gone, doubt: None };
        };
        let last = self.missing.values().map(|missing| missing.since).max().unwrap_or(now);
        let until = why.believed_after().map(|after| last + after);
        let confirmed = confirmed && matches!(why, Why::Many | Why::All);
        if confirmed || until.is_some_and(|until| now >= until) {
            return Belief { gone: sight.missing.clone(), unsettled: false, doubt: None };
        }
        Belief {
            gone: BTreeSet::new(),
            unsettled: false,
            doubt: Some(Doubt { files: sight.missing.clone(), why, until }),
        }
    }
}

/// Whether missing files may not have been removed, and why.
fn doubt<K>(sight: &Sight<K>) -> Option<Why> {
    let missing = sight.missing.len();
    match sight.found {
        _ if missing == 0 => None,
        FolderFound::Away => Some(Why::Away),
        FolderFound::Another if sight.present == 0 => Some(Why::Another),
        FolderFound::Same | FolderFound::Another if sight.present >= missing => None,
        FolderFound::Same | FolderFound::Another if missing == 1 && !sight.seldom_empty => None,
        FolderFound::Same | FolderFound::Another if sight.present == 0 => Some(Why::All),
        FolderFound::Same | FolderFound::Another => Some(Why::Many),
    }
}

impl Why {
    fn believed_after(self) -> Option<Duration> {
        match self {
            Self::Many => Some(MANY_BELIEVED_AFTER),
            Self::All | Self::Another => Some(ALL_BELIEVED_AFTER),
            Self::Away => None,
        }
    }

    /// As the beginning of a sentence about this folder.
    fn what(self, folder: &str, count: usize) -> String {
        match self {
            Self::Many => format!("{count} files disappeared from {folder}/ at once"),
            Self::All if count == 1 => format!("the only file disappeared from {folder}/"),
            Self::All => format!("all {count} files disappeared from {folder}/ at once"),
            Self::Another => {
                format!("{folder}/ is another folder than before, and empty (is a mount missing?)")
            }
            Self::Away => format!("{folder}/ is missing"),
        }
    }

    /// What an operator can do.
    fn next(self) -> &'static str {
        match self {
            Self::Many | Self::All => {
                "to remove them, reload the daemon (`systemctl reload bellwether`, or SIGHUP)"
            }
            Self::Another => "mount it, or restore the files; to remove them, wait, or restart the daemon",
            Self::Away => "mount it, or restore it; to remove its files, create an empty folder of that name",
        }
    }
}

impl<K: ToString> Doubt<K> {
    /// For `status`. `at` formats a moment.
    pub fn sentence(&self, folder: &str, at: impl Fn(Moment) -> String) -> String {
        let count = self.files.len();
        let mut names: Vec<String> = self.files.iter().take(SHOWN).map(ToString::to_string).collect();
        if count > SHOWN {
            names.push(format!("{} more", count - SHOWN));
        }
        let names = names.join(", ");
        let until = match self.until.zip(self.why.believed_after()) {
            Some((until, after)) => format!("until {} ({} after it disappeared)", at(until), plain(after)),
            None => "until it is back".to_owned(),
        };
        let (what, next) = (self.why.what(folder, count), self.why.next());
        format!("{what}: the previous files stay active {until}: {names}; {next}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOOK: Duration = Duration::from_millis(120);

    fn sight(found: FolderFound, present: usize, missing: &[&'static str]) -> Sight<&'static str> {
        Sight { found, present, missing: missing.iter().copied().collect(), seldom_empty: false }
    }

    /// How long after the disappearance it counts as a removal, if nothing changes for an hour.
    fn believed_after(sight: &Sight<&'static str>) -> Option<Duration> {
        let (mut vanished, begun) = (Vanished::default(), Moment::from_micros(1_000_000));
        let mut now = begun;
        while now.since(begun) < Duration::from_hours(1) {
            let belief = vanished.look(sight, false, now);
            if !belief.gone.is_empty() {
                assert_eq!((belief.gone, belief.doubt), (sight.missing.clone(), None));
                return Some(now.since(begun));
            }
            assert!(belief.doubt.is_none_or(|doubt| doubt.files == sight.missing));
            now = now + if belief.unsettled { LOOK } else { Duration::from_secs(1) };
        }
        None
    }

    #[test]
    fn what_is_believed_after_how_long() {
        use FolderFound::{Another, Away, Same};
        let few = Some(LOOK * 7);
        for (found, present, missing, after) in [
            // A person removes a file, also the last one, or renames some.
            (Same, 3, &["a"][..], few),
            (Same, 0, &["a"], few),
            (Same, 2, &["a", "b"], few),
            // A link with a newer set of files as its target, with one fewer.
            (Another, 3, &["a"], few),
            (Same, 1, &["a", "b"], Some(MANY_BELIEVED_AFTER)),
            (Another, 1, &["a", "b"], Some(MANY_BELIEVED_AFTER)),
            (Same, 0, &["a", "b"], Some(ALL_BELIEVED_AFTER)),
            (Another, 0, &["a"], Some(ALL_BELIEVED_AFTER)),
            (Away, 0, &["a"], None),
            (Away, 0, &["a", "b"], None),
            (Same, 0, &[], None),
        ] {
            assert_eq!(
                believed_after(&sight(found, present, missing)),
                after,
                "{found:?} {present} {missing:?}"
            );
        }
    }

    #[test]
    fn the_last_file_of_a_folder_that_is_seldom_empty_is_doubted() {
        use FolderFound::{Another, Same};
        let sight = |found, present| Sight { seldom_empty: true, ..sight(found, present, &["a"]) };
        for (found, present, after) in [
            (Same, 0, ALL_BELIEVED_AFTER),
            (Another, 0, ALL_BELIEVED_AFTER),
            // One of several, and one that was renamed.
            (Same, 3, LOOK * 7),
            (Same, 1, LOOK * 7),
        ] {
            assert_eq!(believed_after(&sight(found, present)), Some(after), "{found:?} {present}");
        }
        let doubt = Vanished::default().look(&sight(Same, 0), false, Moment::default()).doubt.unwrap();
        assert!(
            doubt
                .sentence("modules", |_| String::new())
                .starts_with("the only file disappeared from modules/: ")
        );
        let belief = Vanished::default().look(&sight(Same, 0), true, Moment::default());
        assert_eq!(belief.gone.len(), 1, "a person knows of it");
    }

    #[test]
    fn a_person_who_asks_for_a_look_is_believed_at_once_if_the_folder_is_the_same() {
        for (found, present, believed) in [
            (FolderFound::Same, 0, true),
            (FolderFound::Same, 1, true),
            (FolderFound::Another, 0, false),
            (FolderFound::Away, 0, false),
        ] {
            let belief =
                Vanished::default().look(&sight(found, present, &["a", "b"]), true, Moment::default());
            assert_eq!(!belief.gone.is_empty(), believed, "{found:?} {present}");
        }
    }

    #[test]
    fn one_more_that_vanishes_begins_the_time_anew() {
        let (mut vanished, begun) = (Vanished::default(), Moment::default());
        vanished.look(&sight(FolderFound::Same, 1, &["a", "b"]), false, begun);
        let later = begun + MANY_BELIEVED_AFTER / 2;
        let all = sight(FolderFound::Same, 0, &["a", "b", "c"]);
        let doubt = vanished.look(&all, false, later).doubt.unwrap();
        assert_eq!((doubt.why, doubt.until), (Why::All, Some(later + ALL_BELIEVED_AFTER)));
    }

    #[test]
    fn it_is_said_what_stays_how_long_and_what_to_do() {
        let doubt = Doubt {
            files: BTreeSet::from(["a", "b", "c", "d", "e", "f", "g"]),
            why: Why::All,
            until: Some(Moment::default()),
        };
        assert_eq!(
            doubt.sentence("modules", |_| "12:00".to_owned()),
            "all 7 files disappeared from modules/ at once: the previous files stay active until 12:00 (10m after it \
             disappeared): a, b, c, d, e, 2 more; to remove them, reload the daemon (`systemctl reload bellwether`, or \
             SIGHUP)"
        );
        let away = Doubt { files: BTreeSet::from(["web"]), why: Why::Away, until: None };
        assert!(away.sentence("modules", |_| String::new()).starts_with(
            "modules/ is missing: the previous files stay active until it is back: web; mount it, or restore it"
        ));
    }

    fn found() -> impl Strategy<Value = FolderFound> {
        prop_oneof![Just(FolderFound::Same), Just(FolderFound::Another), Just(FolderFound::Away)]
    }

    proptest! {
        /// A file that exists in every seventh scan at least never counts as removed, and a file that counts as
        /// removed was missing in that very scan.
        #[test]
        fn what_comes_back_was_never_removed(
            looks in proptest::collection::vec((found(), 0usize..4, proptest::collection::btree_set(0u8..6, 0..6)), 1..120),
            seldom_empty in any::<bool>(),
        ) {
            let (mut vanished, mut now) = (Vanished::default(), Moment::default());
            for (index, (found, present, mut missing)) in looks.into_iter().enumerate() {
                now = now + LOOK;
                let present = if found == FolderFound::Away { 0 } else { present };
                if index % 7 == 0 {
                    missing.remove(&0);
                }
                let belief = vanished.look(&Sight { found, present, missing: missing.clone(), seldom_empty }, false, now);
                prop_assert!(!belief.gone.contains(&0));
                prop_assert!(belief.gone.is_subset(&missing));
                prop_assert!(found != FolderFound::Away || belief.gone.is_empty());
                prop_assert!(missing.is_empty() || !belief.gone.is_empty() || belief.unsettled || belief.doubt.is_some());
            }
        }
    }
}
