//! Proof that the core turns.
//!
//! The driver beats at every turn of its loop, and at least every
//! [`Pulse::BEAT`]. A health answer is only yes while the last beat is fresh:
//! a core that has stopped turning must never leave a stale yes behind.
//!
//! Time during which the machine was suspended does not count: nobody could turn
//! then, and a machine that wakes up must not say no because of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellwether_core::moment::Moment;

use crate::clock::Clock;

/// Shared between the driver, which beats, and those who ask.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<AtomicI64>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }
}

impl Pulse {
    /// The driver beats at least this often.
    pub const BEAT: Duration = Duration::from_millis(250);
    /// Without a beat for this long, the core counts as stalled.
    pub const STALE: Duration = Duration::from_secs(2);

    /// The core has turned.
    pub fn beat(&self, clock: Clock) {
        self.beat_at(clock.awake());
    }

    /// There is nothing to do: no beat is owed until the next one.
    pub fn rest(&self) {
        self.0.store(Moment::NEVER.as_micros(), Ordering::Release);
    }

    /// The last beat; far in the future while at rest.
    pub fn last(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::Acquire))
    }

    /// Whether the core turns. Not before its first beat.
    pub fn alive(&self, clock: Clock) -> bool {
        self.alive_at(clock.awake())
    }

    /// The core has turned at that moment of [`Clock::awake`]: later than now, it counts as alive until then.
    pub fn beat_at(&self, awake: Moment) {
        self.0.store(awake.as_micros(), Ordering::Release);
    }

    fn alive_at(&self, awake: Moment) -> bool {
        awake.since(Moment::from_micros(self.0.load(Ordering::Acquire))) < Self::STALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_is_alive_from_the_first_beat_until_it_is_stale() {
        let pulse = Pulse::default();
        let start = Moment::from_micros(1_000_000_000);
        assert!(!pulse.alive_at(start) && !pulse.alive_at(Moment::default()));
        pulse.beat_at(start);
        assert!(pulse.alive_at(start + Pulse::STALE / 2));
        assert!(!pulse.alive_at(start + Pulse::STALE));
    }
}
