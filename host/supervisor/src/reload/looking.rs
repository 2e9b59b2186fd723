//! Scans the folders, and shows problems with them.

use bellwether_core::record::RecordKind;
use bellwether_core::reload::{OnDisk, Problem};

use super::Reload;
use super::folders::{Hints, list, watch};

impl Reload {
    /// `None` if the folders cannot be read.
    pub(super) async fn list(&mut self) -> Option<OnDisk> {
        let (root, previous) = (self.settings.root.clone(), self.seen.clone());
        let mut watcher = self.hints.watcher.take();
        let listed = tokio::task::spawn_blocking(move || {
            // The watches come first, then the scan: no change is lost in between.
            watch(watcher.as_mut(), &root);
            (watcher, list(&root, &previous))
        });
        let on_disk = match listed.await {
            Ok((watcher, on_disk)) => {
                self.hints.watcher = watcher;
                on_disk
            }
            Err(error) => {
                tracing::error!(%error, "the folders could not be listed: a bug in the daemon");
                // The watcher was dropped with the thread that had it.
                self.hints = Hints::new();
                return None;
            }
        };
        self.seen = on_disk.files.clone();
        Some(on_disk)
    }

    /// Shows these problems; new ones are recorded in the journal.
    pub(super) async fn show_problems(&mut self, problems: &[Problem]) {
        let clock = self.settings.context.clock;
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
