//! The first seconds of a daemon, in which it listens and has no result yet.
//!
//! Requests wait until they can be answered correctly: until the modules are loaded, and it is known whether the
//! application runs. They do not wait forever: a load balancer that gets no answer for long has to learn why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwether_core::moment::Moment;

use bellwether_os::clock::Clock;

/// The maximum waiting time. Load balancers wait a few seconds for an answer.
const WAITED_FOR: Duration = Duration::from_secs(5);

/// The progress of the daemon's start. Cheap to clone; all clones are the same one.
#[derive(Debug, Clone)]
pub struct Opening(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    loaded: AtomicBool,
    until: Moment,
}

impl Opening {
    /// The daemon has just started.
    pub fn begin(clock: Clock) -> Self {
        Self::lasting(clock, WAITED_FOR)
    }

    /// The same, with this waiting time.
    pub(super) fn lasting(clock: Clock, waited_for: Duration) -> Self {
        let until = clock.awake() + waited_for;
        Self(Arc::new(Inner { loaded: AtomicBool::new(false), until }))
    }

    /// For a daemon that has been running for long.
    pub fn over() -> Self {
        Self(Arc::new(Inner { loaded: AtomicBool::new(true), until: Moment::from_micros(i64::MIN) }))
    }

    /// All modules have been loaded.
    pub fn loaded(&self) {
        self.0.loaded.store(true, Ordering::Release);
    }

    /// Whether all modules have been loaded.
    pub(super) fn is_loaded(&self) -> bool {
        self.0.loaded.load(Ordering::Acquire)
    }

    /// Whether a request that cannot be answered correctly yet has to wait.
    pub(super) fn waits(&self, clock: Clock) -> bool {
        clock.awake() < self.0.until
    }
}
