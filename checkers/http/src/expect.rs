//! `expect-status`: a number or a list of numbers.

use std::borrow::Cow;
use std::fmt;

use bellwether_guest::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use bellwether_guest::serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

/// The accepted statuses. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectStatus(Vec<u16>);

impl ExpectStatus {
    pub(crate) fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl Default for ExpectStatus {
    fn default() -> Self {
        Self(vec![200])
    }
}

/// `200`, `200 or 204`, `200, 204 or 404`
impl fmt::Display for ExpectStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, status) in self.0.iter().enumerate() {
            f.write_str(match index {
                0 => "",
                last if last + 1 == self.0.len() => " or ",
                _ => ", ",
            })?;
            write!(f, "{status}")?;
        }
        Ok(())
    }
}

// Written by hand, because the error of serde's derived implementation does not say what it expected.
impl<'de> Deserialize<'de> for ExpectStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = ExpectStatus;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status between 200 and 599, or a list of them")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ExpectStatus, E> {
        status(number).map(|status| ExpectStatus(vec![status]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ExpectStatus, A::Error> {
        let mut statuses = Vec::new();
        while let Some(number) = list.next_element()? {
            statuses.push(status(number)?);
        }
        if statuses.is_empty() {
            return Err(Error::invalid_length(0, &self));
        }
        Ok(ExpectStatus(statuses))
    }
}

fn status<E: Error>(number: u64) -> Result<u16, E> {
    match u16::try_from(number) {
        Ok(status @ 200..=599) => Ok(status),
        _ => Err(E::invalid_value(Unexpected::Unsigned(number), &OneOrSeveral)),
    }
}

impl JsonSchema for ExpectStatus {
    fn schema_name() -> Cow<'static, str> {
        "ExpectStatus".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 200, "maximum": 599 },
                {
                    "type": "array",
                    "items": { "type": "integer", "minimum": 200, "maximum": 599 },
                    "minItems": 1,
                },
            ],
            "default": 200,
        })
    }
}
