//! Reads a component's configuration from the operator's JSON into the author's type.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;

/// The configuration of a component that takes none.
///
/// Any key is rejected, so that an operator does not rely on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads a configuration from the host's JSON. An error names the wrong key.
///
/// ```
/// use bellwether_guest::prelude::*;
///
/// #[bellwether_guest::config]
/// struct Config {
///     most_bytes: u64,
/// }
///
/// let error = bellwether_guest::parse_config::<Config>(r#"{"most-bytes": "many"}"#).err();
/// assert!(error.is_some_and(|e| e.contains("`most-bytes`")));
/// ```
pub fn parse_config<C: DeserializeOwned>(json: &str) -> Result<C, String> {
    // No configuration is the same as an empty table.
    let json = if matches!(json.trim(), "" | "null") { "{}" } else { json };
    let mut reader = serde_json::Deserializer::from_str(json);
    let config = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let reason = without_position(&error.inner().to_string()).to_owned();
        if path == "." || reason.contains(&format!("`{path}`")) {
            format!("the configuration is wrong: {reason}")
        } else {
            format!("the configuration is wrong: `{path}`: {reason}")
        }
    })?;
    reader.end().map_err(|error| format!("the configuration is wrong: {error}"))?;
    Ok(config)
}

/// The JSON Schema (draft 2020-12) of a configuration.
pub fn config_schema<C: JsonSchema>() -> String {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<C>().as_value().to_string()
}

/// The operator wrote TOML and never saw this JSON, so its lines and columns would be meaningless.
fn without_position(reason: &str) -> &str {
    reason.rfind(" at line ").map_or(reason, |at| &reason[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Config {
        /// The address to check.
        address: String,
        #[serde(default)]
        most_bytes: Option<u64>,
    }

    #[test]
    fn every_mistake_names_its_key() {
        let error = |json| parse_config::<Config>(json).unwrap_err();
        assert_eq!(error("{}"), "the configuration is wrong: missing field `address`");
        assert_eq!(error(""), error("{}"));
        assert_eq!(error("null"), error("{}"));
        assert_eq!(
            error(r#"{"adress": "x"}"#),
            "the configuration is wrong: unknown field `adress`, expected `address` or `most-bytes`"
        );
        assert_eq!(
            error(r#"{"address": "x", "most-bytes": "y"}"#),
            r#"the configuration is wrong: `most-bytes`: invalid type: string "y", expected u64"#
        );
    }

    #[test]
    fn what_is_right_is_taken() {
        let config = parse_config(r#"{"address": "x", "most-bytes": 1}"#);
        assert_eq!(config, Ok(Config { address: "x".into(), most_bytes: Some(1) }));
        assert_eq!(parse_config(""), Ok(NoConfig {}));
    }

    #[test]
    fn the_schema_has_the_operators_keys_and_the_authors_words() {
        let schema = config_schema::<Config>();
        assert!(schema.contains("https://json-schema.org/draft/2020-12/schema"), "{schema}");
        assert!(schema.contains(r#""description":"The address to check.""#), "{schema}");
        assert!(schema.contains(r#""most-bytes""#), "{schema}");
        assert!(schema.contains(r#""additionalProperties":false"#), "{schema}");
    }
}
