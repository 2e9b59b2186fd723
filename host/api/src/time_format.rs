//! Moments in a readable form.

use std::time::Duration;

use bellwether_core::moment::plain;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A text that is not a valid moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a valid time: expected how long ago (10m, 2h, 1d), a date and a time (2026-11-22 21:30), \
     or a moment like 2026-11-22T21:30:00Z"
)]
pub struct NoMoment(String);

/// The format of moments: relative to one moment, in one time zone.
#[derive(Debug, Clone)]
pub struct TimeFormat {
    now: Timestamp,
    zone: TimeZone,
}

impl TimeFormat {
    /// The time zone of this host, and the present time.
    pub fn here() -> Self {
        Self { now: Timestamp::now(), zone: TimeZone::system() }
    }

    /// That moment in UTC, in RFC 3339; `None` if it is not valid.
    pub fn at(moment: &str) -> Option<Self> {
        Some(Self { now: moment.parse().ok()?, zone: TimeZone::UTC })
    }

    /// Parses a moment: how long ago (`10m`, `2h 30m`, `1d`), RFC 3339, or the date or the time on this host's
    /// clock, or both.
    ///
    /// # Errors
    /// If it is in none of these forms.
    pub fn read(&self, text: &str) -> Result<Timestamp, NoMoment> {
        let text = text.trim();
        let here = |there: DateTime| there.to_zoned(self.zone.clone()).map(|there| there.timestamp()).ok();
        let today = || self.now.to_zoned(self.zone.clone()).date();
        let ago = || {
            let span: Span = text.parse().ok()?;
            let ago = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
            // A moment before now; "-5m" is not valid.
            if ago.is_negative() { None } else { self.now.checked_sub(ago).ok() }
        };
        let written = || text.parse::<DateTime>().ok().and_then(here);
        let today_at = || {
            // A number alone is not a time of day.
            let time = text.contains(':').then(|| text.parse::<Time>().ok())??;
            here(today().to_datetime(time))
        };
        text.parse()
            .ok()
            .or_else(ago)
            .or_else(written)
            .or_else(today_at)
            .ok_or_else(|| NoMoment(text.to_owned()))
    }

    /// For example `21:30:02 UTC`.
    pub fn now(&self) -> String {
        self.now.to_zoned(self.zone.clone()).strftime("%H:%M:%S %Z").to_string()
    }

    /// `21:03:12`, with the date if it is another day.
    pub fn clock(&self, moment: &str) -> String {
        self.show(moment, "%H:%M:%S")
    }

    /// `21:03:12.345`, with the date if it is another day.
    pub fn fine(&self, moment: &str) -> String {
        self.show(moment, "%H:%M:%S%.3f")
    }

    /// `21:03:12 (4m ago)`, or `(in 4m)`.
    pub fn both(&self, moment: &str) -> String {
        format!("{} ({})", self.clock(moment), self.relative(moment))
    }

    /// `4m ago`, or `in 4m`.
    pub fn relative(&self, moment: &str) -> String {
        let Ok(moment) = moment.parse::<Timestamp>() else { return "at an unknown time".into() };
        let distance = whole(self.now.duration_since(moment).unsigned_abs());
        if moment > self.now { format!("in {}", plain(distance)) } else { format!("{} ago", plain(distance)) }
    }

    /// `21:03:12 UTC`, with the date if it is another day.
    pub fn zoned(&self, moment: &str) -> String {
        self.show(moment, "%H:%M:%S %Z")
    }

    /// `Monday 23 November 2026`
    pub fn day(&self, moment: &str) -> String {
        let Ok(timestamp) = moment.parse::<Timestamp>() else { return moment.to_owned() };
        timestamp.to_zoned(self.zone.clone()).strftime("%A %-d %B %Y").to_string()
    }

    /// `21:03`, or `22 Nov 21:03`.
    pub fn short(&self, moment: &str, with_day: bool) -> String {
        let Ok(timestamp) = moment.parse::<Timestamp>() else { return moment.to_owned() };
        let form = if with_day { "%d %b %H:%M" } else { "%H:%M" };
        timestamp.to_zoned(self.zone.clone()).strftime(form).to_string()
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

/// Fractions of a second are irrelevant above one second.
fn whole(duration: Duration) -> Duration {
    if duration.as_secs() > 0 { Duration::from_secs(duration.as_secs()) } else { duration }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when() -> TimeFormat {
        TimeFormat { now: "2026-11-22T21:07:13Z".parse().unwrap(), zone: TimeZone::UTC }
    }

    #[test]
    fn a_moment_is_read_as_people_write_it() {
        for (text, moment) in [
            ("10m", "2026-11-22T20:57:13Z"),
            ("1d 2h", "2026-11-21T19:07:13Z"),
            ("2026-11-20T01:03:12Z", "2026-11-20T01:03:12Z"),
            ("2026-11-20T01:03:12+01:00", "2026-11-20T00:03:12Z"),
            ("2026-11-20 01:03", "2026-11-20T01:03:00Z"),
            (" 2026-11-20T01:03 ", "2026-11-20T01:03:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("20:30", "2026-11-22T20:30:00Z"),
        ] {
            assert_eq!(when().read(text).unwrap().to_string(), moment, "{text}");
        }
        let elsewhere = TimeFormat { zone: TimeZone::fixed(jiff::tz::offset(2)), ..when() };
        assert_eq!(elsewhere.read("2026-11-20 01:00").unwrap().to_string(), "2026-11-19T23:00:00Z");
        for wrong in ["", "yesterday", "10", "-5m", "2026-13-01", "99999999d"] {
            assert!(when().read(wrong).unwrap_err().to_string().contains("expected"), "{wrong}");
        }
    }

    #[test]
    fn a_moment_is_shown_absolute_and_relative() {
        assert_eq!(when().both("2026-11-22T21:03:12.500Z"), "21:03:12 (4m ago)");
        assert_eq!(when().both("2026-11-20T01:03:12Z"), "2026-11-20 01:03:12 (2d 20h ago)");
        assert_eq!(when().both("2026-11-22T21:07:16.600Z"), "21:07:16 (in 3s)");
        assert_eq!(when().fine("2026-11-22T21:03:12.5Z"), "21:03:12.500");
        assert_eq!(when().now(), "21:07:13 UTC");
    }
}
