//! The reference of the operator's files, generated from the descriptions in the schemas: every key with its
//! meaning, its default and an example.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{module_schema, node_schema};

const INTRODUCTION: &str = "\
# Reference: every key of the files

This page is generated from the schemas that the program uses to check files (`host/config/schema`); a test fails when it is
out of date. `bellwether validate --values` shows the effective values of a root and their sources.

- A duration is a string such as `\"2s\"`, `\"350ms\"`, `\"1m30s\"` or `\"24h\"`; a size is one such as `\"64MiB\"` or `\"2GB\"`.
- Keys without a default may be omitted, unless they must be set.
- A key that is not on this page is an error: the file is rejected, and the previous version stays active.
";

/// The whole page, in Markdown.
pub fn reference() -> String {
    let mut page = Page { text: INTRODUCTION.to_owned(), seen: Vec::new(), node: false };
    page.file("Module files: `modules/NAME.toml`", module_schema());
    page.node = true;
    page.file("The node's file: `bellwether.toml`", node_schema());
    page.text
}

struct Page<'s> {
    text: String,
    /// Tables that have been described already, by their keys.
    seen: Vec<(&'s Value, String)>,
    /// Whether it is the node's file, which has keys that a module's may not have.
    node: bool,
}

impl<'s> Page<'s> {
    fn file(&mut self, title: &str, schema: &'s Value) {
        self.line(&format!("\n## {title}\n\n{}", description(schema)));
        self.keys(schema, "");
        self.tables(schema, "");
    }

    fn line(&mut self, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{text}");
    }

    /// The keys of one table that have a value.
    fn keys(&mut self, schema: &Value, path: &str) {
        let node = self.node;
        let rows = rows(schema, |value| node || !is_of_the_node(value));
        let any = !rows.is_empty();
        self.rows(rows);
        if any && path.is_empty() {
            self.line("\nThese keys are at the beginning of the file, before the first table.");
        }
    }

    fn rows(&mut self, rows: Vec<String>) {
        if rows.is_empty() {
            return;
        }
        self.line("\n| key | meaning | default | example |\n|---|---|---|---|");
        for row in rows {
            self.line(&row);
        }
    }

    /// The nested tables, each with a section of its own.
    fn tables(&mut self, schema: &'s Value, path: &str) {
        for (key, value) in properties(schema) {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let (table, path, title) = match Kind::of(value) {
                Kind::Value => continue,
                Kind::Table => (value, inner.clone(), format!("[{inner}]")),
                Kind::List => (&value["items"], inner.clone(), format!("[[{inner}]]")),
                Kind::Named => {
                    (&value["additionalProperties"], format!("{inner}.NAME"), format!("[{inner}.NAME]"))
                }
            };
            self.table(value, table, &path, &title);
        }
    }

    fn table(&mut self, outer: &'s Value, table: &'s Value, path: &str, title: &str) {
        self.line(&format!("\n### `{title}`\n\n{}", cell(description(outer))));
        let own = description(table);
        if !std::ptr::eq(outer, table) && !own.is_empty() {
            self.line(&format!("\n{}", cell(own)));
        }
        let Some(keys) = table.get("properties") else {
            self.line("\nIts keys are the names, and their values are strings.");
            return;
        };
        if let Some((_, earlier)) = self.seen.iter().find(|(known, _)| *known == keys) {
            let of_the_node = if self.node { rows(table, is_of_the_node) } else { Vec::new() };
            let besides = if of_the_node.is_empty() { "." } else { ", and:" };
            let text = format!("\nThe same keys as in `{earlier}`{besides}");
            self.line(&text);
            self.rows(of_the_node);
            return;
        }
        self.seen.push((keys, title.to_owned()));
        self.keys(table, path);
        self.tables(table, path);
    }
}

/// The kind of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A text, a number, a list of them, or a component's own settings.
    Value,
    /// A single nested table.
    Table,
    /// Several tables of one kind, without names.
    List,
    /// Several tables of one kind, each with a name.
    Named,
}

