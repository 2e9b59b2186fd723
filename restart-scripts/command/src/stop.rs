//! How kept commands are asked to exit: one signal, or several with a time to exit for each.

use std::time::Duration;

use bellwether_guest::Signal;
use bellwether_guest::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use bellwether_guest::serde::de::{Deserialize, Deserializer, Error};

/// One signal, and how long the application may take to exit.
#[bellwether_guest::config]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stage {
    /// The signal to send.
    pub(crate) signal: Signal,
    /// How long it may take to exit: `20s`. Default: the `timeout` of the command.
    #[serde(default)]
    pub(crate) wait: Option<Wait>,
}

/// A duration as in the module's file: `1m30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration such as `20s`")))
    }
}

impl JsonSchema for Wait {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "wait".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]{1,9}(ms|s|m|h))+$", "examples": ["20s", "1m30s"] })
    }
}

/// Integers, each followed by `ms`, `s`, `m` or `h`, added up.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    loop {
        let digits = rest.find(|next: char| !next.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|next: char| next.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number.parse().ok()?)?)?;
        if behind.is_empty() {
            return Some(total);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_duration_as_in_the_file() {
        assert_eq!(parse("20s"), Some(Duration::from_secs(20)));
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("1h5ms"), Some(Duration::from_millis(3_600_005)));
        for text in ["", "s", "20", "20 s", "-1s", "1.5s", "1d", "s20", "99999999999s", "20s5"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
