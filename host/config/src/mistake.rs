//! Errors in an operator's file: the place, the message and the remedy.
//!
//! An error contains the line it is about, so that the terminal, the console and the journal can show it without
//! the file.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Bound, Range};

use bellwether_core::counting::counted;
use bellwether_core::text::{LONGEST, masked, sentence};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError};
use miette::{MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::Source;

/// One error in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mistake {
    /// The file, relative to the root.
    pub file: String,
    /// The marked range, in bytes from the beginning of the file.
    #[schemars(with = "Range<usize>")]
    pub span: Range<usize>,
    /// The line of its first character, from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// The column of its first character in characters, from 1; 0 if the file as a whole is meant.
    pub column: usize,
    /// The line, without its end. Only the part around the error if the line is very long.
    pub text: String,
    /// The marked range, in bytes from the beginning of `text`.
    #[schemars(with = "Range<usize>")]
    pub underline: Range<usize>,
    /// The error in one sentence.
    pub message: String,
    /// What was expected here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// How to correct the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file is valid, but a program that it names is missing on this host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub program_missing: bool,
}

impl Mistake {
    /// An error at a position in a file that was read.
    pub fn new(source: &Source, span: Range<usize>, message: impl Into<String>) -> Self {
        let place = source.place(&span);
        Self {
            file: shown(source.file()),
            span: place.span,
            line: place.line,
            column: place.column,
            text: masked(&place.text),
            underline: place.underline,
            message: shown(&message.into()),
            expected: None,
            help: None,
            program_missing: false,
        }
    }

    /// An error of a file as a whole: there is no line to show.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: shown(file),
            span: 0..0,
            line: 0,
            column: 0,
            text: String::new(),
            underline: 0..0,
            message: shown(&message.into()),
            expected: None,
            help: None,
            program_missing: false,
        }
    }

    /// Sets what was expected.
    pub fn expected(&mut self, expected: impl Into<String>) -> &mut Self {
        self.expected = Some(shown(&expected.into()));
        self
    }

    /// Sets how to correct the error.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(shown(&help.into()));
        self
    }
}

/// Files may be untrusted: their text is escaped.
fn shown(text: &str) -> String {
    sentence(text, LONGEST).into_owned()
}

/// `FILE:LINE:COLUMN: MESSAGE; EXPECTED; HELP` on one line, for logs and the journal.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        for more in [&self.expected, &self.help].into_iter().flatten() {
            write!(f, "; {more}")?;
        }
        Ok(())
    }
}

/// The maximum number of errors that are shown for one file; further ones are counted.
pub const MAX_MISTAKES: usize = 100;
/// More than this many are not even described: a file may have a hundred thousand.
const MAX_FOUND: usize = 1_000;

/// All errors in one file, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// In the order of the file; `None` if nothing is wrong.
    pub fn new(mistakes: Vec<Mistake>) -> Option<Self> {
        Self::and_more(mistakes, 0)
    }

    /// The same; `more` are only counted.
    fn and_more(mut mistakes: Vec<Mistake>, more: usize) -> Option<Self> {
        mistakes.sort_by_key(|mistake| mistake.span.start);
        if let Some(first_left_out) = mistakes.get(MAX_MISTAKES) {
            let mut rest = first_left_out.clone();
            let left_out = counted(mistakes.len() - MAX_MISTAKES + more, "more error", "more errors");
            rest.message = format!("{left_out} from here on");
            rest.expected = None;
            rest.help = None;
            mistakes.truncate(MAX_MISTAKES);
            mistakes.push(rest);
        }
        (!mistakes.is_empty()).then_some(Self(mistakes))
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.0.iter()
    }

    /// All of them with their lines, for a terminal.
    pub fn render(&self, color: bool) -> String {
        render(&self.0, color)
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// One error on each line, in the [`Mistake`]'s own form.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Errors with their lines, for a terminal.
pub fn render(mistakes: &[Mistake], color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
    let mut text = String::new();
    for mistake in mistakes {
        // If this fails, only the line is not shown: show the error on one line then.
        if handler.render_report(&mut text, &Shown(mistake)).is_err() {
            text.push_str(&mistake.to_string());
            text.push('\n');
        }
    }
    text
}

/// An error in the form for miette.
#[derive(Debug)]
struct Shown<'a>(&'a Mistake);

