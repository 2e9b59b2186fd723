//! What is wrong with a component's settings, in an operator's words: a schema says it in those of JSON Schema.

use bellwether_core::counting::counted;
use bellwether_core::text::LONGEST;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::{Map, Value};

use self::expected::{around, describe, lookup};
use super::config_schema;
use super::mistake::MAX_MISTAKES;
use super::nearest;

mod expected;

/// Alternatives within alternatives are looked at so deep, and so are parts of a schema.
const MAX_DEPTH: usize = 12;
/// A longer text is cut, in characters.
const MAX_SHOWN: usize = 60;

/// A step from `config` to what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConfigStep {
    Key(String),
    Index(usize),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Where, below `config`.
    pub(super) at: Vec<ConfigStep>,
    /// The last key itself is wrong, and not its value.
    pub(super) is_key: bool,
    pub(super) message: String,
    pub(super) expected: String,
    pub(super) help: Option<String>,
}

/// What one error of the schema of `component` comes to. Where there are several ways to write a value, it is said what
/// is wrong with the one that was meant, if that is plain.
pub(super) fn complaints(component: &str, schema: &Value, error: &ValidationError<'_>) -> Vec<Complaint> {
    let mut all = Vec::new();
    Complaints { component, schema }.add(error, MAX_DEPTH, &mut all);
    all
}

/// What is wrong with a config, one sentence each, where there is no file to show. Nothing if the schema cannot be used.
pub fn config_mistakes(component: &str, schema: &str, config: &Value) -> Vec<String> {
    let Ok((schema, validator)) = config_schema::compile(schema) else { return Vec::new() };
    let errors = validator.iter_errors(config).take(MAX_MISTAKES);
    let all = errors.flat_map(|error| complaints(component, &schema, &error)).map(|complaint| {
        let help = complaint.help.map(|help| format!("; {help}")).unwrap_or_default();
        let sentence = format!("{}: {}{help}", complaint.message, complaint.expected);
        bellwether_core::text::sentence(&sentence, LONGEST).into_owned()
    });
    all.collect()
}

struct Complaints<'s> {
    component: &'s str,
    schema: &'s Value,
}

impl Complaints<'_> {
    fn add(&self, error: &ValidationError<'_>, depth: usize, all: &mut Vec<Complaint>) {
        let at = places(error.instance_path());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                all.extend(unexpected.iter().map(|key| self.unknown_key(key, &at, error)));
            }
            Kind::Required { property } => all.push(self.missing_key(property, at, error)),
            Kind::PropertyNames { error: inner } => {
                let key = inner.instance().as_str().unwrap_or_default();
                let mut complaint = self.wrong_value(inner, at.clone());
                complaint.message =
                    format!("`{}` takes no key `{}` in `{}`", self.component, cut(key), shown(&at));
                complaint.at.push(ConfigStep::Key(key.to_owned()));
                complaint.is_key = true;
                all.push(complaint);
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                match meant(context, at.len()).filter(|_| depth > 0) {
                    Some(errors) => errors.iter().for_each(|error| self.add(error, depth - 1, all)),
                    None => all.push(self.wrong_value(error, at)),
                }
            }
            _ => all.push(self.wrong_value(error, at)),
        }
    }

    fn unknown_key(&self, key: &str, at: &[ConfigStep], error: &ValidationError<'_>) -> Complaint {
        let known = self.known_keys(error);
        let near = nearest::did_you_mean(key, known.iter().copied());
        let list = || match known.as_slice() {
            [] => "expected no key".to_owned(),
            known => format!("expected {}", nearest::list(known.iter().copied())),
        };
        Complaint {
            at: at.iter().cloned().chain([ConfigStep::Key(key.to_owned())]).collect(),
            is_key: true,
            message: format!("`{}` takes no `{}` in `{}`", self.component, cut(key), shown(at)),
            expected: near.unwrap_or_else(list),
            help: None,
        }
    }

    fn missing_key(&self, property: &Value, at: Vec<ConfigStep>, error: &ValidationError<'_>) -> Complaint {
        let key = property.as_str().unwrap_or_default();
        Complaint {
            message: format!("`{}` needs `{key}` in `{}`", self.component, shown(&at)),
            at,
            is_key: false,
            expected: format!("expected `{key}`"),
            help: self.condition(error).map(str::to_owned),
        }
    }

    fn wrong_value(&self, error: &ValidationError<'_>, at: Vec<ConfigStep>) -> Complaint {
        let value = error.instance();
        let part = lookup(self.schema, around(error.schema_path().as_str()));
        let help = part.and_then(|part| part.get("enum")).and_then(Value::as_array).and_then(|options| {
            nearest::did_you_mean(value.as_str()?, options.iter().filter_map(Value::as_str))
        });
        let expected = part
            .and_then(|part| describe(self.schema, part, MAX_DEPTH))
            .unwrap_or_else(|| "another value".to_owned());
        Complaint {
            message: format!("`{}` cannot take {} as `{}`", self.component, found(value), shown(&at)),
            at,
            is_key: false,
            expected: format!("expected {expected}"),
            help,
        }
    }

    /// What the schema says of a key that is wanted under a condition only: the description of its `then`.
    fn condition(&self, error: &ValidationError<'_>) -> Option<&str> {
        let then = error.schema_path().as_str().strip_suffix("/required")?;
        if !then.ends_with("/then") && !then.ends_with("/else") {
            return None;
        }
        lookup(self.schema, then)?.get("description")?.as_str()
    }

    /// The keys that the part of the schema knows that an unexpected key offends.
    fn known_keys(&self, error: &ValidationError<'_>) -> Vec<&str> {
        let part = lookup(self.schema, around(error.schema_path().as_str()));
        let properties = part.and_then(|part| part.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys).map(String::as_str).collect()
    }
}

