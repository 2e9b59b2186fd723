//! The first seconds of a daemon, in which it listens and does not know anything yet.
//!
//! Questions wait until they have a true answer: until the modules are in force, and it is known whether the
//! application runs. They do not wait for ever: a load balancer that hears nothing for long has to learn why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwether_core::moment::Moment;

use bellwether_os::clock::Clock;

/// Questions wait for so long at most. Load balancers wait a few seconds for an answer.
const WAITED_FOR: Duration = Duration::from_secs(5);

/// How far the daemon has come. Cheap to clone; all clones are the same one.
#[derive(Debug, Clone)]
pub struct Opening(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    loaded: AtomicBool,
    until: Moment,
}

impl Opening {
    /// The daemon has just begun.
    pub fn begin(clock: Clock) -> Self {
        Self::lasting(clock, WAITED_FOR)
    }

    /// The same, and questions wait for so long.
    pub(super) fn lasting(clock: Clock, waited_for: Duration) -> Self {
        let until = clock.awake() + waited_for;
        Self(Arc::new(Inner { loaded: AtomicBool::new(false), until }))
    }

    /// Of a daemon that has been running for long.
    pub fn over() -> Self {
        Self(Arc::new(Inner { loaded: AtomicBool::new(true), until: Moment::from_micros(i64::MIN) }))
    }

    /// All modules are in force.
    pub fn loaded(&self) {
        self.0.loaded.store(true, Ordering::Release);
    }

    /// Whether they are.
    pub(super) fn is_loaded(&self) -> bool {
        self.0.loaded.load(Ordering::Acquire)
    }

    /// Whether a question that has no true answer yet is to wait for one.
    pub(super) fn waits(&self, clock: Clock) -> bool {
        clock.awake() < self.0.until
    }
}
