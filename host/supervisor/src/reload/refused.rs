//! Files that are not active, and why, for everything that shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_core::reload::{FileKey, Folder};
use bellwether_core::text::tidy;

/// Files that are rejected or waiting, and why. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Refused(Arc<ArcSwap<BTreeMap<FileKey, String>>>);

impl Refused {
    /// One sentence for each file.
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |(file, why): (&FileKey, &String)| match file.folder {
            // Errors contain their own location.
            Folder::Modules => why.clone(),
            Folder::Checkers | Folder::RestartScripts => format!("{}: {why}", file.path().display()),
        };
        self.0.load().iter().map(sentence).collect()
    }

    /// Each file, relative to the root, and why it is not active.
    pub fn all(&self) -> Vec<(String, String)> {
        let told = |(file, why): (&FileKey, &String)| (file.path().display().to_string(), why.clone());
        self.0.load().iter().map(told).collect()
    }

    /// The files, relative to the root, as in the core's records: escaped for display.
    pub fn files(&self) -> BTreeSet<String> {
        let named = |file: &FileKey| {
            let mut name = file.path().display().to_string();
            tidy(&mut name);
            name
        };
        self.0.load().keys().map(named).collect()
    }

    pub(super) fn set(&self, file: FileKey, why: String) {
        let refused = self.0.load();
        if refused.get(&file) != Some(&why) {
            let mut refused = BTreeMap::clone(&refused);
            refused.insert(file, why);
            self.0.store(Arc::new(refused));
        }
    }

    pub(super) fn clear(&self, file: &FileKey) {
        let refused = self.0.load();
        if refused.contains_key(file) {
            let mut refused = BTreeMap::clone(&refused);
            refused.remove(file);
            self.0.store(Arc::new(refused));
        }
    }
}
