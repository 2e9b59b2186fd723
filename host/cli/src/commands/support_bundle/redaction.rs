//! Replaces what identifies somebody or gives access: addresses, names of hosts, nodes and users, and secrets.
//!
//! ```text
//!   every text ──look──▶ what is to be replaced, each with its stand-in ──replace──▶ every text without it
//! ```
//! All texts are looked at first, so that a name that is recognised in one of them is replaced in all, and always by
//! the same stand-in. A stand-in is one word that occurs in none of the texts, such as `host1`. Nothing here reads a
//! file or asks the system.

mod look;
mod secret;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An IP address in a private network, or of a link.
    PrivateIp,
    /// Any other IP address.
    PublicIp,
    /// A hardware address, or a fingerprint.
    Id,
    Host,
    Node,
    User,
    Secret,
}

impl Kind {
    /// The beginning of its stand-ins.
    fn word(self) -> &'static str {
        match self {
            Self::PrivateIp => "privateip",
            Self::PublicIp => "publicip",
            Self::Id => "id",
            Self::Host => "host",
            Self::Node => "node",
            Self::User => "user",
            Self::Secret => "secret",
        }
    }

    /// Its name in a count: one, and several.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::PrivateIp => ("private address", "private addresses"),
            Self::PublicIp => ("public address", "public addresses"),
            Self::Id => ("hardware address or fingerprint", "hardware addresses or fingerprints"),
            Self::Host => ("host name", "host names"),
            Self::Node => ("node name", "node names"),
            Self::User => ("user name", "user names"),
            Self::Secret => ("secret", "secrets"),
        }
    }
}

/// Names that identify nobody, and are part of what a helper has to see.
const KEPT: [&str; 9] = [
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "root",
    "nobody",
    "bellwether",
    "true",
    "false",
    "null",
];

/// A password that is shorter is replaced where it is recognised only, not wherever this word occurs.
const SHORTEST_SECRET: usize = 4;
/// Of a single letter nobody can tell whether it is a name.
const SHORTEST_NAME: usize = 2;

/// The maximum number of names. With more, [`Redaction::is_complete`] says no.
const MOST: usize = 20_000;

/// What is to be replaced.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    /// Each name in lower case, with its kind and what it is another spelling of.
    names: BTreeMap<String, (Kind, String)>,
    /// Every word of every text, in lower case.
    words: BTreeSet<String>,
    stand_ins: BTreeMap<String, String>,
    /// By the first character of the names: the longest first.
    by_first: BTreeMap<char, Vec<String>>,
}

impl Redaction {
    /// Looks for names in a text, and remembers its words.
    pub(super) fn look(&mut self, text: &str) {
        let text = secret::without_keys(text);
        self.words.extend(words(&text).map(str::to_ascii_lowercase));
        for (kind, name) in look::names(&text).into_iter().chain(secret::secrets(&text)) {
            self.add(kind, &name);
        }
    }

    /// A name that is known from elsewhere.
    pub(super) fn add(&mut self, kind: Kind, name: &str) {
        self.add_spelling(kind, name, name);
        if let Some(canonical) = look::canonical(name) {
            self.add_spelling(kind, name, &canonical);
        }
    }

    /// Another name for the same, with the same stand-in.
    pub(super) fn add_alias(&mut self, kind: Kind, name: &str, alias: &str) {
        self.add(kind, name);
        self.add_spelling(kind, alias, name);
    }

    fn add_spelling(&mut self, kind: Kind, name: &str, of: &str) {
        let (name, of) = (name.to_ascii_lowercase(), of.to_ascii_lowercase());
        let is_number = kind != Kind::Secret && name.bytes().all(|byte| byte.is_ascii_digit());
        let shortest = if kind == Kind::Secret { SHORTEST_SECRET } else { SHORTEST_NAME };
        if name.chars().count() < shortest
            || KEPT.contains(&name.as_str())
            || is_number
            || self.names.len() >= MOST
        {
            return;
        }
        // What may be a secret is one; otherwise what was said first counts.
        let found = self.names.entry(name).or_insert_with(|| (kind, of.clone()));
        if kind == Kind::Secret || found.1 != of && look::canonical(&of).is_some() {
            *found = (kind, of);
        }
    }

    /// Whether everything that was found is remembered.
    pub(super) fn is_complete(&self) -> bool {
        self.names.len() < MOST
    }

