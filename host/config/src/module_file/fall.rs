//! The key `fall = 3` or `fall = "3 of 10"`.

use bellwether_core::verdict::MOST_LOOKED_BACK;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::mistake::Findings;
use crate::source::Located;

/// The number of fails that take a checker down, before it is parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a whole number, or a string such as \"3 of 10\"")]
pub(super) enum FallText {
    /// This number in a row.
    InARow(i64),
    /// This number among a number of runs.
    Of(String),
}

/// The maximum number in a row.
const MOST: u32 = 100;

/// The number of fails that take a checker down, in a row or among a number of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fall {
    pub(super) fails: u32,
    pub(super) of: Option<u32>,
}

impl JsonSchema for FallText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "fall".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": MOST,
            "pattern": "^[0-9]+ of [0-9]+$",
            "examples": [3, "3 of 10"],
        })
    }
}

/// The value of the file, or `default` fails in a row.
pub(super) fn fall(text: Option<&Located<FallText>>, default: u32, findings: &mut Findings<'_>) -> Fall {
    let default = Fall { fails: default, of: None };
    let Some(located) = text else { return default };
    match located.get() {
        FallText::InARow(number) => {
            if let Some(fails) = u32::try_from(*number).ok().filter(|fails| (1..=MOST).contains(fails)) {
                return Fall { fails, of: None };
            }
            findings
                .at(located.span(), "`fall` is out of range")
                .expected(format!("expected a number from 1 to {MOST}"));
            default
        }
        FallText::Of(text) => so_many_of(text).unwrap_or_else(|| {
            findings
                .at(located.span(), format!("`{text}` is not a number of fails"))
                .expected(format!(
                    "expected a string such as \"3 of 10\", the second number from the first to {MOST_LOOKED_BACK}"
                ))
                .help("\"3 of 10\": 3 fails among the last 10 runs take it down, in a row or not");
            default
        }),
    }
}

fn so_many_of(text: &str) -> Option<Fall> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    let (fails, of) = text.split_once(" of ")?;
    let (fails, of) = (number(fails)?, number(of)?);
    (fails >= 1 && (fails..=MOST_LOOKED_BACK).contains(&of)).then_some(Fall { fails, of: Some(of) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_fails_of_so_many_runs_are_read() {
        let of = |fails, of| Some(Fall { fails, of: Some(of) });
        assert_eq!(so_many_of("3 of 10"), of(3, 10));
        assert_eq!(so_many_of("1 of 1"), of(1, 1));
        assert_eq!(so_many_of("60 of 60"), of(60, 60));
        for wrong in
            ["", "3", "3 of", "of 10", "0 of 10", "11 of 10", "3 of 61", "+3 of 10", "3 of 10 ", "3/10"]
        {
            assert_eq!(so_many_of(wrong), None, "{wrong}");
        }
    }
}
