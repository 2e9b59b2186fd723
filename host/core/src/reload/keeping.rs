//! Kept: what is stored for the next daemon.

use std::collections::BTreeMap;

use super::file::FileKey;
use super::last_good::{GoodVersion, LastGood};
use super::version::Origin;
use super::{Action, Reload};
use crate::change_set::File;

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// Stores the last good versions, if they may have changed.
    pub(super) fn keep(&mut self) {
        if !self.unkept || self.beginning.is_some() || self.comparing || self.undecided {
            return;
        }
        self.unkept = false;
        self.last_good = self.present();
        let modules = self
            .modules
            .iter()
            .map(|(name, module)| (FileKey::of(&File::Module(name.clone())), module.file.content.clone()));
        let modules = modules.collect();
        self.actions.push(Action::Keep { last_good: self.last_good.clone(), modules });
    }

    /// The last good versions now: what is active, and what was stored before of files that have no active version.
    fn present(&self) -> LastGood {
        let version = |file: &FileKey, digest: &str, before: Option<&str>| {
            let known = self.last_good.of(file);
            let same = known.filter(|known| known.digest == digest);
            let is_refused = self.refused.contains_key(file);
            GoodVersion {
                digest: digest.to_owned(),
                since: same.map_or(self.now, |same| same.since),
                replaced: is_refused.then(|| same.and_then(|same| same.replaced).unwrap_or(self.now)),
                before: before.map(str::to_owned),
            }
        };
        let modules = self.modules.iter().map(|(name, module)| {
            let file = FileKey::of(&File::Module(name.clone()));
            let version = version(&file, &module.file.digest, None);
            (file, version)
        });
        let mut present: BTreeMap<FileKey, GoodVersion> = modules.collect();
        for key in self.modules.values().flat_map(|module| module.file.names()) {
            let Some(active) = self.components.get(&key).filter(|active| active.origin == Origin::File)
            else {
                continue;
            };
            let file = FileKey::of(&File::Component(key));
            let version = version(&file, active.digest(), active.digest_before());
            present.insert(file, version);
        }
        for file in self.stored.keys() {
            if let Some(good) = self.last_good.of(file) {
                present.entry(file.clone()).or_insert_with(|| good.clone());
            }
        }
        LastGood(present)
    }
}
