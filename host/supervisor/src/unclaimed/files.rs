//! Checks which modules have a file, on a disk that may not respond.
//!
//! A check that does not return keeps its thread. So there is one at a time: the next one begins when that one is
//! done, and until then the last result counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::id::ModuleName;
use tokio::task::JoinHandle;

/// Which of the requested modules have a file.
type Seen = BTreeMap<ModuleName, bool>;

/// Checks the files on a separate thread.
#[derive(Debug, Default)]
pub(super) struct Files {
    under_way: Option<JoinHandle<Seen>>,
    seen: Seen,
}

impl Files {
    /// Checks whether these exist, and waits no longer than `patience` for the disk.
    pub(super) async fn look(
        &mut self,
        files: impl Iterator<Item = (ModuleName, PathBuf)>,
        patience: Duration,
    ) {
        self.look_by(files, patience, |path| path.exists()).await;
    }

    async fn look_by(
        &mut self,
        files: impl Iterator<Item = (ModuleName, PathBuf)>,
        patience: Duration,
        exists: impl Fn(PathBuf) -> bool + Send + 'static,
    ) {
        let files: Vec<_> = files.collect();
        let look = match &mut self.under_way {
            Some(look) => look,
            None if files.is_empty() => {
                self.seen.clear();
                return;
            }
            none @ None => none.insert(tokio::task::spawn_blocking(move || {
                files.into_iter().map(|(module, path)| (module, exists(path))).collect()
            })),
        };
        if let Ok(seen) = tokio::time::timeout(patience, look).await {
            self.under_way = None;
            self.seen = seen.unwrap_or_default();
        }
    }

    /// Whether the module has a file, as far as that is known.
    pub(super) fn has(&self, module: &ModuleName) -> Option<bool> {
        self.seen.get(module).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// Longer than any disk takes that does not hang.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_disk_that_hangs_holds_one_thread_and_says_nothing() {
        let web = ModuleName::new("web").unwrap();
        let asked = || std::iter::once((web.clone(), PathBuf::from("web.toml")));
        let (looks, mut files) = (Arc::new(AtomicUsize::new(0)), Files::default());
        let (answer, hung) = mpsc::channel::<bool>();
        let hung = Arc::new(std::sync::Mutex::new(hung));
        let disk = || {
            let (looks, hung) = (Arc::clone(&looks), Arc::clone(&hung));
            move |_: PathBuf| {
                looks.fetch_add(1, Ordering::Relaxed);
                hung.lock().unwrap().recv().unwrap()
            }
        };
        for _ in 0..5 {
            files.look_by(asked(), Duration::from_millis(1), disk()).await;
            assert_eq!(files.has(&web), None);
        }
        answer.send(true).unwrap();
        files.look_by(asked(), LONG, disk()).await;
        assert_eq!((files.has(&web), looks.load(Ordering::Relaxed)), (Some(true), 1));
        // It responds again: the next check is a new one.
        answer.send(false).unwrap();
        files.look_by(asked(), LONG, disk()).await;
        assert_eq!((files.has(&web), looks.load(Ordering::Relaxed)), (Some(false), 2));
        files.look_by(std::iter::empty(), LONG, disk()).await;
        assert_eq!(files.has(&web), None, "it is in force again, and not asked for");
    }
}
