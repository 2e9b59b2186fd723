//! The first pass over a file: reports every syntax error, unknown key and wrong type at once.
//!
//! A deserialiser stops at its first error and reports the others only one at a time. Therefore the keys are
//! compared with the JSON Schema of the file, errors are reported and their values ignored, and the second pass
//! works on the rest.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Findings;
use super::nearest;
use super::source::Source;

/// The tables of a file, without invalid values. `None` after a syntax error, because the rest of the file cannot
/// be interpreted reliably.
pub(super) fn check<'s>(
    source: &'s Source,
    schema: &Value,
    findings: &mut Findings<'_>,
) -> Option<Spanned<DeTable<'s>>> {
    let (mut table, errors) = DeTable::parse_recoverable(source.text());
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        syntax_error(source, error.message(), span, findings);
    }
    let syntax_errors = findings.as_slice().len();
    let mut walk = Walk { findings, root: schema };
    walk.table(table.get_mut(), schema, &Position::root());
    if errors.is_empty() {
        return Some(table);
    }
    let broken: BTreeSet<usize> =
        findings.as_slice()[..syntax_errors].iter().map(|mistake| mistake.line).collect();
    let trusted = trusted_lines(source.text(), &broken);
    findings.retain_since(syntax_errors, |mistake| trusted.get(mistake.line - 1).copied().unwrap_or(false));
    None
}

fn syntax_error(source: &Source, message: &str, span: Range<usize>, findings: &mut Findings<'_>) {
    let (message, expected) = match message.split_once(", expected ") {
        Some((message, "nothing")) => (message, None),
        Some((message, expected)) => (message, Some(format!("expected {expected}"))),
        None => (message, None),
    };
    if findings.is_full() {
        return findings.count();
    }
    // One broken line is one mistake, whatever else it entails.
    let line = source.line(span.start);
    if findings.as_slice().iter().any(|earlier| earlier.line == line) {
        return;
    }
    let duplicate = "remove one of the two; the first is further up";
    let (message, expected, help) = match message {
        "duplicate key" => ("duplicate key", expected, Some(duplicate)),
        "string values must be quoted" => {
            let expected = "expected a value: a number, `true`, `false`, or a quoted string";
            ("this is not a value", Some(expected.to_owned()), None)
        }
        "invalid basic string" | "invalid literal string" => {
            ("this string is not terminated, or contains invalid characters", expected, None)
        }
        _ => (message, expected, None),
    };
    // For a missing value, there is nothing to underline except its line.
    let span = if span.is_empty() { whole_line(source.text(), span.start) } else { span };
    let mistake = findings.at(span, message);
    mistake.expected = expected;
    mistake.help = help.map(str::to_owned);
}

/// The line around a position, without the blanks around it.
fn whole_line(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    let line = &text[start..end];
    let start = start + (line.len() - line.trim_start().len());
    start..start + line.trim().len()
}

/// Which lines mean what they seem to: not the broken ones, and after a
/// broken one nothing up to the next header, as it may belong elsewhere.
fn trusted_lines(text: &str, broken: &BTreeSet<usize>) -> Vec<bool> {
    let mut trusted = true;
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            if line.trim_start().starts_with('[') {
                trusted = true;
            }
            if broken.contains(&(index + 1)) {
                trusted = false;
            }
            trusted
        })
        .collect()
}

/// The present position of the walk.
struct Position {
    /// In the notation of findings and conversions: `checker[1].process`.
    path: String,
    /// In the notation of the file: `[[checker]]`, `checker.process`.
    title: String,
}

impl Position {
    fn root() -> Self {
        Self { path: String::new(), title: "this file".to_owned() }
    }

    fn key(&self, key: &str, is_list: bool) -> Self {
        if self.path.is_empty() {
            let title = if is_list { format!("`[[{key}]]`") } else { format!("`[{key}]`") };
            return Self { path: key.to_owned(), title };
        }
        let outer = self.title.trim_matches(['`', '[', ']']);
        Self { title: format!("`{outer}.{key}`"), path: format!("{}.{key}", self.path) }
    }

    fn index(&self, index: usize) -> Self {
        Self { title: self.title.clone(), path: format!("{}[{index}]", self.path) }
    }
}

struct Walk<'w, 'f> {
    findings: &'w mut Findings<'f>,
    root: &'w Value,
}

