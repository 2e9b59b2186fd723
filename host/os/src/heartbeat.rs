//! The heartbeat of the core's loop.
//!
//! The driver beats in every iteration of its loop, and at least every [`Heartbeat::BEAT`]. A health answer is
//! positive only while the last beat is fresh: a stalled core must never leave a stale positive answer behind.
//!
//! Time during which the machine was suspended does not count: nothing could run then, and a machine that resumes
//! must not answer 503 because of it.
//!
//! A process that was stopped for a moment (a container that is paused, a virtual machine that is moved) has
//! probes waiting when it goes on, and a picture from before. A core whose beat came late needs another
//! moment to learn what has happened meanwhile: it is [catching up](Heartbeat::is_catching_up).
//!
//! A thread that answers finds by its own beats that the whole process has stood still, for however long: then the core
//! is not to blame, and it has as long again from [that moment on](Heartbeat::beat_beside).

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
    /// When the whole process was found to have stood still until then.
    woken: AtomicI64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        let never = || AtomicI64::new(i64::MIN);
        Self(Arc::new(Beats { last: never(), late: never(), woken: never() }))
    }
}

impl Heartbeat {
    /// The driver beats at least this often.
    pub const BEAT: Duration = Duration::from_millis(250);
    /// Without a beat for this long, the core counts as stalled.
    pub const STALE: Duration = Duration::from_secs(2);
    /// A beat that comes after this time is late.
    const LATE: Duration = Duration::from_millis(500);
    /// A thread that means to beat once a second and has not for so long has stood still.
    const STOOD_STILL: Duration = Duration::from_millis(1_500);
    /// After a late beat, what has happened meanwhile is known within this.
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
            && self.alive_at(awake)
            && (silent >= Self::LATE || awake.since(late) < Self::CAUGHT_UP)
    }

    /// The whole process has stood still from `before` until now (it was stopped, or its virtual machine paused). A
    /// core that was alive before it counts as alive again, and is catching up until it beats.
    fn woke_at(&self, before: Moment, awake: Moment) {
        if self.has_begun() && self.alive_at(before) {
            self.0.woken.store(awake.as_micros(), Ordering::Release);
        }
    }

    /// For a thread that answers and beats itself at least once a second: beats, and tells `core` if this thread has
    /// stood still, which the whole process then did.
    pub fn beat_beside(&self, core: &Self, clock: Clock) {
        self.beat_beside_at(core, clock.awake());
    }

    fn beat_beside_at(&self, core: &Self, awake: Moment) {
        let before = self.last();
        if self.has_begun() && awake.since(before) >= Self::STOOD_STILL {
            core.woke_at(before, awake);
        }
        self.beat_at(awake);
    }

    /// Whether the core turns. Not before its first beat.
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
        let woken = Moment::from_micros(self.0.woken.load(Ordering::Acquire));
        awake.since(self.last().max(woken)) < Self::STALE
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

    #[test]
    fn a_core_that_was_alive_before_the_whole_process_stood_still_catches_up_and_is_not_stalled() {
        let heartbeat = Heartbeat::default();
        let start = Moment::from_micros(1_000_000_000);
        heartbeat.beat_at(start);
        let woken = start + Heartbeat::STALE * 30;
        assert!(!heartbeat.alive_at(woken));
        heartbeat.woke_at(start + Heartbeat::BEAT, woken);
        assert!(heartbeat.alive_at(woken) && heartbeat.is_catching_up_at(woken));
        let beaten = woken + Heartbeat::BEAT;
        heartbeat.beat_at(beaten);
        assert!(heartbeat.is_catching_up_at(beaten));
        assert!(!heartbeat.is_catching_up_at(beaten + Heartbeat::CAUGHT_UP));
    }

    #[test]
    fn a_core_that_does_not_go_on_with_the_process_has_stalled_again() {
        let heartbeat = Heartbeat::default();
        let start = Moment::from_micros(1_000_000_000);
        heartbeat.beat_at(start);
        let woken = start + Heartbeat::STALE * 30;
        heartbeat.woke_at(start, woken);
        assert!(!heartbeat.alive_at(woken + Heartbeat::STALE));
        // One that had stalled before is not excused.
        let again = woken + Heartbeat::STALE * 60;
        heartbeat.woke_at(woken + Heartbeat::STALE, again);
        assert!(!heartbeat.alive_at(again));
    }

    #[test]
    fn a_thread_that_has_stood_still_tells_the_core_and_one_that_turns_does_not() {
        let (core, thread) = (Heartbeat::default(), Heartbeat::default());
        let before = Moment::from_micros(1_000_000_000);
        let mut now = before;
        core.beat_at(before);
        while now < before + Heartbeat::STALE * 2 {
            now = now + Heartbeat::BEAT;
            thread.beat_beside_at(&core, now);
        }
        assert!(!core.alive_at(now), "the thread turns, and the core does not");
        core.beat_at(now);
        let woken = now + Heartbeat::STALE * 30;
        thread.beat_beside_at(&core, woken);
        assert!(core.alive_at(woken), "both stood still");
    }
}
