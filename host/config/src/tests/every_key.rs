//! Every key of a module's file, one by one: a reload sees that it is edited, it is shown among the values in effect,
//! and the default that its description states is the one in effect.
//!
//! The keys come from the schema, so a new one is tried without being listed here. One that cannot be tried alone needs
//! an `example` in its description, a value in [`BASE`], or a line in [`NEEDS`].

use std::time::Duration;

use serde_json::Value;
use toml::{Table, Value as Toml};

use super::parse;
use crate::effective::{Effective, Origin};
use crate::quantity::parse_duration;
use crate::schema::module_schema;
use crate::source::Sourced;
use crate::spec::ModuleSpec;

/// A file without any key that could be left out, and with what the examples of keys name.
const BASE: &str = r#"
[commands]
start = { run = ["/app"], keep = true }
probe = { run = ["/probe"] }
announce-yes = { run = ["/announce", "yes"] }
announce-no = { run = ["/announce", "no"] }

[[checker]]
name = "by-process"
process = { name = "app" }

[[checker]]
name = "by-component"
component = "script"
"#;
/// The commands that a key of a command is tried with, and the checkers of [`BASE`].
const COMMANDS: [&str; 2] = ["start", "probe"];
const CHECKERS: [&str; 2] = ["by-process", "by-component"];

/// Keys that make sense only beside another one.
const NEEDS: [(&str, &str, bool); 1] = [("commands.*.watchdog", "notify", true)];
/// Keys of a table that a module shares with `bellwether.toml`, where alone they are allowed.
const NOT_OF_A_MODULE: [&str; 2] = ["restart.limits.concurrent-runs", "checker.*.limits.concurrent-runs"];
/// What the core is not told, because it is read from the file in force when it is used: a reload has nothing to do.
const READ_WHEN_USED: [(&str, &str); 6] = [
    ("commands.*.", "when the command is run the next time; what runs was started as it was"),
    ("restart.script", "when the next plan is made"),
    ("restart.config", "when the next plan is made"),
    ("restart.grant.", "when the next plan is made"),
    ("restart.limits.", "when the next plan is made"),
    ("health.on-", "by the announcer, which compares the commands whenever the module is shown anew"),
];
/// What is shown in another way than as a value of its own.
const SHOWN_OTHERWISE: [(&str, &str); 1] = [("checker.*.name", "in the keys of the checker's other values")];
/// Defaults that are described, because no value can be written for them.
const DEFAULT_IN_WORDS: [(&str, &str); 1] = [("commands.*.dir", "the root, which is shown as `.`")];

/// A key that has a value, and not keys of its own.
#[derive(Debug)]
struct Key {
    /// Its tables and itself; `*` is any command, or any checker.
    path: Vec<String>,
    schema: Value,
    /// Keys of the same table that cannot stand beside it.
    instead_of: Vec<String>,
}

impl Key {
    fn name(&self) -> String {
        self.path.join(".")
    }

    fn starts_with(&self, prefixes: &[(&str, &str)]) -> bool {
        prefixes.iter().any(|(prefix, _)| self.name().starts_with(prefix))
    }
}

/// All keys below a table of the schema.
fn keys(table: &Value, path: &[String], found: &mut Vec<Key>) {
    let choices = table["oneOf"].as_array().into_iter().flatten();
    let choices: Vec<&str> = choices.filter_map(|choice| choice["required"][0].as_str()).collect();
    for (name, schema) in table["properties"].as_object().into_iter().flatten() {
        let mut path = path.to_vec();
        path.push(name.clone());
        let is_table = |schema: &Value| schema["properties"].is_object();
        if let Some(inner) =
            [&schema["items"], &schema["additionalProperties"]].into_iter().find(|s| is_table(s))
        {
            path.push("*".to_owned());
            keys(inner, &path, found);
        } else if is_table(schema) {
            keys(schema, &path, found);
        } else {
            let others = choices.iter().filter(|other| *other != name);
            let others = others.filter(|_| choices.contains(&name.as_str()));
            let instead_of = others.map(|other| (*other).to_owned()).collect();
            found.push(Key { path, schema: schema.clone(), instead_of });
        }
    }
}

fn all_keys() -> Vec<Key> {
    let mut found = Vec::new();
    keys(module_schema(), &[], &mut found);
    assert!(found.len() > 80, "the schema has more keys than {}", found.len());
    found
}

/// Values that the key may have, one of which is not its default.
fn values(schema: &Value) -> Vec<Toml> {
    let toml = |value: &Value| Toml::try_from(value).expect("the schema's values can stand in a file");
    let examples = schema["examples"].as_array().into_iter().flatten().map(toml);
    let words = schema["oneOf"].as_array().into_iter().flatten().map(|word| toml(&word["const"]));
    let mut values: Vec<Toml> = examples.chain(words).collect();
    let texts = |texts: &[&str]| texts.iter().map(|text| Toml::from(*text)).collect::<Vec<_>>();
    match (schema["title"].as_str(), schema["type"].as_str()) {
        (Some("duration"), _) => values.extend(texts(&["3s", "45s", "20m"])),
        (Some("size"), _) => values.extend(texts(&["8MiB", "512KiB"])),
        (_, Some("boolean")) => values.extend([Toml::from(true), Toml::from(false)]),
        (_, Some("integer" | "number")) => {
            let least = schema["minimum"].as_i64().expect("a number has a range");
            values.extend([Toml::from(least), Toml::from(least + 1)]);
        }
        (_, Some("object")) => {
            let table: Table = [("key".to_owned(), Toml::from("value"))].into_iter().collect();
            values.push(table.into());
        }
        (_, Some("string")) => values.extend(texts(&["other"])),
        _ => {}
    }
    values
}

