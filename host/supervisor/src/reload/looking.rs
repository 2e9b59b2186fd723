//! Looks at the folders, and shows what is wrong with them.

use bellwether_core::record::RecordKind;
use bellwether_core::reload::{OnDisk, Problem};

use super::Reload;
use super::folders::list;

impl Reload {
    /// Nothing if the folders cannot be looked at.
    pub(super) async fn list(&mut self) -> Option<OnDisk> {
        // First watched, then looked at: no change falls in between.
        self.hints.arm(&self.settings.root);
        let (root, previous) = (self.settings.root.clone(), self.seen.clone());
        let on_disk = tokio::task::spawn_blocking(move || list(&root, &previous)).await.ok()?;
        self.seen = on_disk.files.clone();
        Some(on_disk)
    }

    /// Shows these problems; the journal is told of those that are new.
    pub(super) async fn show_problems(&mut self, problems: &[Problem]) {
        let clock = self.settings.means.clock;
        let sentence = |problem: &Problem| problem.sentence(|at| clock.timestamp(at));
        let problems: Vec<String> = problems.iter().map(sentence).collect();
        if problems == self.told {
            return;
        }
        self.settings.problems.set("folders", &problems);
        for message in problems.iter().filter(|problem| !self.told.contains(problem)).cloned() {
            self.record(None, RecordKind::Daemon { message }).await;
        }
        self.told = problems;
    }
}
