//! The daemon's time line, and how it is displayed.
//!
//! The wall clock is read once in a boot of the machine to place the time line;
//! from then on only the monotonic clock counts, so that a clock that is set by
//! hours changes no deadline, no duration and no age, also of what an earlier
//! daemon wrote down. It is one that goes on while a virtual machine is suspended.
//!
//! ```text
//!   first daemon of a boot:  wall clock ──▶ offset ──▶ state/timeline.json
//!   every later one:         state/timeline.json ──▶ the same offset
//! ```

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use bellwether_core::moment::Moment;
use serde::{Deserialize, Serialize};

use crate::atomic_file;
use crate::boot_id::BootId;

mod fault;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(target_os = "linux")]
pub use self::linux::thread_time;
#[cfg(windows)]
use self::windows as system;

/// The daemon's time line. Cheap to copy; all copies are equal.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// What to add to the monotonic clock, in microseconds, to get a moment.
    offset: i64,
}

/// A clock of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The time of day. It can be set.
    Wall,
    /// Goes on while the machine is suspended. Its zero is anywhere in this boot.
    SinceBoot,
    /// Stands still while the machine is suspended. Its zero is anywhere in this boot.
    Awake,
}

/// What the clock shows, in microseconds.
fn micros(source: Source) -> i64 {
    system::micros(source).saturating_add(fault::micros(source))
}

/// The difference between the monotonic clock and the wall clock, in microseconds. The two cannot be read at the
/// same instant: of several attempts, the one that took the shortest time counts.
fn wall_offset() -> i64 {
    let read = || {
        let before = micros(Source::SinceBoot);
        let wall = micros(Source::Wall);
        let took = micros(Source::SinceBoot) - before;
        (took, wall - before - took / 2)
    };
    let tries = [read(), read(), read()];
    tries.into_iter().min_by_key(|(took, _)| *took).map_or(0, |(_, offset)| offset)
}

/// The time line of this boot, as stored in `state/timeline.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Timeline {
    boot: BootId,
    offset: i64,
}

impl Clock {
    /// The time line of the last daemon, if the machine has not been rebooted since, so that ages stay correct
    /// however the wall clock was set in between. Otherwise a new one.
    pub fn carry_on(root: &Path) -> Self {
        let path = root.join("state/timeline.json");
        let Ok(boot) = BootId::current() else { return Self::start() };
        let before = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Timeline>(&text).ok());
        if let Some(Timeline { offset, .. }) = before.filter(|before| before.boot == boot) {
            atomic_file::remember(&path);
            return Self { offset };
        }
        let new = Self::start();
        let timeline = Timeline { boot, offset: new.offset };
        let written = serde_json::to_vec(&timeline)
            .map_err(io::Error::other)
            .and_then(|text| atomic_file::replace(&path, &text));
        if let Err(error) = written {
            tracing::warn!(%error, "state/timeline.json cannot be written: a clock that is set will change ages");
        }
        new
    }

    /// A time line whose zero is the Unix epoch, according to the present wall clock.
    pub fn start() -> Self {
        Self { offset: wall_offset() }
    }

    /// The time on a clock that stops while the machine is suspended. Its zero is arbitrary.
    pub fn awake(self) -> Moment {
        Moment::from_micros(micros(Source::Awake))
    }

    pub fn now(self) -> Moment {
        Moment::from_micros(micros(Source::SinceBoot).saturating_add(self.offset))
    }

    /// The moment on the present wall clock, in microseconds since the Unix epoch. Differs from the moment itself
    /// once the clock has been set.
    pub fn wall_micros(self, moment: Moment) -> i64 {
        // Rounded to milliseconds: the two clocks cannot be read exactly enough to order events that are a
        // microsecond apart.
        let set_since = (wall_offset() - self.offset + 500).div_euclid(1_000) * 1_000;
        moment.as_micros().saturating_add(set_since)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-22T21:30:00.123Z`.
    pub fn timestamp(self, moment: Moment) -> String {
        timestamp(self.wall_micros(moment))
    }

    /// The same moment as an instant for tokio's timers.
    pub fn instant(self, moment: Moment) -> tokio::time::Instant {
        // Far enough away to mean "never", near enough for every platform's clock.
        let wait = moment.since(self.now()).min(Duration::from_secs(86_400 * 365));
        tokio::time::Instant::now() + wait
    }
}

/// RFC 3339 in UTC with milliseconds, from microseconds since the Unix epoch.
pub fn timestamp(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_with_milliseconds() {
        assert_eq!(timestamp(1_774_000_000_123_456), "2026-03-20T09:46:40.123Z");
    }

    #[test]
    fn a_time_line_is_carried_on_within_a_boot_and_begun_anew_after_it() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        fs::create_dir(&state).unwrap();
        let path = state.join("timeline.json");
        let first = Clock::carry_on(root.path());
        // As if the wall clock had been set by an hour since the first one was created.
        let text = fs::read_to_string(&path).unwrap();
        let hour = first.offset - 3_600_000_000;
        fs::write(&path, text.replace(&first.offset.to_string(), &hour.to_string())).unwrap();
        assert_eq!(Clock::carry_on(root.path()).offset, hour);
        let other_boot = r#"{"boot":"00000000-0000-0000-0000-000000000001","offset":5}"#;
        fs::write(&path, other_boot).unwrap();
        assert!((Clock::carry_on(root.path()).offset - first.offset).abs() < 1_000_000);
    }

    #[test]
    fn the_time_line_agrees_with_the_wall_clock_at_the_start() {
        let clock = Clock::start();
        let now = clock.now();
        assert!((clock.wall_micros(now) - now.as_micros()).abs() < 50_000);
    }
}
