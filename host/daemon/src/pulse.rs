//! Proof that the core turns.
//!
//! The driver beats at every turn of its loop, and at least every
//! [`Pulse::BEAT`]. A health answer is only yes while the last beat is fresh:
//! a core that has stopped turning must never leave a stale yes behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellwether_core::moment::Moment;

/// Shared between the driver, which beats, and those who ask.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicI64>);

impl Pulse {
    /// The driver beats at least this often.
    pub const BEAT: Duration = Duration::from_millis(250);
    /// Without a beat for this long, the core counts as stalled.
    pub const STALE: Duration = Duration::from_secs(2);

    /// The core has turned.
    pub fn beat(&self, now: Moment) {
        self.0.store(now.as_micros(), Ordering::Release);
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
    pub fn alive(&self, now: Moment) -> bool {
        now.since(self.last()) < Self::STALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_is_alive_from_the_first_beat_until_it_is_stale() {
        let pulse = Pulse::default();
        let start = Moment::from_micros(1_000_000_000);
        assert!(!pulse.alive(start));
        pulse.beat(start);
        assert!(pulse.alive(start + Pulse::STALE / 2));
        assert!(!pulse.alive(start + Pulse::STALE));
    }
}
