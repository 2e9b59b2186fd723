//! Writes the files of a member that change, in a task of its own: the actor never waits for the disk.
//!
//! ```text
//!   actor ──put──▶ the latest of each file ──▶ written, synced, renamed ──▶ whoever waits for it is told
//!                    └ what failed is tried again, and is a problem until it is written
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_bus::diagnostics::Diagnostics;
use bellwether_os::atomic_file;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A failed write is retried after this time.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the last writes are waited for.
const FINISHED_WITHIN: Duration = Duration::from_secs(5);
/// The number of those that wait for the disk.
const WAITING: usize = 256;
pub(crate) const WHO: &str = "farm files";

/// Writes the files of one folder. Nothing is written any more once it is dropped or finished.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    work: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    files: BTreeMap<&'static str, Vec<u8>>,
    waiting: Vec<oneshot::Sender<Result<(), String>>>,
    ends: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What could not be written, and why.
type Failed = BTreeMap<&'static str, (Vec<u8>, String)>;

impl Shared {
    /// What could not be written is to be written, unless there is something newer.
    fn put_back(&self, failed: Failed) {
        let mut pending = self.lock();
        for (name, (content, _)) in failed {
            pending.files.entry(name).or_insert(content);
        }
    }
}

impl Keeper {
    pub(crate) fn new(folder: PathBuf, problems: Diagnostics) -> Self {
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(work(folder, Arc::clone(&shared), problems));
        Self { shared, task }
    }

    /// The file gets this content.
    pub(crate) fn put(&self, name: &'static str, content: Vec<u8>) {
        self.shared.lock().files.insert(name, content);
        self.shared.work.notify_one();
    }

    /// Completes once everything that was put before is on the disk. The error is the end of a sentence.
    pub(crate) fn written(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let (tell, told) = oneshot::channel();
        let mut pending = self.shared.lock();
        if pending.waiting.len() < WAITING {
            pending.waiting.push(tell);
        }
        drop(pending);
        self.shared.work.notify_one();
        async { told.await.unwrap_or_else(|_| Err("the disk does not keep up".to_owned())) }
    }

    /// Writes what is left, and nothing after that.
    pub(crate) async fn finish(mut self) {
        self.shared.lock().ends = true;
        self.shared.work.notify_one();
        if timeout(FINISHED_WITHIN, &mut self.task).await.is_err() {
            tracing::error!("the files of the farm could not be written in time");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.work.notify_one();
    }
}

async fn work(folder: PathBuf, shared: Arc<Shared>, problems: Diagnostics) {
    loop {
        let (files, waiting, ends) = {
            let mut pending = shared.lock();
            (std::mem::take(&mut pending.files), std::mem::take(&mut pending.waiting), pending.ends)
        };
        let failed = write(&folder, files).await;
        let why = failed.values().next().map(|(_, why)| why.clone());
        let sentence = |(name, (_, why)): (&&str, &(Vec<u8>, String))| {
            format!("{} cannot be written: {why}; it is tried again", folder.join(name).display())
        };
        problems.set(WHO, &failed.iter().map(sentence).collect::<Vec<_>>());
        for tell in waiting {
            drop(tell.send(why.clone().map_or(Ok(()), Err)));
        }
        if ends {
            return;
        }
        if failed.is_empty() {
            let idle = shared.lock().is_idle();
            if idle {
                shared.work.notified().await;
            }
            continue;
        }
        shared.put_back(failed);
        tokio::select! {
            () = sleep(AGAIN) => {}
            () = shared.work.notified() => {}
        }
    }
}

impl Pending {
    fn is_idle(&self) -> bool {
        self.files.is_empty() && self.waiting.is_empty() && !self.ends
    }
}

async fn write(folder: &Path, files: BTreeMap<&'static str, Vec<u8>>) -> Failed {
    if files.is_empty() {
        return BTreeMap::new();
    }
    let folder = folder.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let one = |(name, content): (&'static str, Vec<u8>)| {
            let written = atomic_file::replace(&folder.join(name), &content);
            written.err().map(|error| (name, (content, error.to_string())))
        };
        files.into_iter().filter_map(one).collect()
    });
    // It fails only while the daemon shuts down.
    written.await.unwrap_or_default()
}
