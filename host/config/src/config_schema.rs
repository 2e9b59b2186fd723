//! The JSON Schema of a component's config, made safe to use.
//!
//! The schema comes from a component, which may be untrusted: a schema of a few bytes that refers to itself, or to
//! two that refer to two more each, keeps a validator busy until the memory is exhausted. Therefore its references
//! are expanded first, within limits.

use jsonschema::Validator;
use serde_json::Value;

/// The maximum size of a schema, in bytes.
const MAX_LENGTH: usize = 256 << 10;
/// The maximum number of values with all references expanded,
const MAX_VALUES: usize = 20_000;
/// and the maximum depth of nesting.
const MAX_DEPTH: usize = 200;

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("its schema is longer than {MAX_LENGTH} bytes")]
    TooLong,
    #[error("its schema is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("its schema refers to itself, or is too large with all its references")]
    TooLarge,
    #[error("its schema refers to `{0}`, which is not a place within it such as `#/$defs/name`")]
    BadReference(String),
    #[error("its schema is not one: {0}")]
    Invalid(String),
}

/// The schema, and the validator for configs.
pub(super) fn compile(text: &str) -> Result<(Value, Validator), SchemaError> {
    if text.len() > MAX_LENGTH {
        return Err(SchemaError::TooLong);
    }
    let schema: Value = serde_json::from_str(text)?;
    let mut left = MAX_VALUES;
    unfold(&schema, &schema, MAX_DEPTH, &mut left)?;
    let validator =
        jsonschema::validator_for(&schema).map_err(|error| SchemaError::Invalid(error.to_string()))?;
    Ok((schema, validator))
}

/// Walks a part of the schema and everything it refers to. `left` is the number of values that may still follow.
fn unfold(root: &Value, part: &Value, depth: usize, left: &mut usize) -> Result<(), SchemaError> {
    *left = left.checked_sub(1).ok_or(SchemaError::TooLarge)?;
    let depth = depth.checked_sub(1).ok_or(SchemaError::TooLarge)?;
    match part {
        Value::Array(items) => items.iter().try_for_each(|item| unfold(root, item, depth, left)),
        Value::Object(object) => object.iter().try_for_each(|(key, inner)| match (key.as_str(), inner) {
            ("$ref", Value::String(reference)) => {
                let bad = || SchemaError::BadReference(reference.clone());
                let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
                unfold(root, target.ok_or_else(bad)?, depth, left)
            }
            ("$dynamicRef" | "$recursiveRef" | "$id", Value::String(reference)) => {
                Err(SchemaError::BadReference(reference.clone()))
            }
            _ => unfold(root, inner, depth, left),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(schema: &str) -> bool {
        matches!(compile(schema), Err(SchemaError::TooLarge))
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_refused() {
        assert!(refused(r##"{ "$ref": "#" }"##));
        assert!(refused(r##"{ "allOf": [{ "$ref": "#" }] }"##));
        let two = r##"{ "$ref": "#/$defs/a", "$defs": {
            "a": { "not": { "$ref": "#/$defs/b" } }, "b": { "$ref": "#/$defs/a" } } }"##;
        assert!(refused(two));
    }

    #[test]
    fn a_schema_that_doubles_with_every_reference_is_refused() {
        let definition = |n: usize| {
            let next = format!("{{ \"$ref\": \"#/$defs/d{}\" }}", n + 1);
            format!("\"d{n}\": {{ \"allOf\": [{next}, {next}] }}")
        };
        let definitions: Vec<String> = (0..40).map(definition).collect();
        let schema = format!(
            "{{ \"$ref\": \"#/$defs/d0\", \"$defs\": {{ {}, \"d40\": true }} }}",
            definitions.join(", ")
        );
        assert!(refused(&schema));
    }

    #[test]
    fn references_lead_to_places_within() {
        for reference in ["https://example.org/schema", "other", "#anchor", "#/$defs/none"] {
            let schema = serde_json::json!({ "$ref": reference, "$defs": { "a": true } });
            assert!(matches!(compile(&schema.to_string()), Err(SchemaError::BadReference(_))), "{reference}");
        }
        let schema = r##"{ "$ref": "#/$defs/a", "$defs": { "a": { "type": "string" } } }"##;
        assert!(compile(schema).unwrap().1.is_valid(&"text".into()));
    }
}
