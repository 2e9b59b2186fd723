//! Which of the missing files are gone, folder by folder.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{FileKey, Folder, Identity, Listing, MAX_FILES, OnDisk, Standing};
use crate::moment::Moment;
use crate::vanished::{Doubt, FolderFound, Sight, Vanished};

/// Missing files, and since when they are missing.
#[derive(Debug, Default)]
pub(super) struct Vanishing {
    folders: BTreeMap<Folder, FolderState>,
}

#[derive(Debug, Default)]
struct FolderState {
    /// The folder that all its files were last seen in.
    identity: Option<Identity>,
    vanished: Vanished<FileKey>,
    /// The result of the last scan.
    last: Outcome,
}

/// The result of a scan of one folder.
#[derive(Debug, Default, Clone)]
struct Outcome {
    unsettled: bool,
    held: bool,
    problems: Vec<Problem>,
}

/// The result of a scan of all folders.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// The files that were removed.
    pub(super) gone: BTreeSet<FileKey>,
    /// Folders for which this is not known yet, but soon will be.
    pub(super) unsettled: BTreeSet<Folder>,
    /// Folders for which this is not known yet, and may not be for some time.
    pub(super) held: BTreeSet<Folder>,
    /// Problems that operators should know about.
    pub(super) problems: Vec<Problem>,
}

/// A problem with a folder that operators should know about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Files are missing, and do not seem to have been removed.
    Missing {
        folder: Folder,
        /// The files, and how long they stay active.
        doubt: Doubt<FileKey>,
    },
    /// New files are not loaded: they may be the missing ones under other names.
    HeldBack(Vec<FileKey>),
    /// The folder holds more files than the maximum.
    Overfull(Folder),
    /// A link is broken.
    Dangling(FileKey),
}

impl Problem {
    /// For `status`. `at` formats a moment.
    pub fn sentence(&self, at: impl Fn(Moment) -> String) -> String {
        match self {
            Self::Missing { folder, doubt } => doubt.sentence(folder.name(), at),
            Self::HeldBack(files) => {
                let names: Vec<String> = files.iter().map(ToString::to_string).collect();
                let names = names.join(", ");
                format!("not loaded until then, because they may be the same files with other names: {names}")
            }
            Self::Overfull(folder) => format!(
                "{}/ has more files than are read ({MAX_FILES}): the first ones are active, the others are \
                 ignored; remove files that do not belong there",
                folder.name()
            ),
            Self::Dangling(file) => format!(
                "{file} is a broken link (is a mount missing?): the previous file stays active; mount what \
                 it leads to, or remove the link"
            ),
        }
    }
}

impl Vanishing {
    /// `confirmed`: a user wants everything to be read again.
    pub(super) fn look(
        &mut self,
        known: &Listing<FileKey>,
        on_disk: &OnDisk,
        confirmed: bool,
        now: Moment,
    ) -> Missing {
        let mut missing = Missing::default();
        for (folder, standing) in &on_disk.folders {
            let state = self.folders.entry(*folder).or_default();
            if *standing == Standing::Unreadable {
                // The folder was not read: the result of the last scan stays.
                missing.add(*folder, &state.last);
                continue;
            }
            let in_folder = |file: &&FileKey| file.folder == *folder;
            let present = on_disk.files.keys().filter(in_folder).count();
            let absent: BTreeSet<FileKey> = known
                .keys()
                .filter(in_folder)
                .filter(|file| !on_disk.files.contains_key(*file))
                .cloned()
                .collect();
            let found = match (standing, state.identity) {
                (Standing::Away, _) => FolderFound::Away,
                (Standing::There(now), Some(before)) if *now != before => FolderFound::Another,
                (Standing::There(_) | Standing::Unreadable, _) => FolderFound::Same,
            };
            // A node without a module has nothing to do.
            let seldom_empty = *folder == Folder::Modules;
            let sight = Sight { found, present, missing: absent, seldom_empty };
            let belief = state.vanished.look(&sight, confirmed, now);
            if let Standing::There(identity) = standing
                && belief.gone.len() == sight.missing.len()
            {
                state.identity = Some(*identity);
            }
            let held = belief.unsettled || belief.doubt.is_some();
            let mut problems = Vec::new();
            if let Some(doubt) = belief.doubt {
                problems.push(Problem::Missing { folder: *folder, doubt });
                problems.extend(held_back(*folder, known, on_disk));
            }
            problems.extend(not_looked_at(*folder, on_disk));
            state.last = Outcome { unsettled: belief.unsettled, held, problems };
            missing.gone.extend(belief.gone);
            missing.add(*folder, &state.last);
        }
        missing
    }
}