/// Of the ways to write a value: the errors of the only one that has the right kind of value, or of the one that fits
/// the deepest.
fn meant<'e>(
    context: &'e [Vec<ValidationError<'static>>],
    depth: usize,
) -> Option<&'e Vec<ValidationError<'static>>> {
    let is_another_kind = |error: &ValidationError<'_>| {
        let here = places(error.instance_path()).len() <= depth;
        here && matches!(error.kind(), Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. })
    };
    let mut fitting = context.iter().filter(|errors| !errors.iter().any(is_another_kind));
    if let (Some(only), None) = (fitting.next(), fitting.next()) {
        return Some(only);
    }
    let deepest = |errors: &&Vec<ValidationError<'static>>| {
        errors.iter().map(|error| places(error.instance_path()).len()).max().unwrap_or_default()
    };
    let most = context.iter().map(|errors| deepest(&errors)).max()?;
    let mut best = context.iter().filter(|errors| deepest(errors) == most && most > depth);
    best.next().filter(|_| best.next().is_none())
}

fn places(location: &Location) -> Vec<ConfigStep> {
    let place = |segment: LocationSegment<'_>| match segment {
        LocationSegment::Property(key) => ConfigStep::Key(key.as_ref().to_owned()),
        LocationSegment::Index(index) => ConfigStep::Index(index),
    };
    location.into_iter().map(place).collect()
}

/// `config.headers`, `config.expect-status[1]`
fn shown(at: &[ConfigStep]) -> String {
    at.iter().fold("config".to_owned(), |shown, place| match place {
        ConfigStep::Key(key) => format!("{shown}.{key}"),
        ConfigStep::Index(index) => format!("{shown}[{index}]"),
    })
}

fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(MAX_SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// What stands there.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("the text `{}`", cut(text)),
        Value::Array(list) if list.is_empty() => "an empty list".to_owned(),
        Value::Array(list) => format!("a list of {}", counted(list.len(), "value", "values")),
        Value::Object(table) if table.is_empty() => "an empty table".to_owned(),
        Value::Object(table) => format!("a table with {}", counted(table.len(), "key", "keys")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(schema: &Value, config: &Value) -> Vec<String> {
        let validator = jsonschema::validator_for(schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(config).collect();
        let all = errors.iter().flat_map(|error| complaints("own", schema, error));
        all.map(|complaint| {
            let help = complaint.help.map(|help| format!("; {help}")).unwrap_or_default();
            format!("{}; {}{help}", complaint.message, complaint.expected)
        })
        .collect()
    }

    /// What is said of `value` as the key `x`, for which this is the schema.
    fn of_value(x: &Value, value: &Value) -> String {
        let schema = json!({ "type": "object", "properties": { "x": x } });
        said(&schema, &json!({ "x": value })).join("\n")
    }

    #[test]
    fn a_value_is_told_with_what_was_found_and_what_was_expected() {
        for (schema, value, message) in [
            (json!({ "type": "integer" }), json!("7"), "the text `7` as `config.x`; expected a whole number"),
            (
                json!({ "type": "integer", "minimum": 1, "maximum": 9 }),
                json!(10),
                "the number `10` as `config.x`; expected a whole number from 1 to 9",
            ),
            (
                json!({ "type": "number", "exclusiveMinimum": 0 }),
                json!(0),
                "the number `0` as `config.x`; expected a number above 0",
            ),
            (json!({ "type": ["string", "null"] }), json!(true), "`true` as `config.x`; expected a text"),
            (
                json!({ "type": "string", "minLength": 1 }),
                json!(""),
                "an empty text as `config.x`; expected a text that is not empty",
            ),
            (
                json!({ "type": "string", "pattern": "^http://", "description": "The URL to ask. Or not." }),
                json!("shop"),
                "the text `shop` as `config.x`; expected the URL to ask",
            ),
            (
                json!({ "type": "boolean" }),
                json!(1),
                "the number `1` as `config.x`; expected `true` or `false`",
            ),
            (
                json!({ "enum": ["fast", "slow"] }),
                json!("fsat"),
                "the text `fsat` as `config.x`; expected `fast` or `slow`; did you mean `fast`?",
            ),
            (
                json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
                json!([]),
                "an empty list as `config.x`; expected a list of 1 or more entries, each entry a text",
            ),
            (
                json!({ "anyOf": [{ "type": "integer" }, { "type": "array", "items": { "type": "integer" } }] }),
                json!("x"),
                "the text `x` as `config.x`; expected a whole number; or a list, each entry a whole number",
            ),
            (json!({ "not": {} }), json!(1), "the number `1` as `config.x`; expected another value"),
        ] {
            assert_eq!(of_value(&schema, &value), format!("`own` cannot take {message}"), "{schema}");
        }
    }

    #[test]
    fn of_several_ways_the_one_that_was_meant_is_told() {
        let tls = json!({ "type": "object", "additionalProperties": false,
                          "properties": { "verify": { "type": "boolean" } } });
        let schema = json!({
            "type": "object", "$defs": { "tls": tls },
            "properties": { "tls": { "anyOf": [{ "$ref": "#/$defs/tls" }, { "type": "null" }] } },
        });
        assert_eq!(
            said(&schema, &json!({ "tls": { "verfy": true } })),
            ["`own` takes no `verfy` in `config.tls`; did you mean `verify`?"]
        );
        assert_eq!(
            said(&schema, &json!({ "tls": { "verify": 1 } })),
            ["`own` cannot take the number `1` as `config.tls.verify`; expected `true` or `false`"]
        );
        assert_eq!(
            said(&schema, &json!({ "tls": 1 })),
            ["`own` cannot take the number `1` as `config.tls`; expected a table"]
        );
    }

    #[test]
    fn a_key_that_is_missing_or_unknown_is_named() {
        let schema = json!({
            "type": "object", "required": ["url"], "additionalProperties": false,
            "properties": { "url": {}, "headers": { "propertyNames": { "maxLength": 3, "type": "string" } } },
        });
        let mut said = said(&schema, &json!({ "ulr": 1, "headers": { "long": 1 } }));
        said.sort();
        assert_eq!(
            said,
            [
                "`own` needs `url` in `config`; expected `url`",
                "`own` takes no `ulr` in `config`; did you mean `url`?",
                "`own` takes no key `long` in `config.headers`; expected a text of at most 3 characters",
            ]
        );
    }
}
