//! Durations (`1m30s`) and sizes (`64MiB`) as texts.

use std::fmt::Write as _;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// A number without a unit.
    #[error("the unit is missing")]
    NoUnit,
    /// The unit is unknown.
    #[error("`{0}` is not a unit")]
    UnknownUnit(String),
    /// The text contains a space.
    #[error("there is a space in it")]
    Space,
    /// A number is missing.
    #[error("a number is missing")]
    NoNumber,
    /// The value is too large.
    #[error("the number is too large")]
    TooLarge,
}

/// A duration: integers, each followed by `ms`, `s`, `m`, `h` or `d` (24 hours), added up.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    loop {
        let (number, unit, behind) = split_quantity(rest)?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            "" => return Err(QuantityError::NoUnit),
            _ => return Err(QuantityError::UnknownUnit(unit.to_owned())),
        };
        let number = u32::try_from(number).map_err(|_| QuantityError::TooLarge)?;
        let part = unit.checked_mul(number).ok_or(QuantityError::TooLarge)?;
        total = total.checked_add(part).ok_or(QuantityError::TooLarge)?;
        if behind.is_empty() {
            return Ok(total);
        }
        rest = behind;
    }
}

/// A size in bytes: an integer followed by `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`, `GiB`,
/// `TiB` (powers of 1024).
pub(crate) fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let (number, unit, behind) = split_quantity(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "" => return Err(QuantityError::NoUnit),
        _ => return Err(QuantityError::UnknownUnit(unit.to_owned())),
    };
    if !behind.is_empty() {
        return Err(QuantityError::UnknownUnit(format!("{unit}{behind}")));
    }
    number.checked_mul(factor).ok_or(QuantityError::TooLarge)
}

/// A duration in the notation of files, exact to the millisecond.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let count = rest / millis;
        rest %= millis;
        // `24h` is the usual way to write a day; `1d` is no more readable.
        if unit == "d" && count < 2 {
            rest += count * millis;
        } else if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A size in the notation of files, exact.
pub(crate) fn show_size(bytes: u64) -> String {
    let units: [(&str, u64); 8] = [
        ("TiB", 1 << 40),
        ("TB", 1_000_000_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("kB", 1_000),
    ];
    match units.into_iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// A number, its unit, and the rest.
fn split_quantity(text: &str) -> Result<(u64, &str, &str), QuantityError> {
    if text.contains(char::is_whitespace) {
        return Err(QuantityError::Space);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, behind) = text.split_at(digits);
    if number.is_empty() {
        return Err(QuantityError::NoNumber);
    }
    let number = number.parse().map_err(|_| QuantityError::TooLarge)?;
    let unit = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
    let (unit, behind) = behind.split_at(unit);
    Ok((number, unit, behind))
}

/// A duration before it is parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct DurationText(pub(super) String);

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "duration",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
            "examples": ["2s", "350ms", "1m30s", "24h"],
        })
    }
}

/// A size before it is parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct SizeText(pub(super) String);

impl JsonSchema for SizeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "size",
            "pattern": "^[0-9]+(B|[kK]B|MB|GB|TB|KiB|MiB|GiB|TiB)$",
            "examples": ["64MiB", "2GB"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_numbers_with_units_added_up() {
        let ok = |text| parse_duration(text).unwrap();
        assert_eq!(ok("350ms"), Duration::from_millis(350));
        assert_eq!(ok("1s"), Duration::from_secs(1));
        assert_eq!(ok("2m"), Duration::from_mins(2));
        assert_eq!(ok("1m30s"), Duration::from_secs(90));
        assert_eq!(ok("24h"), ok("1d"));
        assert_eq!(ok("7d"), Duration::from_hours(7 * 24));
    }

    #[test]
    fn what_is_no_duration_is_told_why() {
        let why = |text| parse_duration(text).unwrap_err();
        assert_eq!(why(""), QuantityError::NoNumber);
        assert_eq!(why("s"), QuantityError::NoNumber);
        assert_eq!(why("-1s"), QuantityError::NoNumber);
        assert_eq!(why("10"), QuantityError::NoUnit);
        assert_eq!(why("1m30"), QuantityError::NoUnit);
        assert_eq!(why("1.5s"), QuantityError::UnknownUnit(".".into()));
        assert_eq!(why("2 s"), QuantityError::Space);
        assert_eq!(why("99999999999999999999s"), QuantityError::TooLarge);
    }

    #[test]
    fn sizes_are_powers_of_1000_or_1024() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_size("512B"), Ok(512));
        assert_eq!(parse_size("64"), Err(QuantityError::NoUnit));
        assert_eq!(parse_size("64M"), Err(QuantityError::UnknownUnit("M".into())));
        assert_eq!(parse_size("1GB2MB"), Err(QuantityError::UnknownUnit("GB2MB".into())));
        assert_eq!(parse_size("99999999TiB"), Err(QuantityError::TooLarge));
    }

    #[test]
    fn a_day_is_shown_in_hours() {
        assert_eq!(show_duration(Duration::from_hours(24)), "24h");
        assert_eq!(show_duration(Duration::from_hours(7 * 24)), "7d");
        assert_eq!(show_duration(Duration::ZERO), "0s");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_the_same(millis in 0u64..10_000_000_000, bytes in 0..u64::MAX) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC*") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
