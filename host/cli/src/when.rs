//! Moments and durations as people read and write them.

use std::time::Duration;

use bellwether_core::moment::plain;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// How moments are shown: relative to one, in one time zone.
#[derive(Debug, Clone)]
pub(crate) struct When {
    now: Timestamp,
    zone: TimeZone,
}

impl When {
    /// As this host has it, now.
    pub(crate) fn here() -> Self {
        Self { now: Timestamp::now(), zone: TimeZone::system() }
    }

    /// `21:30:02 UTC`
    pub(crate) fn now(&self) -> String {
        self.now.to_zoned(self.zone.clone()).strftime("%H:%M:%S %Z").to_string()
    }

    /// `21:03:12`, with the day if it is another one.
    pub(crate) fn clock(&self, moment: &str) -> String {
        self.show(moment, "%H:%M:%S")
    }

    /// `21:03:12.345`, with the day if it is another one.
    pub(crate) fn fine(&self, moment: &str) -> String {
        self.show(moment, "%H:%M:%S%.3f")
    }

    /// `21:03:12 (4m ago)`, or `(in 4m)`.
    pub(crate) fn both(&self, moment: &str) -> String {
        format!("{} ({})", self.clock(moment), self.relative(moment))
    }

    /// `4m ago`, or `in 4m`.
    pub(crate) fn relative(&self, moment: &str) -> String {
        let Ok(moment) = moment.parse::<Timestamp>() else { return "at an unknown time".into() };
        let distance = whole(self.now.duration_since(moment).unsigned_abs());
        if moment > self.now { format!("in {}", plain(distance)) } else { format!("{} ago", plain(distance)) }
    }

    fn show(&self, moment: &str, time: &str) -> String {
        let Ok(timestamp) = moment.parse::<Timestamp>() else { return moment.to_owned() };
        let there = timestamp.to_zoned(self.zone.clone());
        let today = self.now.to_zoned(self.zone.clone());
        if there.date() == today.date() {
            there.strftime(time).to_string()
        } else {
            there.strftime(&format!("%Y-%m-%d {time}")).to_string()
        }
    }
}

/// Parts of a second are noise behind one.
fn whole(duration: Duration) -> Duration {
    if duration.as_secs() > 0 { Duration::from_secs(duration.as_secs()) } else { duration }
}

/// `10m`, `1h 30m`, `2d`: for clap.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration like 30s, 10m or 2d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// A moment, or how long ago it was: for clap.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let ago = duration(text).map_err(|_| {
        format!("`{text}` is neither a duration like 10m nor a moment like 2026-11-22T21:30:00Z")
    })?;
    Timestamp::now().checked_sub(ago).map_err(|_| format!("`{text}` is too long ago"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when() -> When {
        When { now: "2026-11-22T21:07:13Z".parse().unwrap(), zone: TimeZone::UTC }
    }

    #[test]
    fn a_moment_is_shown_absolute_and_relative() {
        assert_eq!(when().both("2026-11-22T21:03:12.500Z"), "21:03:12 (4m ago)");
        assert_eq!(when().both("2026-11-20T01:03:12Z"), "2026-11-20 01:03:12 (2d 20h ago)");
        assert_eq!(when().both("2026-11-22T21:07:16.600Z"), "21:07:16 (in 3s)");
        assert_eq!(when().fine("2026-11-22T21:03:12.5Z"), "21:03:12.500");
        assert_eq!(when().now(), "21:07:13 UTC");
    }

    #[test]
    fn durations_are_written_as_in_the_files() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("1h 30m", 5400), ("2d", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "ten", "10", "-5m"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn since_takes_a_moment_or_how_long_ago_it_was() {
        assert_eq!(moment("2026-11-22T21:30:00Z").unwrap().to_string(), "2026-11-22T21:30:00Z");
        let since = moment("10m").unwrap();
        let ago = Timestamp::now().duration_since(since).as_secs();
        assert!((600..660).contains(&ago), "{ago}");
        assert!(moment("yesterday").unwrap_err().contains("neither a duration"));
    }
}
