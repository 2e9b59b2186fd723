//! The last good version of each file in use, stored so that the next daemon has it whatever has become of the file.
//!
//! A module's file is stored while it is active, and a component's file while an active module uses it. A version
//! that is stored stays stored as long as its file is there and no other version of the file becomes active. Versions
//! are identified by their digests; all of them were active at one moment, so the components that are listed are
//! those that the modules ran with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::file::FileKey;
use crate::moment::Moment;

/// The last good version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodVersion {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// Since when it has been active.
    pub since: Moment,
    /// Since when another version is on disk, which is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Moment>,
    /// The digest of the version to roll back to, while this one is on probation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// The last good versions, by file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, GoodVersion>", into = "BTreeMap<String, GoodVersion>")]
pub struct LastGood(pub(super) BTreeMap<FileKey, GoodVersion>);

impl From<BTreeMap<String, GoodVersion>> for LastGood {
    /// Names that no file can have are left out.
    fn from(named: BTreeMap<String, GoodVersion>) -> Self {
        let keys = named.into_iter().filter_map(|(name, version)| Some((FileKey::named(&name)?, version)));
        Self(keys.collect())
    }
}

impl From<LastGood> for BTreeMap<String, GoodVersion> {
    fn from(last_good: LastGood) -> Self {
        last_good.0.into_iter().map(|(file, version)| (file.name(), version)).collect()
    }
}

impl LastGood {
    /// The files and their versions.
    pub fn iter(&self) -> impl Iterator<Item = (&FileKey, &GoodVersion)> {
        self.0.iter()
    }

    /// The last good version of this file.
    pub fn of(&self, file: &FileKey) -> Option<&GoodVersion> {
        self.0.get(file)
    }

    /// Only the versions for which this holds.
    #[must_use]
    pub fn filtered(self, holds: impl Fn(&FileKey, &GoodVersion) -> bool) -> Self {
        Self(self.0.into_iter().filter(|(file, version)| holds(file, version)).collect())
    }

    /// What can be promised to the next daemon, given which contents are stored: where the content of a version
    /// could not be stored, the version that was promised before.
    #[must_use]
    pub fn promised(&self, before: &Self, is_stored: impl Fn(&FileKey, &str) -> bool) -> Self {
        let promised = self.0.iter().filter_map(|(file, version)| {
            let stored = |version: &&GoodVersion| is_stored(file, &version.digest);
            let version = Some(version).filter(stored).or_else(|| before.of(file).filter(stored))?;
            let mut version = version.clone();
            version.before = version.before.filter(|digest| is_stored(file, digest));
            Some((file.clone(), version))
        });
        Self(promised.collect())
    }

