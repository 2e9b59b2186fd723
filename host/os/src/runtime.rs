//! The threads of the daemon's own runtime.
//!
//! All of them are created at the start, and none exits: a process that cannot create threads later (the limit of
//! its user or of its control group is reached, or there is no memory for a stack) continues as before, and work
//! that needs a thread for a while waits for one of these.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// One is permanently used by the core; the others are for work that waits for the disk or for a program:
/// compilers, readers of files, starts.
const BLOCKING: usize = 17;
/// All threads exist within this time, or cannot be created.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// Longer than any daemon runs, so the threads do not end.
const NEVER_IDLE: Duration = Duration::from_hours(24 * 365 * 10);

/// The runtime that the daemon runs on.
pub fn runtime() -> io::Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING)
        .thread_keep_alive(NEVER_IDLE)
        .enable_all()
        .build()?;
    let met = Arc::new((Mutex::new(0_usize), Condvar::new()));
    for _ in 0..BLOCKING {
        let met = Arc::clone(&met);
        // Each waits for all the others, so that each has a thread of its own.
        runtime.spawn_blocking(move || {
            let (count, changed) = &*met;
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            changed.notify_all();
            drop(changed.wait_timeout_while(count, READY_WITHIN, |count| *count < BLOCKING));
        });
    }
    Ok(runtime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;

    #[test]
    fn so_many_work_at_once_and_the_same_ones_do_all_that_comes() {
        let runtime = runtime().unwrap();
        let round = || {
            let all = Arc::new(Barrier::new(BLOCKING));
            let meet = |all: Arc<Barrier>| {
                tokio::task::spawn_blocking(move || {
                    all.wait();
                    std::thread::current().id()
                })
            };
            runtime.block_on(async {
                let tasks = (0..BLOCKING).map(|_| meet(Arc::clone(&all)));
                let ids = futures_util::future::join_all(tasks).await;
                ids.into_iter().map(Result::unwrap).collect::<HashSet<_>>()
            })
        };
        let first = round();
        assert_eq!(first.len(), BLOCKING);
        assert_eq!(round(), first);
    }
}
