//! Looks at the folders, and takes in what has changed there.

use bellwether_core::record::RecordKind;

use super::Reload;
use super::folders::{Folder, OnDisk, list};
use super::pending::Stage;
use super::settle::look;
use super::vanishing::Missing;

impl Reload {
    pub(super) async fn list(&self) -> Option<OnDisk> {
        let (root, previous) = (self.settings.root.clone(), self.before.clone());
        tokio::task::spawn_blocking(move || list(&root, &previous)).await.ok()
    }

    /// Takes in what is missing, and shows what is not believed of it.
    pub(super) async fn believe(&mut self, on_disk: &OnDisk, confirmed: bool) -> Missing {
        let clock = self.settings.means.clock;
        let mut missing = self.vanishing.look(&self.known, on_disk, confirmed, clock);
        if missing.problems != self.told {
            self.settings.problems.set("folders", &missing.problems);
            for message in missing.problems.iter().filter(|problem| !self.told.contains(problem)).cloned() {
                self.record(None, RecordKind::Daemon { message }).await;
            }
            self.told = std::mem::take(&mut missing.problems);
        }
        missing
    }

    /// Returns whether something is changing. `confirmed`: a person wants everything to be read again.
    pub(super) async fn look(&mut self, confirmed: bool) -> bool {
        let Some(on_disk) = self.list().await else { return false };
        let missing = self.believe(&on_disk, confirmed).await;
        let present = on_disk.files;
        let seen = look(&self.known, &self.before, &present);
        // Sets may have waited for a file that came and went.
        self.undecided |= self.pending.iter().any(|(file, _)| !present.contains_key(file));
        let known = &self.known;
        self.pending.retain(|file| known.contains_key(file) || present.contains_key(file));
        for file in &seen.changing {
            self.pending.changed(file, Stage::Writing);
            self.undecided = true;
        }
        for file in &missing.gone {
            self.known.remove(file);
            self.pending.remove(file);
            self.remove(file).await;
        }
        // A module that is renamed is removed first: what it runs is taken over, not started twice.
        let held = missing.held.contains(&Folder::Modules);
        for file in &seen.ready {
            if held && file.folder == Folder::Modules && !self.known.contains_key(file) {
                continue;
            }
            if let Some(stamp) = present.get(file) {
                self.known.insert(file.clone(), *stamp);
                self.load(file, *stamp);
            }
        }
        let unsettled = !seen.changing.is_empty() || !missing.unsettled.is_empty();
        if !unsettled {
            self.reread_mistaken();
        }
        self.before = present;
        unsettled
    }
}
