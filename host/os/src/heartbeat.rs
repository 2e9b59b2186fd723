//! The heartbeat of the core's loop.
//!
//! The driver beats in every iteration of its loop, and at least every [`Heartbeat::BEAT`]. A health answer is
//! positive only while the last beat is fresh: a stalled core must never leave a stale positive answer behind.
//!
//! Time during which the machine was suspended does not count: nothing could run then, and a machine that resumes
//! must not answer 503 because of it.
//!
//! After a process was stopped for a moment (a paused container, a virtual machine that is migrated), probes are
//! waiting and the snapshot is old. A core whose beat came late needs a moment to learn what has happened in the
//! meantime: it is [catching up](Heartbeat::is_catching_up).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellwether_core::moment::Moment;

use crate::clock::Clock;

/// Shared between the driver, which beats, and its readers.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    last: AtomicI64,
    /// The last beat that came late.
    late: AtomicI64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self(Arc::new(Beats { last: AtomicI64::new(i64::MIN), late: AtomicI64::new(i64::MIN) }))
    }
}

impl Heartbeat {
    /// The driver beats at least this often.
    pub const BEAT: Duration = Duration::from_millis(250);
    /// Without a beat for this long, the core counts as stalled.
    pub const STALE: Duration = Duration::from_secs(2);
    /// A beat that comes after this time is late.
    const LATE: Duration = Duration::from_millis(500);
    /// Within this time after a late beat, the core knows what has happened in the meantime.
    const CAUGHT_UP: Duration = Duration::from_millis(200);

    /// Records a beat of the core.
    pub fn beat(&self, clock: Clock) {
        self.beat_at(clock.awake());
    }

    /// There is nothing to do: no beat is due until the next one.
    pub fn rest(&self) {
        self.0.last.store(Moment::NEVER.as_micros(), Ordering::Release);
    }

    /// The time of the last beat; far in the future while the core is idle.
    pub fn last(&self) -> Moment {
        Moment::from_micros(self.0.last.load(Ordering::Acquire))
    }

    /// Whether there has been a beat.
    pub fn has_begun(&self) -> bool {
        self.0.last.load(Ordering::Acquire) != i64::MIN
    }

    /// Whether the core has been stalled for a while and may continue at any moment, or has just done so: the
    /// snapshot may be old and will soon be updated.
    pub fn is_catching_up(&self, clock: Clock) -> bool {
        self.is_catching_up_at(clock.awake())
    }

    fn is_catching_up_at(&self, awake: Moment) -> bool {
        let silent = awake.since(self.last());
        let late = Moment::from_micros(self.0.late.load(Ordering::Acquire));
        self.has_begun()
            && silent < Self::STALE
            && (silent >= Self::LATE || awake.since(late) < Self::CAUGHT_UP)
    }

    /// Whether the core is running. False before the first beat.
    pub fn alive(&self, clock: Clock) -> bool {
        self.alive_at(clock.awake())
    }

    /// Records a beat at this moment of [`Clock::awake`]. If it is in the future, the core counts as alive until
    /// then.
    pub fn beat_at(&self, awake: Moment) {
        // The late beat is recorded first: a reader that sees the beat sees this as well.
        if self.has_begun() && awake.since(self.last()) >= Self::LATE {
            self.0.late.store(awake.as_micros(), Ordering::Release);
        }
        self.0.last.store(awake.as_micros(), Ordering::Release);
    }

    fn alive_at(&self, awake: Moment) -> bool {
        awake.since(self.last()) < Self::STALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_is_alive_from_the_first_beat_until_it_is_stale() {
        let heartbeat = Heartbeat::default();
        let start = Moment::from_micros(1_000_000_000);
        assert!(!heartbeat.alive_at(start) && !heartbeat.alive_at(Moment::default()));
        heartbeat.beat_at(start);
        assert!(heartbeat.alive_at(start + Heartbeat::STALE / 2));
        assert!(!heartbeat.alive_at(start + Heartbeat::STALE));
    }

    #[test]
    fn a_core_that_was_late_is_catching_up_for_a_moment_and_one_that_is_stale_is_not() {
        let heartbeat = Heartbeat::default();
        let start = Moment::from_micros(1_000_000_000);
        assert!(!heartbeat.is_catching_up_at(start), "it has not begun");
        heartbeat.beat_at(start);
        assert!(!heartbeat.is_catching_up_at(start), "the first beat is not late");
        let usual = start + Heartbeat::BEAT;
        heartbeat.beat_at(usual);
        assert!(!heartbeat.is_catching_up_at(usual + Heartbeat::BEAT));
        // It is stalled: either it will continue at any moment, or it is stale and reported as such.
        assert!(heartbeat.is_catching_up_at(usual + Heartbeat::LATE));
        assert!(!heartbeat.is_catching_up_at(usual + Heartbeat::STALE));
        for pause in [Heartbeat::LATE, Heartbeat::STALE * 10] {
            let woken = heartbeat.last() + pause;
            heartbeat.beat_at(woken);
            assert!(heartbeat.alive_at(woken) && heartbeat.is_catching_up_at(woken), "{pause:?}");
            heartbeat.beat_at(woken + Heartbeat::BEAT / 10);
            assert!(
                heartbeat.is_catching_up_at(woken + Heartbeat::BEAT / 10),
                "another beat changes nothing"
            );
            assert!(!heartbeat.is_catching_up_at(woken + Heartbeat::CAUGHT_UP));
        }
        let later = heartbeat.last() + Heartbeat::STALE * 10;
        heartbeat.rest();
        assert!(!heartbeat.is_catching_up_at(later));
    }
}