impl Shown<'_> {
    /// Whether there is anything to underline.
    fn has_text(&self) -> bool {
        !self.0.text.is_empty()
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.has_text() {
            write!(f, "{}: ", self.0.file)?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        // A message that does not fit beside the underlined text.
        let expected = self.0.expected.as_deref().filter(|_| !self.has_text());
        let parts: Vec<&str> = [expected, self.0.help.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| Box::new(parts.join("; ")) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.has_text().then_some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Range { start, end } = self.0.underline;
        let label = LabeledSpan::new(self.0.expected.clone(), start, end.saturating_sub(start));
        self.has_text().then(|| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = _>>)
    }
}

/// The single line of the source, with its number in the file.
impl SourceCode for Shown<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = &self.0.text;
        if span.offset().saturating_add(span.len()) > text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let whole = SourceSpan::from(0..text.len());
        let (line, column) = (self.0.line.saturating_sub(1), self.0.column.saturating_sub(1));
        let file = self.0.file.clone();
        Ok(Box::new(MietteSpanContents::new_named(file, text.as_bytes(), whole, line, column, 1)))
    }
}

/// The errors found so far in one file.
#[derive(Debug)]
pub(super) struct Findings<'s> {
    source: &'s Source,
    mistakes: Vec<Mistake>,
    /// So many more were found, and are not described.
    more: usize,
    /// The last of those.
    last: Mistake,
    /// What was wrong in itself and is left out of the file from here on.
    left_out: BTreeSet<String>,
}

impl<'s> Findings<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        let last = Mistake::of_file(source.file(), "");
        Self { source, mistakes: Vec::new(), more: 0, last, left_out: BTreeSet::new() }
    }

    /// Adds an error at this position.
    pub(super) fn at(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Mistake {
        if self.is_full() {
            self.more += 1;
            return &mut self.last;
        }
        let index = self.mistakes.len();
        self.mistakes.push(Mistake::new(self.source, span, message));
        &mut self.mistakes[index]
    }

    /// Whether what is found from here on is only counted: then nothing has to be found out about it.
    pub(super) fn is_full(&self) -> bool {
        self.mistakes.len() >= MAX_FOUND
    }

    /// Something is wrong that is not described, because [there is enough](Self::is_full).
    pub(super) fn count(&mut self) {
        self.more += 1;
    }

    /// What stands at `path` is wrong in itself and is left out.
    pub(super) fn leave_out(&mut self, path: &str) {
        self.left_out.insert(path.to_owned());
    }

    /// Whether anything under `path` is ignored: an error about a missing value there would only report the same
    /// error again.
    pub(super) fn is_incomplete(&self, path: &str) -> bool {
        let from = (Bound::Included(path), Bound::Unbounded);
        self.left_out.range::<str, _>(from).next().is_some_and(|left_out| left_out.starts_with(path))
    }

    /// Keeps only the findings since `from` that match the filter.
    pub(super) fn retain_since(&mut self, from: usize, keep: impl Fn(&Mistake) -> bool) {
        if from < MAX_FOUND {
            self.more = 0;
        }
        let later = self.mistakes.split_off(from.min(self.mistakes.len()));
        self.mistakes.extend(later.into_iter().filter(keep));
    }

    pub(super) fn as_slice(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The result, if there are no errors.
    pub(super) fn finish<T>(self, result: T) -> Result<T, Mistakes> {
        match Mistakes::and_more(self.mistakes, self.more) {
            Some(mistakes) => Err(mistakes),
            None => Ok(result),
        }
    }
}