impl Kind {
    fn of(schema: &Value) -> Self {
        let has_keys =
            |schema: Option<&Value>| schema.is_some_and(|schema| schema.get("properties").is_some());
        if has_keys(Some(schema)) {
            Self::Table
        } else if has_keys(schema.get("items")) {
            Self::List
        } else if has_keys(schema.get("additionalProperties")) {
            Self::Named
        } else {
            Self::Value
        }
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The keys of one table that have a value and are wanted.
fn rows(schema: &Value, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    properties(schema)
        .filter(|(_, value)| Kind::of(value) == Kind::Value && wanted(value))
        .map(|(key, value)| row(key, value, is_required(schema, key)))
        .collect()
}

/// Whether a key is an error in a module's file, although the schema of the table has it.
fn is_of_the_node(schema: &Value) -> bool {
    description(schema).starts_with("For the node alone")
}

fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn is_required(schema: &Value, key: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.into_iter().flatten().any(|name| name == key)
}

fn row(key: &str, schema: &Value, required: bool) -> String {
    let (mut meaning, default) = meaning_and_default(description(schema));
    let words = words(schema);
    if !words.is_empty() {
        let told: Vec<String> = words
            .iter()
            .map(|(word, what)| format!("`\"{word}\"`: {}", what.trim_end_matches('.')))
            .collect();
        let _ = write!(meaning, " {}.", told.join("; "));
    }
    let default = match default {
        Some(default) => default,
        None if required => "must be set".to_owned(),
        None => "none".to_owned(),
    };
    let example =
        example(key, schema, &default).map_or(String::new(), |example| format!("`{key} = {example}`"));
    format!("| `{key}` | {} | {} | {} |", cell(&meaning), cell(&default), cell(&example))
}

/// The description without the sentence about the default, and that sentence.
fn meaning_and_default(description: &str) -> (String, Option<String>) {
    let text = description.replace('\n', " ");
    let Some((before, after)) = text.split_once("Default: ") else { return (text, None) };
    let (default, rest) = after.split_once(". ").unwrap_or((after.trim_end_matches('.'), ""));
    let meaning = format!("{}{}{rest}", before.trim(), if rest.is_empty() { "" } else { " " });
    (meaning, Some(default.to_owned()))
}

/// The possible words of a text, and their meanings.
fn words(schema: &Value) -> Vec<(&str, &str)> {
    let choices = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    choices.filter_map(|choice| Some((choice.get("const")?.as_str()?, description(choice)))).collect()
}

/// In the form after the `=`. A key has one example of its own; the examples of its type may be out of its range.
fn example(key: &str, schema: &Value, default: &str) -> Option<String> {
    let examples = schema.get("examples").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if let [own] = examples {
        return Some(written(own));
    }
    if let Some((word, _)) = words(schema).first() {
        return Some(format!("\"{word}\""));
    }
    let quoted = default.split('`').nth(1).filter(|value| value.starts_with(['"', '[', '{']));
    if let Some(value) = quoted {
        return Some(value.to_owned());
    }
    let of_its_type = match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => Some((default != "true").to_string()),
        Some("integer" | "number") => number(default),
        Some("object") if key == "config" => Some("{ url = \"http://127.0.0.1:8080/\" }".to_owned()),
        Some("object") => Some("{ NAME = \"value\" }".to_owned()),
        _ => None,
    };
    of_its_type.or_else(|| examples.first().map(written))
}

/// The beginnings of defaults: `100 000`, `1 for processes`.
fn number(default: &str) -> Option<String> {
    let number = default.chars().take_while(|c| c.is_ascii_digit() || *c == ' ');
    let digits: String = number.filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// In the notation of TOML. Examples are written in it as in JSON, except for the `=` in tables.
fn written(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key} = {}", written(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// For one line of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    #[test]
    fn the_kept_reference_is_the_codes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
        let text = reference();
        if std::env::var_os("BELLWETHER_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "docs/reference.md is not what the code says. If the code is right, write it anew: \
             BELLWETHER_UPDATE=1 cargo test -p bellwether-config reference"
        );
    }

    fn assert_told(schema: &Value, path: &str) {
        for (key, value) in properties(schema) {
            let path = format!("{path}.{key}");
            match Kind::of(value) {
                Kind::Value => {
                    let row = row(key, value, is_required(schema, key));
                    let cells: Vec<&str> = row.split(" | ").collect();
                    let told = |cell: Option<&&str>| cell.is_some_and(|cell| !cell.trim().is_empty());
                    assert!(told(cells.get(1)) && told(cells.get(2)), "{path}: {row}");
                    assert!(row.contains(&format!("`{key} = ")), "{path} has no example: {row}");
                }
                Kind::Table => assert_told(value, &path),
                Kind::List => assert_told(&value["items"], &path),
                Kind::Named => assert_told(&value["additionalProperties"], &path),
            }
        }
    }

    #[test]
    fn every_key_has_a_meaning_a_default_and_an_example() {
        assert_told(module_schema(), "module");
        assert_told(node_schema(), "bellwether.toml");
    }

    #[test]
    fn examples_are_toml_that_the_reader_knows() {
        for line in reference().lines().filter(|line| line.starts_with("| `")) {
            let Some(example) = line.trim_end_matches(" |").rsplit(" | ").next() else { continue };
            let text = example.trim_matches('`').replace("\\|", "|");
            assert!(text.parse::<toml::Table>().is_ok(), "{text}: {line}");
        }
    }

    #[test]
    fn the_default_is_told_apart_from_the_meaning() {
        let split = |text: &str| meaning_and_default(text);
        assert_eq!(split("How often. Default: `\"2s\"`."), ("How often.".into(), Some("`\"2s\"`".into())));
        assert_eq!(
            split("Needs a file. Default: none. PEM."),
            ("Needs a file. PEM.".into(), Some("none".into()))
        );
        assert_eq!(split("Its name."), ("Its name.".into(), None));
    }

    #[test]
    fn a_key_with_words_tells_them() {
        let schema = json!({ "description": "What it does. Default: `\"a\"`.",
            "oneOf": [{ "const": "a", "description": "First." }, { "const": "b", "description": "Second." }] });
        let row = row("on-down", &schema, false);
        assert_eq!(
            row,
            "| `on-down` | What it does. `\"a\"`: First; `\"b\"`: Second. | `\"a\"` | `on-down = \"a\"` |"
        );
    }
}
