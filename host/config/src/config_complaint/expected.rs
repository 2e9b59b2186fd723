//! What fits a part of a schema, as a person says it.

use serde_json::{Map, Value};

use super::cut;

/// The part of a schema that a keyword belongs to.
pub(super) fn around(keyword: &str) -> &str {
    keyword.rsplit_once('/').map_or("", |(around, _)| around)
}

/// The part of the schema at a path, which leads through references.
pub(super) fn lookup<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    let mut part = schema;
    for step in path.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        part = match part {
            Value::Object(object) if step == "$ref" => {
                schema.pointer(object.get("$ref")?.as_str()?.strip_prefix('#')?)?
            }
            Value::Object(object) => object.get(&step)?,
            Value::Array(list) => list.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(part)
}

/// What fits a part of the schema, as a person says it. `None` if that cannot be said in short.
pub(super) fn describe(schema: &Value, part: &Value, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let Value::Object(part) = part else { return None };
    if let Some(reference) = part.get("$ref").and_then(Value::as_str) {
        return describe(schema, schema.pointer(reference.strip_prefix('#')?)?, depth);
    }
    if let Some(only) = part.get("const") {
        return Some(exactly(only));
    }
    if let Some(options) = part.get("enum").and_then(Value::as_array) {
        return Some(either(options.iter().filter(|option| !option.is_null()).map(exactly).collect()));
    }
    if let Some(ways) = ["anyOf", "oneOf"].iter().find_map(|key| part.get(*key)?.as_array()) {
        let of_null = |way: &&Value| way.get("type").is_some_and(|word| word == "null");
        let ways: Option<Vec<String>> =
            ways.iter().filter(|way| !of_null(way)).map(|way| describe(schema, way, depth)).collect();
        return ways.map(either);
    }
    let words: Vec<&str> = match part.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => return described(part),
    };
    let ways: Option<Vec<String>> = words
        .into_iter()
        .filter(|word| *word != "null")
        .map(|word| of_type(schema, part, word, depth))
        .collect();
    ways.map(either)
}

fn of_type(schema: &Value, part: &Map<String, Value>, word: &str, depth: usize) -> Option<String> {
    let limits = |least: &str, most: &str| (part.get(least).cloned(), part.get(most).cloned());
    Some(match word {
        "string" => match (part.contains_key("pattern") || part.contains_key("format"), described(part)) {
            (true, Some(described)) => described,
            _ => match limits("minLength", "maxLength") {
                (Some(least), None) if least == 1 => "a text that is not empty".to_owned(),
                limits => format!("a text{}", within(&limits, "characters")),
            },
        },
        "integer" | "number" => {
            let one = if word == "integer" { "a whole number" } else { "a number" };
            let multiple =
                part.get("multipleOf").map_or_else(String::new, |of| format!(" that is a multiple of {of}"));
            format!("{one}{}{multiple}", range(part))
        }
        "boolean" => "`true` or `false`".to_owned(),
        "array" => {
            let each = part.get("items").and_then(|items| describe(schema, items, depth));
            let each = each.map_or_else(String::new, |each| format!(", each entry {each}"));
            let differ = part.get("uniqueItems").is_some_and(|unique| unique == true);
            let differ = if differ { " that all differ" } else { "" };
            format!("a list{}{differ}{each}", within(&limits("minItems", "maxItems"), "entries"))
        }
        "object" => format!("a table{}", within(&limits("minProperties", "maxProperties"), "keys")),
        _ => return None,
    })
}

/// ` of 1 to 5 entries`; nothing without limits.
fn within(limits: &(Option<Value>, Option<Value>), of: &str) -> String {
    match limits {
        (None, None) => String::new(),
        (Some(least), None) => format!(" of {least} or more {of}"),
        (None, Some(most)) => format!(" of at most {most} {of}"),
        (Some(least), Some(most)) if least == most => format!(" of {least} {of}"),
        (Some(least), Some(most)) => format!(" of {least} to {most} {of}"),
    }
}

/// ` from 1 to 10`, ` of at least 1`, ` above 0`; nothing without limits.
fn range(part: &Map<String, Value>) -> String {
    let limit = |key: &str| part.get(key).filter(|limit| limit.is_number());
    let from = match (limit("minimum"), limit("exclusiveMinimum")) {
        (_, Some(above)) => Some((above, " above ")),
        (Some(least), None) => Some((least, " of at least ")),
        (None, None) => None,
    };
    let to = match (limit("maximum"), limit("exclusiveMaximum")) {
        (_, Some(below)) => Some((below, " below ")),
        (Some(most), None) => Some((most, " of at most ")),
        (None, None) => None,
    };
    match (from, to) {
        (Some((least, " of at least ")), Some((most, " of at most "))) => format!(" from {least} to {most}"),
        (from, to) => {
            let said: Vec<String> =
                [from, to].into_iter().flatten().map(|(limit, word)| format!("{word}{limit}")).collect();
            said.join(" and")
        }
    }
}

/// The first sentence of the description, as the end of a sentence.
fn described(part: &Map<String, Value>) -> Option<String> {
    let text = part.get("description")?.as_str()?;
    let first = text.split(". ").next().unwrap_or(text).trim().trim_end_matches('.');
    let mut letters = first.chars();
    let begin = letters.next()?;
    // A name or an abbreviation stays as it is.
    let word = first.split_whitespace().next().unwrap_or_default();
    let keeps = word.chars().skip(1).any(char::is_uppercase);
    let begin = if keeps { begin.to_string() } else { begin.to_lowercase().to_string() };
    Some(begin + letters.as_str())
}

fn exactly(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("`{value}`"), |text| format!("`{}`", cut(text)))
}

/// `a`, `a or b`, `a, b or c`
fn either(mut ways: Vec<String>) -> String {
    ways.dedup();
    match ways.pop() {
        None => "nothing".to_owned(),
        Some(only) if ways.is_empty() => only,
        Some(last) => {
            // What has commas of its own is set apart by more than a comma.
            let apart =
                if ways.iter().chain([&last]).any(|way| way.contains(", ")) { "; or " } else { " or " };
            format!("{}{apart}{last}", ways.join(", "))
        }
    }
}
