//! The text of a file, and the positions in it.

use std::collections::HashMap;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    file: String,
    text: String,
    /// Where its lines end.
    newlines: Vec<usize>,
}

/// A file's specification together with its text, so that errors that are found later can still be shown in the
/// file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sourced<T> {
    /// The content of the file.
    pub spec: T,
    /// The text of the file.
    pub source: Source,
}

/// One step of the path to a value in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into a table, by its key.
    Key(&'a str),
    /// Into a list, by the index from 0.
    Index(usize),
}

impl Source {
    /// The text of `file`, whose name is relative to the root.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let newlines = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { file: file.into(), text, newlines }
    }

    /// The number of the line of this byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.newlines.partition_point(|newline| *newline < at) + 1
    }

    /// Its path, relative to the root.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The whole text of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its tables, read anew; what is no TOML is left out.
    pub(super) fn table(&self) -> Spanned<DeTable<'_>> {
        #[cfg(test)]
        READINGS.set(READINGS.get() + 1);
        DeTable::parse_recoverable(&self.text).0
    }

    /// Where the value at `path` stands, or the nearest table around it; the beginning of the
    /// file if there is nothing of the kind. Reads the file anew: for one place, not for each of many.
    pub(crate) fn locate(&self, path: &[Step<'_>]) -> Range<usize> {
        locate_in(self.table().get_ref(), path).1.unwrap_or(0..0)
    }

    /// The beginning of a span, with its line. A span that does not fit the text is adjusted.
    pub(super) fn place(&self, span: &Range<usize>) -> Excerpt {
        let start = floor_char(&self.text, span.start);
        let number = self.line(start);
        let newline = |number: usize| self.newlines.get(number.checked_sub(1)?).copied();
        let line_start = newline(number - 1).map_or(0, |newline| newline + 1);
        let line_end = newline(number).unwrap_or(self.text.len());
        let line = self.text[line_start..line_end].trim_end_matches('\r');
        let end =
            floor_char(&self.text, span.end).clamp(start, line_start.saturating_add(line.len()).max(start));
        let before = start.min(line_start + line.len()) - line_start;

        let first = floor_char(line, before.saturating_sub(MAX_BEFORE));
        let last = floor_char(line, before + MAX_AFTER);
        Excerpt {
            span: start..floor_char(&self.text, span.end).max(start),
            line: number,
            column: line[..before].chars().count() + 1,
            text: line[first..last].to_owned(),
            underline: before - first..(end - line_start).clamp(before, last.max(before)) - first,
        }
    }
}

#[cfg(test)]
thread_local!(pub(super) static READINGS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

/// Where a mistake stands.
#[derive(Debug)]
pub(super) struct Excerpt {
    pub(super) span: Range<usize>,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) underline: Range<usize>,
}

/// For a very long line, the number of bytes that are shown before the error,
const MAX_BEFORE: usize = 160;
/// and the number of bytes after its beginning.
const MAX_AFTER: usize = 160;

fn floor_char(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

/// The position of the last key of `path` itself, or of the nearest table around it; the beginning of the file if
/// there is neither.
pub(super) fn locate_key_in(table: &DeTable<'_>, path: &[Step<'_>]) -> Range<usize> {
    if let Some((Step::Key(name), around)) = path.split_last()
        && let (Some(DeValue::Table(table)), _) = locate_in(table, around)
        && let Some((key, _)) = table.get_key_value(*name)
    {
        return key.span();
    }
    locate_in(table, path).1.unwrap_or(0..0)
}

/// The value at `path`, if there is one, and its span or that of the nearest table around it.
pub(super) fn locate_in<'t, 'i>(
    table: &'t DeTable<'i>,
    path: &[Step<'_>],
) -> (Option<&'t DeValue<'i>>, Option<Range<usize>>) {
    let Some((Step::Key(first), rest)) = path.split_first() else { return (None, None) };
    let Some(mut value) = table.get(*first) else { return (None, None) };
    for step in rest {
        let inner = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(*key),
            (Step::Index(index), DeValue::Array(array)) => array.get(*index),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return (None, Some(value.span())),
        }
    }
    (Some(value.get_ref()), Some(value.span()))
}

/// A value with its position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
pub(super) struct Located<T>(Spanned<T>);

impl<T> Located<T> {
    pub(super) fn get(&self) -> &T {
        self.0.get_ref()
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The index of each name in `[[checker]]`; if several have the same name, that of the first.
#[derive(Debug, Default)]
pub(super) struct CheckerPlaces<'t>(HashMap<&'t str, usize>);

impl<'t> CheckerPlaces<'t> {
    /// The names in this file.
    pub(super) fn of(table: &'t DeTable<'_>) -> Self {
        let mut places = HashMap::new();
        if let Some(DeValue::Array(checkers)) = table.get("checker").map(Spanned::get_ref) {
            for (index, checker) in checkers.iter().enumerate() {
                if let DeValue::Table(table) = checker.get_ref()
                    && let Some(DeValue::String(name)) = table.get("name").map(Spanned::get_ref)
                {
                    places.entry(name.as_ref()).or_insert(index);
                }
            }
        }
        Self(places)
    }

    /// The index of this name.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    /// The path of a key of the checker with this name; `None` if the file does not have it.
    pub(super) fn path(&self, name: &str, key: &'static str) -> Vec<Step<'static>> {
        let index = self.index(name);
        index.map(|index| vec![Step::Key("checker"), Step::Index(index), Step::Key(key)]).unwrap_or_default()
    }
}
