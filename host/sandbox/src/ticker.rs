//! Advances the epochs of guests.
//!
//! ```text
//!            a run begins
//!   Parked ───────────────▶ Ticking ──┐ every TICK: the epoch moves on, and
//!     ▲                        │  ▲   │ spinning guests come up for air
//!     └────────────────────────┘  └───┘
//!      a whole tick without any run
//! ```
//! A thread of the operating system, because a task could be starved by the very guests that it has to interrupt.
//! Parked whenever nothing runs, so that an idle daemon does not wake up for it. Once the sandbox is dropped, the
//! thread exits with the last run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::Thread;
use std::time::Duration;

use anyhow::Context as _;
use wasmtime::Engine;

/// Guests in an endless loop are interrupted at this interval.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Ticks while there are [`Running`] guards.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

/// A run in progress.
pub(super) struct Running(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The number of runs that have begun.
    begun: AtomicU64,
    /// The number of runs that have ended.
    ended: AtomicU64,
    parked: AtomicBool,
    closing: AtomicBool,
}

impl Ticker {
    pub(super) fn start(engine: Engine) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("guest-ticker".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || tick(&shared, &engine)
            })
            .context("cannot start the thread that interrupts components")?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Registers a run: epochs advance from now on.
    pub(super) fn run(&self) -> Running {
        self.shared.begun.fetch_add(1, SeqCst);
        if self.shared.parked.swap(false, SeqCst) {
            self.thread.unpark();
        }
        Running(Arc::clone(&self.shared))
    }

    #[cfg(test)]
    fn is_parked(&self) -> bool {
        self.shared.parked.load(SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.closing.store(true, SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
    }
}

fn tick(shared: &Shared, engine: &Engine) {
    let mut seen = 0;
    loop {
        let begun = shared.begun.load(SeqCst);
        let quiet = begun == seen && shared.ended.load(SeqCst) == begun;
        seen = begun;
        if !quiet {
            std::thread::sleep(TICK);
            engine.increment_epoch();
        } else if shared.closing.load(SeqCst) {
            return;
        } else {
            park(shared, seen);
        }
    }
}

fn park(shared: &Shared, seen: u64) {
    shared.parked.store(true, SeqCst);
    // A run that began before `parked` was set did not see it and does not wake this thread.
    let awaited = || shared.begun.load(SeqCst) == seen && !shared.closing.load(SeqCst);
    while awaited() {
        std::thread::park();
    }
    shared.parked.store(false, SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn until(what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(60), "never {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_thread_ticks_only_while_something_runs() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        until("parked at the start", || ticker.is_parked());
        let first = ticker.run();
        let second = ticker.run();
        until("woken", || !ticker.is_parked());
        drop(first);
        drop(second);
        until("parked again", || ticker.is_parked());
    }

    #[test]
    fn the_thread_ends_with_the_last_run() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        let run = ticker.run();
        drop(ticker);
        assert!(shared.upgrade().is_some());
        drop(run);
        until("ended", || shared.upgrade().is_none());
    }
}