impl Walk<'_, '_> {
    fn table(&mut self, table: &mut DeTable<'_>, schema: &Value, place: &Position) {
        let names = table.keys().map(|key| key.get_ref().to_string());
        let present: Vec<String> = names.filter(|name| property(schema, name).is_some()).collect();
        let mut wrong = BTreeSet::new();
        for (key, value) in table.iter_mut() {
            let name = key.get_ref().as_ref();
            let here = |value_schema: &Value| place.key(name, type_of(value_schema) == Some("array"));
            let known = schema.get("properties").and_then(|properties| properties.get(name));
            let good = match (known, schema.get("additionalProperties")) {
                (Some(known), _) => self.entry(name, value, known, &here(known)),
                (None, Some(Value::Bool(false))) => {
                    self.unknown_key(name, key.span(), schema, &present, place);
                    false
                }
                (None, Some(any @ Value::Object(_))) => self.entry(name, value, any, &here(any)),
                (None, _) => true,
            };
            if !good {
                wrong.insert(name.to_owned());
            }
        }
        if !wrong.is_empty() {
            // All at once: each that is removed by itself would move those behind it.
            let all = std::mem::take(table).into_iter();
            *table = all.filter(|(key, _)| !wrong.contains(key.get_ref().as_ref())).collect();
        }
    }

    /// Whether the value stays in its table.
    fn entry(
        &mut self,
        name: &str,
        value: &mut Spanned<DeValue<'_>>,
        schema: &Value,
        place: &Position,
    ) -> bool {
        let good = self.value(name, value, schema, place);
        if !good {
            self.findings.leave_out(&place.path);
        }
        good
    }

