//! Hashes passwords: one thread with one reused buffer.
//!
//! ```text
//!   asked ──▶ waits for the thread ──▶ hashed ──▶ answered
//!                    └─ not in time, or the caller has gone: not hashed
//! ```
//! A hash takes 19 MiB. If it were allocated anew for each hash on any free thread, the allocator would keep the
//! memory: once for each thread that ever hashed, and more with fragmentation.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::refusal::Refusal;
use super::secret::Memory;
use bellwether_os::at_most;

/// The length of the thread's queue. Further passwords wait for a place in it.
const WAITING: usize = 64;
/// The time limit for waiting and hashing together.
const HASHED_WITHIN: Duration = at_most!(Duration::from_secs(10));

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Sends passwords to the thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Hasher {
    jobs: mpsc::Sender<Job>,
}

impl Hasher {
    /// Starts the thread. If the system provides none, signing in with a password is impossible.
    pub(super) fn start() -> (Self, Option<io::Error>) {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let started = thread::Builder::new().name("passwords".to_owned()).spawn(move || work(waiting));
        (Self { jobs }, started.err())
    }

    /// The hash of a password, for storage.
    ///
    /// # Errors
    /// If it is not hashed in time.
    pub(super) async fn hash(&self, password: String) -> Result<String, Refusal> {
        Ok(self.ask(move |memory| memory.hash(&password)).await??)
    }

    /// Whether `hash` is of this password; without a hash it takes as long, and is false.
    ///
    /// # Errors
    /// If that cannot be determined in time.
    pub(super) async fn fits(&self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        self.ask(move |memory| memory.fits(&password, hash.as_deref())).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory: &mut Memory| {
            if !answer.is_closed() {
                // The caller may give up at any time.
                drop(answer.send(question(memory)));
            }
        });
        let asked = async {
            self.jobs.send(job).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(HASHED_WITHIN, asked).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Refusal::Ending),
            Err(_) => Err(Refusal::TooSoon(HASHED_WITHIN)),
        }
    }
}

fn work(mut waiting: mpsc::Receiver<Job>) {
    let mut memory = Memory::default();
    while let Some(job) = waiting.blocking_recv() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
            tracing::error!("a password could not be hashed: a bug of the daemon");
            memory = Memory::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_passwords_are_hashed_by_one_thread_in_one_buffer() {
        let (hasher, error) = Hasher::start();
        assert!(error.is_none());
        let of = |memory: &mut Memory| {
            let fits = memory.fits("something", None);
            (thread::current().id(), memory.place(), fits)
        };
        let first = hasher.ask(of).await.unwrap();
        for _ in 0..3 {
            assert_eq!(hasher.ask(of).await.unwrap(), first);
        }
    }

    #[tokio::test]
    async fn nothing_is_hashed_for_a_caller_that_has_gone() {
        let (hasher, _) = Hasher::start();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (told, tell) = std::sync::mpsc::channel();
        let busy = hasher.ask(move |_| wait.recv().is_ok());
        let mut busy = Box::pin(busy);
        assert!(bellwether_testing::process::is_pending(&mut busy).await);
        {
            let gone = hasher.ask(move |_| told.send(()).is_ok());
            let mut gone = Box::pin(gone);
            assert!(bellwether_testing::process::is_pending(&mut gone).await);
        }
        go.send(()).unwrap();
        assert!(busy.await.unwrap());
        hasher.ask(|_| ()).await.unwrap();
        assert_eq!(tell.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    }

    #[tokio::test]
    async fn a_panic_ends_no_thread() {
        let (hasher, _) = Hasher::start();
        let died: Result<u8, _> = hasher.ask(|_| panic!("on purpose")).await;
        assert!(matches!(died, Err(Refusal::Ending)), "{died:?}");
        assert!(!hasher.fits("something".to_owned(), None).await.unwrap());
    }
}
