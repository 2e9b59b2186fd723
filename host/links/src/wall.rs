//! The wall clock: certificates are made for it, and other nodes tell theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellwether_os::clock::Clock;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The wall clock of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Wall {
    clock: Clock,
    /// By how much it is wrong, in milliseconds: only in tests.
    off: Arc<AtomicI64>,
}

impl Wall {
    pub(crate) fn new(clock: Clock, off: &Arc<AtomicI64>) -> Self {
        Self { clock, off: Arc::clone(off) }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock.wall_micros(self.clock.now()) / 1_000).saturating_add(self.off.load(Ordering::Relaxed))
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms().div_euclid(1_000)
    }
}

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.now()))
    }
}

/// Seconds since 1970, as TLS wants them.
pub(crate) fn unix_time(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// `2026-11-22T21:30:00Z`, from seconds since 1970.
pub(crate) fn shown(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}