impl Missing {
    fn add(&mut self, folder: Folder, outcome: &Outcome) {
        self.unsettled.extend(outcome.unsettled.then_some(folder));
        self.held.extend(outcome.held.then_some(folder));
        self.problems.extend_from_slice(&outcome.problems);
    }
}

/// New modules may be the missing ones under other names.
fn held_back(folder: Folder, known: &Listing<FileKey>, on_disk: &OnDisk) -> Option<Problem> {
    let new = on_disk.files.keys().filter(|file| file.folder == folder && !known.contains_key(*file));
    let new: Vec<FileKey> = new.cloned().collect();
    (folder == Folder::Modules && !new.is_empty()).then_some(Problem::HeldBack(new))
}

fn not_looked_at(folder: Folder, on_disk: &OnDisk) -> impl Iterator<Item = Problem> {
    let overfull = on_disk.overfull.contains(&folder).then_some(Problem::Overfull(folder));
    let dangling = on_disk.dangling.iter().filter(move |file| file.folder == folder);
    overfull.into_iter().chain(dangling.cloned().map(Problem::Dangling))
}

#[cfg(test)]
mod tests {
    use super::super::file::Stamp;
    use super::*;

    fn listing(files: &[&str]) -> Listing<FileKey> {
        let stamp = Stamp { size: 1, modified: 0, changed: 0, inode: 1, device: 1, signature: None };
        let key = |stem: &&str| FileKey { folder: Folder::Modules, stem: (*stem).to_owned() };
        files.iter().map(|stem| (key(stem), stamp)).collect()
    }

    fn on_disk(standing: Standing, files: &[&str]) -> OnDisk {
        OnDisk {
            files: listing(files),
            folders: BTreeMap::from([(Folder::Modules, standing)]),
            ..OnDisk::default()
        }
    }

    fn sentences(missing: &Missing) -> Vec<String> {
        missing.problems.iter().map(|problem| problem.sentence(|at| format!("{at:?}"))).collect()
    }

    const THERE: Standing = Standing::There((1, 2));
    const NOW: Moment = Moment::from_micros(1_000_000);

    #[test]
    fn new_modules_beside_files_that_are_missing_are_held_back_and_named() {
        let known = listing(&["a", "b", "c"]);
        let mut vanishing = Vanishing::default();
        let whole = vanishing.look(&known, &on_disk(THERE, &["a", "b", "c", "d"]), false, NOW);
        assert_eq!((whole.held, whole.problems), (BTreeSet::new(), Vec::new()));
        // One that is missing may be `d`, and three may.
        let modules = BTreeSet::from([Folder::Modules]);
        let one = vanishing.look(&known, &on_disk(THERE, &["b", "c", "d"]), false, NOW);
        assert_eq!((&one.held, &one.unsettled, one.problems.len()), (&modules, &modules, 0));
        let all = vanishing.look(&known, &on_disk(THERE, &["d"]), false, NOW);
        assert_eq!((&all.held, all.unsettled.len(), all.gone.len()), (&modules, 0, 0));
        let said = sentences(&all);
        assert!(said[0].starts_with("3 files disappeared from modules/ at once"), "{said:?}");
        assert!(said[1].ends_with("with other names: modules/d.toml"), "{said:?}");
        let confirmed = vanishing.look(&known, &on_disk(THERE, &["d"]), true, NOW);
        assert_eq!((confirmed.held.len(), confirmed.gone.len()), (0, 3));
    }

    #[test]
    fn a_folder_that_cannot_be_read_has_not_been_looked_at() {
        let known = listing(&["a", "b", "c"]);
        let mut vanishing = Vanishing::default();
        vanishing.look(&known, &on_disk(THERE, &["a", "b", "c"]), false, NOW);
        let few = vanishing.look(&known, &on_disk(THERE, &["b", "c"]), false, NOW);
        assert_eq!(few.unsettled.len(), 1);
        for _ in 0..100 {
            let unreadable = vanishing.look(&known, &on_disk(Standing::Unreadable, &["b", "c"]), false, NOW);
            assert_eq!(
                (unreadable.gone.len(), unreadable.unsettled, unreadable.held),
                (0, few.unsettled.clone(), few.held.clone())
            );
        }
        let many = vanishing.look(&known, &on_disk(THERE, &["c"]), false, NOW);
        let unreadable = vanishing.look(&known, &on_disk(Standing::Unreadable, &["c"]), true, NOW);
        assert_eq!((unreadable.gone.len(), unreadable.problems), (0, many.problems));
    }
}
