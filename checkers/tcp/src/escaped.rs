//! Bytes as a text with escapes: `\x00\xffPING\r\n`.

use std::borrow::Cow;

use bellwether_guest::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use bellwether_guest::serde::de::{Deserialize, Deserializer, Error};

/// Bytes that a text cannot contain. In a module file they are in single quotes, which do not interpret escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Escaped(pub(crate) Vec<u8>);

impl Escaped {
    /// An error names the invalid escape.
    fn parse(text: &str) -> Result<Self, String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((plain, behind)) = rest.split_once('\\') {
            bytes.extend(plain.as_bytes());
            let (byte, length) = match behind.as_bytes() {
                [b'r', ..] => (b'\r', 1),
                [b'n', ..] => (b'\n', 1),
                [b't', ..] => (b'\t', 1),
                [b'0', ..] => (0, 1),
                [b'\\', ..] => (b'\\', 1),
                [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    let byte = u8::from_str_radix(&behind[1..3], 16);
                    (byte.map_err(|error| error.to_string())?, 3)
                }
                _ => {
                    let shown: String = behind.chars().take(3).collect();
                    return Err(format!(
                        "`\\{shown}` is not an escape: expected \\xHH, \\r, \\n, \\t, \\0 or \\\\"
                    ));
                }
            };
            bytes.push(byte);
            rest = &behind[length..];
        }
        bytes.extend(rest.as_bytes());
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for Escaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Escaped {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "escaped bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^([^\\]|\\[rnt0\\]|\\x[0-9a-fA-F]{2})*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_bytes_and_all_else_is_itself() {
        let bytes = |text: &str| Escaped::parse(text).map(|escaped| escaped.0);
        assert_eq!(bytes(r"\x00\xfFPING\r\n\t\0\\").unwrap(), b"\x00\xffPING\r\n\t\0\\");
        assert_eq!(bytes("ä").unwrap(), "ä".as_bytes());
        assert_eq!(bytes("").unwrap(), b"");
        for wrong in [r"\", r"\x", r"\x1", r"\xg0", r"\q", r"\xä0"] {
            assert!(bytes(wrong).unwrap_err().contains("is not an escape"), "{wrong}");
        }
    }
}
