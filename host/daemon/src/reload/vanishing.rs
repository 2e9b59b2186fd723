//! Which files are gone, of those that are missing: what the core believes, folder by folder.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_core::vanished::{Place, Sight, Vanished};

use super::folders::{FileKey, Folder, Identity, MAX_FILES, OnDisk, Standing};
use super::settle::Listing;
use crate::clock::Clock;

/// What is missing, and since when.
#[derive(Debug, Default)]
pub(super) struct Vanishing {
    folders: BTreeMap<Folder, Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Of the folder that all its files were last seen in.
    identity: Option<Identity>,
    vanished: Vanished<FileKey>,
}

/// What comes of a look.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// These were removed.
    pub(super) gone: BTreeSet<FileKey>,
    /// Folders of which it is not known yet, and soon will be.
    pub(super) unsettled: BTreeSet<Folder>,
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
            let watched = self.folders.entry(*folder).or_default();
            let in_folder = |file: &&FileKey| file.folder == *folder;
            let present = on_disk.files.keys().filter(in_folder).count();
            let absent: BTreeSet<FileKey> = known
                .keys()
                .filter(in_folder)
                .filter(|file| !on_disk.files.contains_key(*file))
                .cloned()
                .collect();
            let place = match (standing, watched.identity) {
                (Standing::Away, _) => Place::Away,
                (Standing::There(now), Some(before)) if *now != before => Place::Another,
                (Standing::There(_) | Standing::Unreadable, _) => Place::Same,
            };
            let sight = Sight { place, present, missing: absent };
            let belief = watched.vanished.look(&sight, confirmed, clock.now());
            if let Standing::There(identity) = standing
                && belief.gone.len() == sight.missing.len()
            {
                watched.identity = Some(*identity);
            }
            if belief.unsettled {
                missing.unsettled.insert(*folder);
            }
            missing.gone.extend(belief.gone);
            let doubt = belief.doubt.as_ref();
            missing
                .problems
                .extend(doubt.map(|doubt| doubt.sentence(folder.name(), |at| clock.timestamp(at))));
            if on_disk.overfull.contains(folder) {
                missing.problems.push(format!(
                    "{}/ holds more files than are looked at ({MAX_FILES}): those that were there first are in \
                     force, others are left out; remove what does not belong there",
                    folder.name()
                ));
            }
        }
        missing
    }
}
