//! Which files are gone, of those that are missing: what the core believes, folder by folder.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_core::vanished::{Place, Sight, Vanished};

use super::folders::{FileKey, Folder, Identity, MAX_FILES, OnDisk, Standing};
use super::settle::Listing;
use bellwether_os::clock::Clock;

/// What is missing, and since when.
#[derive(Debug, Default)]
pub(super) struct Vanishing {
    folders: BTreeMap<Folder, FolderState>,
}

#[derive(Debug, Default)]
struct FolderState {
    /// Of the folder that all its files were last seen in.
    identity: Option<Identity>,
    vanished: Vanished<FileKey>,
    /// What came of the last look.
    last: Outcome,
}

/// What comes of a look at one folder.
#[derive(Debug, Default, Clone)]
struct Outcome {
    unsettled: bool,
    held: bool,
    problems: Vec<String>,
}

/// What comes of a look.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// These were removed.
    pub(super) gone: BTreeSet<FileKey>,
    /// Folders of which it is not known yet, and soon will be.
    pub(super) unsettled: BTreeSet<Folder>,
    /// Folders of which it is not known yet, and may not be for some time.
    pub(super) held: BTreeSet<Folder>,
    /// What is not believed, and what is not looked at, as sentences.
    pub(super) problems: Vec<String>,
}

impl Vanishing {
    /// `confirmed`: a person wants everything to be read again.
    pub(super) fn look(
        &mut self,
        known: &Listing<FileKey>,
        on_disk: &OnDisk,
        confirmed: bool,
        clock: Clock,
    ) -> Missing {
        let mut missing = Missing::default();
        for (folder, standing) in &on_disk.folders {
            let state = self.folders.entry(*folder).or_default();
            if *standing == Standing::Unreadable {
                // This is no look: what came of the last one stays.
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
            let place = match (standing, state.identity) {
                (Standing::Away, _) => Place::Away,
                (Standing::There(now), Some(before)) if *now != before => Place::Another,
                (Standing::There(_) | Standing::Unreadable, _) => Place::Same,
            };
            // A node without a module has nothing to do.
            let seldom_empty = *folder == Folder::Modules;
            let sight = Sight { place, present, missing: absent, seldom_empty };
            let belief = state.vanished.look(&sight, confirmed, clock.now());
            if let Standing::There(identity) = standing
                && belief.gone.len() == sight.missing.len()
            {
                state.identity = Some(*identity);
            }
            let mut problems = Vec::new();
            if let Some(doubt) = &belief.doubt {
                problems.push(doubt.sentence(folder.name(), |at| clock.timestamp(at)));
                problems.extend(held_back(*folder, known, on_disk));
            }
            problems.extend(not_looked_at(*folder, on_disk));
            let held = belief.unsettled || belief.doubt.is_some();
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

/// New modules may be those that are missing, under other names.
fn held_back(folder: Folder, known: &Listing<FileKey>, on_disk: &OnDisk) -> Option<String> {
    let new = on_disk.files.keys().filter(|file| file.folder == folder && !known.contains_key(*file));
    let names: Vec<String> = new.map(ToString::to_string).collect();
    (folder == Folder::Modules && !names.is_empty()).then(|| {
        format!("not loaded before that, for they may be the same under other names: {}", names.join(", "))
    })
}

fn not_looked_at(folder: Folder, on_disk: &OnDisk) -> Vec<String> {
    let mut problems: Vec<String> = Vec::new();
    if on_disk.overfull.contains(&folder) {
        problems.push(format!(
            "{}/ has more files than are read ({MAX_FILES}): the first ones are active, the others are \
             ignored; remove files that do not belong there",
            folder.name()
        ));
    }
    let dangling = on_disk.dangling.iter().filter(|file| file.folder == folder);
    problems.extend(dangling.map(|file| {
        format!(
            "{file} is a link that leads nowhere (is a mount missing?): the previous file stays active; mount what \
             it leads to, or remove the link"
        )
    }));
    problems
}

#[cfg(test)]
mod tests {
    use super::super::settle::Stamp;
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

    const THERE: Standing = Standing::There((1, 2));

    #[test]
    fn what_is_new_beside_files_that_are_missing_is_held_back_and_named() {
        let (known, clock) = (listing(&["a", "b", "c"]), Clock::start());
        let mut vanishing = Vanishing::default();
        let whole = vanishing.look(&known, &on_disk(THERE, &["a", "b", "c", "d"]), false, clock);
        assert_eq!((whole.held, whole.problems), (BTreeSet::new(), Vec::new()));
        // One that is missing may be `d`, and three may.
        let modules = BTreeSet::from([Folder::Modules]);
        let one = vanishing.look(&known, &on_disk(THERE, &["b", "c", "d"]), false, clock);
        assert_eq!((&one.held, &one.unsettled, one.problems.len()), (&modules, &modules, 0));
        let all = vanishing.look(&known, &on_disk(THERE, &["d"]), false, clock);
        assert_eq!((&all.held, all.unsettled.len(), all.gone.len()), (&modules, 0, 0));
        assert!(all.problems[0].starts_with("3 files vanished from modules/ at once"), "{:?}", all.problems);
        assert!(all.problems[1].ends_with("under other names: modules/d.toml"), "{:?}", all.problems);
        let confirmed = vanishing.look(&known, &on_disk(THERE, &["d"]), true, clock);
        assert_eq!((confirmed.held.len(), confirmed.gone.len()), (0, 3));
    }

    #[test]
    fn a_folder_that_cannot_be_read_has_not_been_looked_at() {
        let (known, clock) = (listing(&["a", "b", "c"]), Clock::start());
        let mut vanishing = Vanishing::default();
        vanishing.look(&known, &on_disk(THERE, &["a", "b", "c"]), false, clock);
        let few = vanishing.look(&known, &on_disk(THERE, &["b", "c"]), false, clock);
        assert_eq!(few.unsettled.len(), 1);
        for _ in 0..100 {
            let unreadable =
                vanishing.look(&known, &on_disk(Standing::Unreadable, &["b", "c"]), false, clock);
            assert_eq!(
                (unreadable.gone.len(), unreadable.unsettled, unreadable.held),
                (0, few.unsettled.clone(), few.held.clone())
            );
        }
        let many = vanishing.look(&known, &on_disk(THERE, &["c"]), false, clock);
        let unreadable = vanishing.look(&known, &on_disk(Standing::Unreadable, &["c"]), true, clock);
        assert_eq!((unreadable.gone.len(), unreadable.problems), (0, many.problems));
    }
}
