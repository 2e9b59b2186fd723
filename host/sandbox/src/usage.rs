//! The resource usage of a run: counted on its own thread, read by its caller.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use bellwether_bus::metrics::Usage;
use bellwether_os::clock;

/// A run's meter. Its values can still be read when the guest has been ended.
#[derive(Default)]
pub(super) struct Meter {
    /// Nanoseconds of completed polls.
    cpu: AtomicU64,
    /// The thread's CPU time when the present poll began, in nanoseconds.
    turn: AtomicU64,
    memory: AtomicU64,
    host_calls: AtomicU64,
}

impl Meter {
    /// A thread begins to poll the run.
    pub(super) fn begin_turn(&self) {
        self.turn.store(thread_time(), Relaxed);
    }

    /// The thread stops polling it.
    pub(super) fn end_turn(&self) {
        self.cpu.fetch_add(self.this_turn(), Relaxed);
    }

    /// The usage until now. Must be called on the thread that carries out the run.
    pub(super) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu.load(Relaxed).saturating_add(self.this_turn()))
    }

    /// Counts a call, and returns the number of calls so far.
    pub(super) fn count_call(&self) -> u64 {
        self.host_calls.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn memory(&self, used: u64) {
        self.memory.fetch_max(used, Relaxed);
    }

    /// Without the present poll, if there is one.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            cpu: Duration::from_nanos(self.cpu.load(Relaxed)),
            memory: self.memory.load(Relaxed),
            host_calls: self.host_calls.load(Relaxed),
        }
    }

    fn this_turn(&self) -> u64 {
        thread_time().saturating_sub(self.turn.load(Relaxed))
    }
}

/// Nanoseconds of a processor that this thread has had.
fn thread_time() -> u64 {
    u64::try_from(clock::thread_time().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_turns_of_the_run_itself_are_counted() {
        let spin = || {
            let begun = thread_time();
            while thread_time() < begun + 2_000_000 {}
        };
        let meter = Meter::default();
        meter.begin_turn();
        spin();
        meter.end_turn();
        let first = meter.usage().cpu;
        assert!(first >= Duration::from_millis(2), "{first:?}");
        spin();
        meter.begin_turn();
        assert!(meter.cpu() >= first && meter.cpu() < first + Duration::from_millis(2), "{:?}", meter.cpu());
        assert_eq!((meter.count_call(), meter.count_call()), (1, 2));
    }
}
