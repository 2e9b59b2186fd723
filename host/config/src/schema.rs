//! The JSON Schemas of the operator's files, generated from their structures.
//!
//! Editors use them for completion and checks, and reading a file checks keys and types against the same schemas:
//! both accept the same files. They are stored in `host/config/schema`, and a test fails when they are outdated.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::module_file::ModuleFile;
use super::node_file::NodeFile;
use super::scenario_file::ScenarioFile;

/// The JSON Schema (draft 2020-12) of `bellwether.toml`.
pub(crate) fn node_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(generate::<NodeFile>)
}

/// The JSON Schema (draft 2020-12) of `modules/NAME.toml`.
pub(crate) fn module_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(generate::<ModuleFile>)
}

/// The JSON Schema (draft 2020-12) of a scenario.
pub(crate) fn scenario_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(generate::<ScenarioFile>)
}

fn generate<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(remove_null));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// TOML has no null: optional keys are simply not required.
fn remove_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    // The formats of numbers in the code are useless for an editor.
    object.remove("format");
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(mut options)) = object.remove("anyOf") else { return };
    options.retain(|option| option.get("type").is_none_or(|name| name != "null"));
    match options.as_mut_slice() {
        [Value::Object(only)] => {
            for (key, value) in std::mem::take(only) {
                // The field's own description is more specific than its type's.
                object.entry(key).or_insert(value);
            }
        }
        _ => {
            object.insert("anyOf".to_owned(), Value::Array(options));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn assert_kept(name: &str, schema: &Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
        let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
        if std::env::var_os("BELLWETHER_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "host/config/schema/{name} is not what the code says. If the code is right, write it anew: \
             BELLWETHER_UPDATE=1 cargo test -p bellwether-config schema"
        );
    }

    #[test]
    fn the_kept_schema_of_the_node_file_is_the_codes() {
        assert_kept("bellwether.schema.json", node_schema());
    }

    #[test]
    fn the_kept_schema_of_the_module_file_is_the_codes() {
        assert_kept("module.schema.json", module_schema());
    }

    #[test]
    fn the_kept_schema_of_a_scenario_is_the_codes() {
        assert_kept("scenario.schema.json", scenario_schema());
    }

    fn assert_described(schema: &Value, path: &str) {
        for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{path}.{key}");
            assert!(property.get("description").is_some(), "{path} has no description");
            assert_described(property, &path);
            for inner in ["items", "additionalProperties"] {
                assert_described(property.get(inner).unwrap_or(&Value::Null), &path);
            }
        }
    }

    #[test]
    fn every_key_is_described() {
        assert_described(node_schema(), "bellwether.toml");
        assert_described(module_schema(), "module");
        assert_described(scenario_schema(), "scenario");
    }

    #[test]
    fn neither_schema_speaks_of_null_or_references() {
        for schema in [node_schema(), module_schema(), scenario_schema()] {
            let text = schema.to_string();
            assert!(!text.contains("null"), "{text}");
            assert!(!text.contains("$ref"), "{text}");
        }
    }
}