    /// Whether the value is of the right type.
    fn value(
        &mut self,
        name: &str,
        value: &mut Spanned<DeValue<'_>>,
        schema: &Value,
        place: &Position,
    ) -> bool {
        let span = value.span();
        match (type_of(schema), value.get_mut()) {
            (Some("object"), DeValue::Table(table)) => {
                self.table(table, schema, place);
                true
            }
            (Some("array"), DeValue::Array(items)) => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if (items.len() as u64) < least {
                    let expected = format!("expected at least {least} of them");
                    self.findings.at(span, format!("`{name}` is empty")).expected(expected);
                    return false;
                }
                let Some(item_schema) = schema.get("items") else { return true };
                let mut good = true;
                for (index, item) in items.iter_mut().enumerate() {
                    good &= self.value(name, item, item_schema, &place.index(index));
                }
                good
            }
            (Some("string"), DeValue::String(_)) | (Some("boolean"), DeValue::Boolean(_)) => true,
            (Some("integer" | "number"), DeValue::Integer(number)) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                #[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
                let number = number.map(|number| number as f64);
                self.within_bounds(name, number, span, schema)
            }
            (Some("number"), DeValue::Float(number)) => {
                self.within_bounds(name, number.as_str().parse().ok(), span, schema)
            }
            (None, DeValue::String(word)) => match words_of(schema).as_slice() {
                [] => true,
                words if words.contains(&word.as_ref()) => true,
                words => {
                    let mistake = self
                        .findings
                        .at(span, format!("`{}` is not a valid value for `{name}`", word.as_ref()));
                    mistake.expected(format!("expected {}", nearest::list(words.iter().copied())));
                    mistake.help = nearest::did_you_mean(word, words.iter().copied());
                    false
                }
            },
            (None, _) if words_of(schema).is_empty() => true,
            (_, wrong) => {
                let wrong = describe(wrong);
                self.wrong_type(name, wrong, span, schema, place);
                false
            }
        }
    }

    fn within_bounds(&mut self, name: &str, number: Option<f64>, span: Range<usize>, schema: &Value) -> bool {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let number = number.filter(|number| number.is_finite());
        let good = number.is_some_and(|number| {
            least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
        });
        if !good {
            let expected = match (least, most) {
                (Some(least), Some(most)) => format!("expected a number from {least} to {most}"),
                (Some(least), None) => format!("expected a number of at least {least}"),
                _ => "expected a number".to_owned(),
            };
            self.findings.at(span, format!("`{name}` is out of range")).expected(expected);
        }
        good
    }

    fn unknown_key(
        &mut self,
        name: &str,
        span: Range<usize>,
        schema: &Value,
        present: &[String],
        place: &Position,
    ) {
        if self.findings.is_full() {
            return self.findings.count();
        }
        let keys = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        // A key that exists already was not meant, unless it may be repeated.
        let is_free = |key: &str, inner: &Value| {
            type_of(inner) == Some("array") || !present.iter().any(|other| other == key)
        };
        let free: Vec<&str> =
            keys.filter(|(key, inner)| is_free(key, inner)).map(|(key, _)| key.as_str()).collect();
        let near = nearest::nearest(name, free.iter().copied());
        let known = |key: &&str| *key != name && property(schema, key).is_some();
        let taken = nearest::nearest(name, present.iter().map(String::as_str).filter(known));
        let path = if place.path.is_empty() {
            near.unwrap_or(name).to_owned()
        } else {
            format!("{}.{}", place.path, near.unwrap_or(name))
        };
        self.findings.leave_out(&path);
        let elsewhere = || {
            let mut places = Vec::new();
            places_of_key(self.root, name, &Position::root(), &mut places);
            (!places.is_empty()).then(|| places.join(" or "))
        };
        let (expected, help) = match (near, taken) {
            (Some(near), _) => (format!("did you mean `{near}`?"), None),
            (None, Some(taken)) => (format!("did you mean `{taken}`?"), Some(stands_already(schema, taken))),
            (None, None) => match elsewhere() {
                Some(places) => (format!("`{name}` belongs in {places}"), None),
                None if free.is_empty() => ("no further keys are allowed here".to_owned(), None),
                None => (format!("expected {}", nearest::list(free.iter().copied())), takes_config(&free)),
            },
        };
        let message = match place.path.as_str() {
            "" => format!("this file has no key `{name}`"),
            _ => format!("{} has no key `{name}`", place.title),
        };
        let mistake = self.findings.at(span, message);
        mistake.expected(expected);
        mistake.help = help;
    }

    fn wrong_type(&mut self, name: &str, wrong: &str, span: Range<usize>, schema: &Value, place: &Position) {
        let title = schema.get("title").and_then(Value::as_str);
        let example = schema.pointer("/examples/0");
        let words = words_of(schema);
        let expected = match (title, example, type_of(schema)) {
            (Some(title), Some(example), _) => format!("expected a {title} such as {example}"),
            _ if !words.is_empty() => format!("expected {}", nearest::list(words.into_iter())),
            (_, _, Some("string")) => "expected a quoted string".to_owned(),
            (_, _, Some("integer")) => "expected a whole number".to_owned(),
            (_, _, Some("number")) => "expected a number".to_owned(),
            (_, _, Some("boolean")) => "expected `true` or `false`".to_owned(),
            (_, _, Some("array")) if place.title.starts_with("`[[") => {
                format!("expected {} as the header, with double brackets", place.title)
            }
            (_, _, Some("array")) => "expected a list: `[…]`".to_owned(),
            (_, _, Some("object")) => "expected a table: `{ … }`".to_owned(),
            _ => "expected something else".to_owned(),
        };
        self.findings.at(span, format!("`{name}` is {wrong}")).expected(expected);
    }
}

fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    schema.get("properties").and_then(|properties| properties.get(key))
}

/// The suggested key exists already, and may occur only once.
fn stands_already(schema: &Value, key: &str) -> String {
    match property(schema, key).and_then(type_of) {
        Some("object") => format!("`{key}` exists already: put the key there"),
        _ => format!("`{key}` exists already: remove one of the two"),
    }
}

/// A component's own settings are often written one level too high.
fn takes_config(free: &[&str]) -> Option<String> {
    free.contains(&"config").then(|| "the settings of a component go into `config = { … }`".to_owned())
}

fn type_of(schema: &Value) -> Option<&str> {
    // Several words are alternative constants, each with its own type.
    schema.get("type").and_then(Value::as_str).filter(|_| words_of(schema).is_empty())
}

/// The possible words of a text, if it has alternatives.
fn words_of(schema: &Value) -> Vec<&str> {
    let constants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let constants = constants.filter_map(|option| option.get("const"));
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    constants.chain(listed).filter_map(Value::as_str).collect()
}

fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The other tables of the file that have a key with this name.
fn places_of_key(schema: &Value, name: &str, place: &Position, found: &mut Vec<String>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (key, inner) in properties {
        let is_list = type_of(inner) == Some("array");
        if key == name && !place.path.is_empty() {
            found.push(place.title.clone());
        }
        let inner = if is_list { inner.get("items").unwrap_or(inner) } else { inner };
        places_of_key(inner, name, &place.key(key, is_list), found);
    }
}