    /// Chooses the stand-ins. After this, nothing is added.
    pub(super) fn settle(&mut self) {
        let known: BTreeSet<String> =
            self.names.keys().flat_map(|name| words(name).map(str::to_owned).collect::<Vec<_>>()).collect();
        let mut numbers: BTreeMap<Kind, usize> = BTreeMap::new();
        for (name, (kind, of)) in &self.names {
            if !self.stand_ins.contains_key(of) {
                let number = numbers.entry(*kind).or_default();
                let stand_in = loop {
                    *number += 1;
                    let stand_in = format!("{}{number}", kind.word());
                    if !self.words.contains(&stand_in) && !known.contains(&stand_in) {
                        break stand_in;
                    }
                };
                self.stand_ins.insert(of.clone(), stand_in);
            }
            if let Some(first) = name.chars().next() {
                self.by_first.entry(first).or_default().push(name.clone());
            }
        }
        for names in self.by_first.values_mut() {
            names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        }
    }

    /// The text with stand-ins. It must have been looked at.
    pub(super) fn replace(&self, text: &str) -> String {
        let text = secret::without_keys(text);
        let text = secret::masked(&text, |secret| self.stand_in(secret));
        let mut replaced = String::with_capacity(text.len());
        let mut before: Option<char> = None;
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            let begins = !(c.is_alphanumeric() && before.is_some_and(char::is_alphanumeric));
            let found = if begins { self.name_at(c, rest) } else { None };
            let (taken, shown) = match found {
                Some((name, stand_in)) => (name.len(), stand_in),
                None => (c.len_utf8(), rest.get(..c.len_utf8()).unwrap_or_default()),
            };
            replaced.push_str(shown);
            before = rest.get(..taken).and_then(|taken| taken.chars().next_back());
            rest = rest.get(taken..).unwrap_or_default();
        }
        replaced
    }

    /// Looks at every text of a document: the escapes of JSON would hide where a word begins.
    pub(super) fn look_at(&mut self, document: &Value) {
        // With the keys, which say what a value is.
        self.look(&document.to_string());
        self.look_at_texts(document);
    }

    fn look_at_texts(&mut self, document: &Value) {
        match document {
            Value::String(text) => self.look(text),
            Value::Array(values) => values.iter().for_each(|value| self.look_at_texts(value)),
            Value::Object(fields) => fields.values().for_each(|value| self.look_at_texts(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The document with stand-ins. It must have been looked at.
    pub(super) fn replace_in(&self, document: &Value) -> Value {
        match document {
            Value::String(text) => Value::String(self.replace(text)),
            Value::Array(values) => values.iter().map(|value| self.replace_in(value)).collect(),
            Value::Object(fields) => Value::Object(self.replace_fields(fields)),
            Value::Null | Value::Bool(_) | Value::Number(_) => document.clone(),
        }
    }

    fn replace_fields(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let field = |(key, value): (&String, &Value)| {
            let value = match value {
                Value::String(text) if secret::is_secret_name(key) && !text.is_empty() => {
                    Value::from(self.stand_in(text).unwrap_or("***"))
                }
                Value::Number(_) if secret::is_secret_name(key) => Value::from("***"),
                value => self.replace_in(value),
            };
            (self.replace(key), value)
        };
        fields.iter().map(field).collect()
    }

    /// The longest name that the text begins with, as a whole word or several.
    fn name_at(&self, first: char, text: &str) -> Option<(&String, &str)> {
        let names = self.by_first.get(&first.to_ascii_lowercase())?;
        let name = names.iter().find(|name| {
            let begins = text.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
            let last_is_word = name.chars().next_back().is_some_and(char::is_alphanumeric);
            let next = text.get(name.len()..).and_then(|rest| rest.chars().next());
            begins && !(last_is_word && next.is_some_and(char::is_alphanumeric))
        })?;
        Some((name, self.stand_in(name)?))
    }

    fn stand_in(&self, name: &str) -> Option<&str> {
        let (_, of) = self.names.get(&name.to_ascii_lowercase())?;
        self.stand_ins.get(of).map(String::as_str)
    }

    /// How many names of each kind have a stand-in.
    pub(super) fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        let distinct: BTreeSet<(Kind, &String)> = self.names.values().map(|(kind, of)| (*kind, of)).collect();
        for (kind, _) in distinct {
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }

    /// Each stand-in with the name that it is for, without secrets.
    pub(super) fn table(&self) -> Vec<(&str, &str)> {
        let named = self.names.iter().filter(|(_, (kind, _))| *kind != Kind::Secret);
        let named = named.filter_map(|(name, _)| Some((self.stand_in(name)?, name.as_str())));
        let mut table: Vec<_> = named.collect();
        table.sort_unstable_by_key(|(stand_in, name)| (stand_in.len(), *stand_in, *name));
        table
    }
}

/// Its words: letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests;