    /// The contents that these versions consist of: file and digest.
    pub fn contents(&self) -> BTreeSet<(FileKey, String)> {
        let of = |(file, version): (&FileKey, &GoodVersion)| {
            let digests = [Some(version.digest.clone()), version.before.clone()];
            digests.into_iter().flatten().map(|digest| (file.clone(), digest)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// The versions of an earlier daemon, of which only those of these files count. The clock may have been set back
    /// between two boots.
    #[must_use]
    pub(super) fn taken_over(self, is_there: impl Fn(&FileKey) -> bool, now: Moment) -> Self {
        let taken = self.0.into_iter().filter(|(file, _)| is_there(file) && file.subject().is_some());
        let taken = taken.map(|(file, mut version)| {
            version.since = version.since.min(now);
            version.replaced = version.replaced.map(|replaced| replaced.min(now));
            (file, version)
        });
        Self(taken.collect())
    }
}

/// What runs in place of a file that is not active, if a daemon before this one has stored its last good version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InPlace {
    /// This stored version.
    Restored(GoodVersion),
    /// Nothing: the stored version cannot be used either, for this reason.
    Unusable(String),
}

impl InPlace {
    /// In one sentence that follows the reason for which the file is not active. `at` formats a moment.
    pub fn sentence(&self, at: impl Fn(Moment) -> String) -> String {
        match self {
            Self::Restored(GoodVersion { since, replaced, .. }) => {
                let replaced =
                    replaced.map(|replaced| format!(" since {}", at(replaced))).unwrap_or_default();
                format!("the file on disk is not active{replaced}; the version of {} runs", at(*since))
            }
            Self::Unusable(why) => format!("its last good version cannot be used either: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::file::Folder;
    use super::*;

    fn file(stem: &str) -> FileKey {
        FileKey { folder: Folder::Checkers, stem: stem.to_owned() }
    }

    fn version(digest: &str, before: Option<&str>) -> GoodVersion {
        let since = Moment::from_micros(5);
        GoodVersion { digest: digest.to_owned(), since, replaced: None, before: before.map(str::to_owned) }
    }

    fn last_good(files: &[(&str, &str, Option<&str>)]) -> LastGood {
        LastGood(files.iter().map(|(stem, digest, before)| (file(stem), version(digest, *before))).collect())
    }

    #[test]
    fn only_versions_whose_content_is_stored_are_promised() {
        for (wanted, before, stored, promised) in [
            (("2", None), Some("1"), &["1", "2"][..], Some(("2", None))),
            (("2", None), Some("1"), &["1"], Some(("1", None))),
            (("2", None), Some("1"), &[], None),
            (("2", None), None, &["1"], None),
            (("2", Some("1")), Some("1"), &["1", "2"], Some(("2", Some("1")))),
            (("2", Some("1")), Some("1"), &["2"], Some(("2", None))),
            (("2", Some("1")), Some("1"), &["1"], Some(("1", None))),
        ] {
            let before = before.map(|digest| last_good(&[("x", digest, None)])).unwrap_or_default();
            let found = last_good(&[("x", wanted.0, wanted.1)])
                .promised(&before, |_, digest| stored.contains(&digest));
            let expected = promised.map(|(digest, before)| last_good(&[("x", digest, before)]));
            assert_eq!(found, expected.unwrap_or_default(), "{wanted:?} {stored:?}");
        }
        // A file that is no longer wanted is not promised, whatever was promised before.
        assert_eq!(
            LastGood::default().promised(&last_good(&[("x", "1", None)]), |_, _| true),
            LastGood::default()
        );
    }

    #[test]
    fn what_is_stored_reads_back_the_same_and_foreign_names_are_left_out() {
        let all = last_good(&[("x", "1", Some("0")), ("y", "2", None)]);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<LastGood>(&text).unwrap(), all);
        let foreign = text.replace("checkers/y.wasm", "../etc/y.wasm");
        assert_eq!(serde_json::from_str::<LastGood>(&foreign).unwrap(), last_good(&[("x", "1", Some("0"))]));
        let contents: Vec<_> = all.contents().into_iter().map(|(file, digest)| (file.stem, digest)).collect();
        assert_eq!(
            contents,
            [("x", "0"), ("x", "1"), ("y", "2")].map(|(stem, digest)| (stem.to_owned(), digest.to_owned()))
        );
    }

    #[test]
    fn versions_of_files_that_were_removed_are_not_taken_over_and_none_is_of_the_future() {
        let all = last_good(&[("x", "1", None), ("y", "2", None)]);
        let taken = all.taken_over(|file| file.stem == "x", Moment::from_micros(3));
        assert_eq!(
            (taken.of(&file("x")).unwrap().since, taken.of(&file("y"))),
            (Moment::from_micros(3), None)
        );
    }

    #[test]
    fn what_runs_in_place_of_a_file_is_said_in_one_sentence() {
        let at = |moment: Moment| moment.as_micros().to_string();
        let restored = GoodVersion { replaced: Some(Moment::from_micros(7)), ..version("1", None) };
        for (in_place, said) in [
            (InPlace::Restored(restored), "the file on disk is not active since 7; the version of 5 runs"),
            (InPlace::Restored(version("1", None)), "the file on disk is not active; the version of 5 runs"),
            (
                InPlace::Unusable("not signed".to_owned()),
                "its last good version cannot be used either: not signed",
            ),
        ] {
            assert_eq!(in_place.sentence(at), said);
        }
    }

    proptest! {
        /// Every content that is promised is stored, and what is wanted and stored is promised.
        #[test]
        fn promises_are_kept(
            wanted in prop::collection::btree_map(0_u8..4, (0_u8..6, prop::option::of(0_u8..6)), 0..4),
            before in prop::collection::btree_map(0_u8..4, (0_u8..6, prop::option::of(0_u8..6)), 0..4),
            stored in prop::collection::btree_set((0_u8..4, 0_u8..6), 0..20),
        ) {
            let built = |files: &BTreeMap<u8, (u8, Option<u8>)>| {
                let version = |(digest, before): &(u8, Option<u8>)| {
                    version(&digest.to_string(), before.map(|digest| digest.to_string()).as_deref())
                };
                LastGood(files.iter().map(|(stem, it)| (file(&stem.to_string()), version(it))).collect())
            };
            let is_stored = |file: &FileKey, digest: &str| {
                stored.contains(&(file.stem.parse().unwrap(), digest.parse().unwrap()))
            };
            let (wanted, before) = (built(&wanted), built(&before));
            let promised = wanted.promised(&before, is_stored);
            for (file, digest) in promised.contents() {
                prop_assert!(is_stored(&file, &digest));
            }
            for (file, version) in wanted.iter() {
                if is_stored(file, &version.digest) {
                    prop_assert_eq!(promised.of(file).map(|it| &it.digest), Some(&version.digest));
                }
            }
            prop_assert!(promised.iter().all(|(file, _)| wanted.of(file).is_some()));
        }
    }
}
