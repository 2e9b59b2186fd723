//! Parses durations and moments on the command line.

use std::fmt;
use std::time::Duration;

use bellwether_api::time_format::NoMoment;
pub(crate) use bellwether_api::time_format::TimeFormat;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A text that is not a valid duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoDuration(String);

impl fmt::Display for NoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a duration like 30s, 10m or 2d", self.0)
    }
}

impl std::error::Error for NoDuration {}

/// `10m`, `1h 30m`, `2d`: for clap.
pub(crate) fn duration(text: &str) -> Result<Duration, NoDuration> {
    let wrong = || NoDuration(text.to_owned());
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// A moment, or how long ago it was: for clap.
pub(crate) fn moment(text: &str) -> Result<Timestamp, NoMoment> {
    TimeFormat::here().read(text)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let before = Timestamp::now();
        let since = moment("10m").unwrap();
        let ten_minutes = Duration::from_secs(600);
        let (earliest, latest) = (before - ten_minutes, Timestamp::now() - ten_minutes);
        assert!((earliest..=latest).contains(&since), "{since} is not between {earliest} and {latest}");
        assert!(moment("yesterday").unwrap_err().to_string().contains("is not a valid time"));
    }
}