/// The table of a key in a document, made where it is missing. `wildcard` stands for `*`.
fn table_of<'d>(document: &'d mut Table, key: &Key, wildcard: usize) -> &'d mut Table {
    let tables = &key.path[..key.path.len() - 1];
    let mut table = document;
    let mut steps = tables.iter().peekable();
    while let Some(step) = steps.next() {
        let is_any = steps.peek().is_some_and(|next| *next == "*");
        let inner = table.entry(step.as_str()).or_insert_with(|| Table::new().into());
        if is_any {
            steps.next();
        }
        table = match inner {
            Toml::Array(checkers) => checkers[wildcard].as_table_mut(),
            Toml::Table(inner) => {
                if is_any {
                    inner[COMMANDS[wildcard]].as_table_mut()
                } else {
                    Some(inner)
                }
            }
            _ => None,
        }
        .unwrap_or_else(|| panic!("{} is in no table", key.name()));
    }
    table
}

/// The key as it is shown.
fn title(key: &Key, wildcard: usize) -> String {
    let names = if key.path[0] == "checker" { CHECKERS } else { COMMANDS };
    key.name().replace('*', names[wildcard])
}

fn read(document: &Table) -> Option<Sourced<ModuleSpec>> {
    parse(&toml::to_string(document).unwrap()).ok()
}

/// A module before and after an edit of one key.
struct Edit {
    title: String,
    before: Sourced<ModuleSpec>,
    after: Sourced<ModuleSpec>,
}

/// An edit that a file may have, and after which it says something else.
fn edit(key: &Key) -> Option<Edit> {
    (0..2).find_map(|wildcard| {
        let mut before: Table = BASE.parse().unwrap();
        for (_, needed, value) in NEEDS.iter().filter(|(of, ..)| *of == key.name()) {
            table_of(&mut before, key, wildcard).insert((*needed).to_owned(), (*value).into());
        }
        let own = key.path.last().expect("a key has a name");
        values(&key.schema).into_iter().find_map(|value| {
            let mut after = before.clone();
            let table = table_of(&mut after, key, wildcard);
            for other in &key.instead_of {
                table.remove(other);
            }
            table.insert(own.clone(), value);
            let (before, after) = (read(&before)?, read(&after)?);
            (before.spec != after.spec).then(|| Edit { title: title(key, wildcard), before, after })
        })
    })
}

#[test]
fn a_reload_sees_that_a_key_is_edited() {
    let mut used = vec![false; READ_WHEN_USED.len()];
    for key in all_keys() {
        let name = key.name();
        let edit = edit(&key);
        if NOT_OF_A_MODULE.contains(&name.as_str()) {
            assert!(edit.is_none(), "{name} is allowed in a module's file");
            continue;
        }
        let Some(Edit { before, after, .. }) = edit else {
            panic!(
                "no value of `{name}` changes what the file says: is it read, and is there an `example` of it?"
            )
        };
        let told = before.spec.policy() != after.spec.policy();
        for (used, (prefix, _)) in used.iter_mut().zip(READ_WHEN_USED) {
            *used |= !told && name.starts_with(prefix);
        }
        assert!(
            told || key.starts_with(&READ_WHEN_USED),
            "an edit of `{name}` neither changes the policy nor the definition of a checker: it would take effect at \
             the next start of the daemon"
        );
    }
    assert!(!used.contains(&false), "a line of `READ_WHEN_USED` is about no key: {used:?}");
}

#[test]
fn an_edited_key_is_among_the_values_in_effect() {
    for key in all_keys() {
        let name = key.name();
        // Whether it can be edited at all is another test.
        let Some(Edit { title, before, after }) = edit(&key) else { continue };
        let (before, after) = (before.effective(), after.effective());
        assert_ne!(before, after, "{name}");
        let shown = after.iter().find(|value| value.key == title && value.source == Origin::File);
        if key.starts_with(&SHOWN_OTHERWISE) {
            assert_eq!(shown, None, "{name} has a value of its own");
            continue;
        }
        let Some(shown) = shown else { panic!("`{name}` is not shown as a value of the file: {after:#?}") };
        assert!(!before.contains(shown), "`{name}` is shown as before the edit: {shown:?}");
    }
}

#[test]
fn the_default_that_is_described_is_the_one_in_effect() {
    let base: Table = BASE.parse().unwrap();
    let effective = read(&base).unwrap().effective();
    let mut compared = 0;
    for key in all_keys().iter().filter(|key| !key.starts_with(&DEFAULT_IN_WORDS)) {
        let description = key.schema["description"].as_str().unwrap_or_default();
        let Some((_, described)) = description.split_once("Default:") else { continue };
        let titles = [0, 1].map(|wildcard| title(key, wildcard));
        let is_default = |value: &&Effective| value.source == Origin::Default && titles.contains(&value.key);
        for Effective { key, value, .. } in effective.iter().filter(is_default) {
            assert!(states(described, value), "{key} is {value}, and its description says {described}");
            compared += 1;
        }
    }
    assert!(compared > 25, "only {compared} defaults were compared");
}

/// Whether a description names this value, a duration perhaps in other units.
fn states(described: &str, value: &str) -> bool {
    let duration = |text: &str| -> Option<Duration> { parse_duration(text.trim_matches('"')).ok() };
    let mut words = described.split(|c: char| c.is_whitespace() || "`,;.()".contains(c));
    words.any(|word| word == value || (duration(word).is_some() && duration(word) == duration(value)))
}
