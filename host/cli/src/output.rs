//! Output for users: plain tables, a shape and a word for every state, and colours where they are supported.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use bellwether_core::counting::counted;
use bellwether_core::observation::Status;
use bellwether_core::state::{StateLook, StateName, StateTone};
use bellwether_core::verdict::Verdict;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table};
use serde::Serialize;

/// Standard output. Every write can fail, for example when it is piped into `head`.
pub(crate) struct Output {
    to: Box<dyn Write>,
    /// Whether it is a terminal.
    pub(crate) terminal: bool,
    color: bool,
}

/// What another command has written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Everything so far.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The tone of a text, which determines its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Bad,
    Quiet,
    Title,
    Plain,
}

impl Output {
    pub(crate) fn standard() -> Self {
        let terminal = io::stdout().is_terminal();
        Self { to: Box::new(io::stdout()), terminal, color: terminal && color_is_welcome() }
    }

    /// What is written to it can be taken, without colour.
    pub(crate) fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        (Self { to: Box::new(captured.clone()), terminal: false, color: false }, captured)
    }

    /// Whether colour is enabled, for text that is rendered elsewhere.
    pub(crate) fn colored(&self) -> bool {
        self.color
    }

    /// Text in the colour of its tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.code() {
            Some(code) if self.color => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// One indented JSON document.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.to, value)?;
        self.to.write_all(b"\n")
    }

    /// One JSON document on one line, flushed immediately.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
        self.to.write_all(b"\n")?;
        self.to.flush()
    }

    /// The columns of the terminal; `None` elsewhere.
    pub(crate) fn width(&self) -> Option<u16> {
        if self.terminal { known(Table::new().width()) } else { None }
    }

    /// A table without borders. On a terminal whose width is known it fits the width, elsewhere each row is one line.
    pub(crate) fn table(&mut self, header: &[&str], rows: Vec<Vec<(Tone, String)>>) -> io::Result<()> {
        let width = self.width();
        let widest = widest(header, &rows)
            .filter(|(_, others)| width.is_some_and(|width| others + LEAST <= usize::from(width)));
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        let arrangement =
            if width.is_some() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        table.set_content_arrangement(arrangement);
        if self.color {
            table.enforce_styling();
        }
        // Cells without a style, rather than a table without: the latter ignores the width.
        let cell = |(tone, text): (Tone, String)| if self.color { tone.cell(text) } else { Cell::new(text) };
        table.set_header(header.iter().map(|title| cell((Tone::Title, (*title).to_owned()))));
        for row in rows {
            table.add_row(row.into_iter().map(cell).collect::<Vec<_>>());
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            // The widest column is wrapped, and the others stay easy to read.
            if widest.is_some_and(|(widest, _)| widest != index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        for line in table.lines() {
            writeln!(self.to, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Clears the screen for the next status.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if self.terminal { self.to.write_all(b"\x1b[H\x1b[2J") } else { Ok(()) }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Good => Some("32"),
            Self::Busy => Some("33"),
            Self::Bad => Some("1;31"),
            Self::Quiet => Some("2"),
            Self::Title => Some("1"),
            Self::Plain => None,
        }
    }

    fn cell(self, text: String) -> Cell {
        let cell = Cell::new(text);
        match self {
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Busy => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
            Self::Quiet => cell.add_attribute(Attribute::Dim),
            Self::Title => cell.add_attribute(Attribute::Bold),
            Self::Plain => cell,
        }
    }
}

/// A state as shape and word, and its tone.
pub(crate) fn state(state: StateName, ready: bool) -> (Tone, String) {
    let StateLook { word, symbol, tone, .. } = state.look(ready);
    let tone = match tone {
        StateTone::Serving => Tone::Good,
        StateTone::Bad => Tone::Bad,
        StateTone::Pending | StateTone::Rising | StateTone::Falling => Tone::Busy,
        StateTone::Resting => Tone::Quiet,
    };
    (tone, format!("{symbol} {word}"))
}

/// A verdict as shape and word, and its tone.
pub(crate) fn verdict(verdict: Verdict) -> (Tone, String) {
    let (tone, shape) = match verdict {
        Verdict::Up => (Tone::Good, '✓'),
        Verdict::Down => (Tone::Bad, '✗'),
        Verdict::Undecided => (Tone::Quiet, '?'),
    };
    (tone, format!("{shape} {verdict}"))
}

/// The status of a run as shape and word, and its tone.
pub(crate) fn status(status: Status) -> (Tone, String) {
    let (tone, shape) = match status {
        Status::Pass => (Tone::Good, '✓'),
        Status::Warn => (Tone::Busy, '!'),
        Status::Fail => (Tone::Bad, '✗'),
        Status::Unknown => (Tone::Busy, '?'),
    };
    (tone, format!("{shape} {status}"))
}

/// A terminal without a known size (a serial line, some containers) reports 0 columns.
fn known(columns: Option<u16>) -> Option<u16> {
    columns.filter(|columns| *columns > 0)
}

/// The minimum width of a wrapped column.
const LEAST: usize = 24;

/// The index of the widest column, and the width of all others.
fn widest(header: &[&str], rows: &[Vec<(Tone, String)>]) -> Option<(usize, usize)> {
    let cells = |index: usize| {
        rows.iter().filter_map(move |row| row.get(index)).map(|(_, text)| text.chars().count())
    };
    let width =
        |(index, title): (usize, &&str)| cells(index).chain([title.chars().count()]).max().unwrap_or(0);
    let widths: Vec<usize> = header.iter().enumerate().map(width).collect();
    let (widest, most) = widths.iter().enumerate().max_by_key(|(_, width)| **width)?;
    let padding = 2 * widths.len();
    Some((widest, widths.iter().sum::<usize>() - most + padding))
}

/// Whether standard error is looked at by somebody who wants colour.
pub(crate) fn error_color() -> bool {
    io::stderr().is_terminal() && color_is_welcome()
}

/// <https://no-color.org>: any value except the empty one.
fn color_is_welcome() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(color: bool) -> String {
        let (mut output, captured) = Output::captured();
        output.color = color;
        let row = vec![(Tone::Plain, "web".to_owned()), state(StateName::Failed, false)];
        output.table(&["MODULE", "STATE"], vec![row]).unwrap();
        String::from_utf8(captured.take()).unwrap()
    }

    #[test]
    fn the_widest_column_is_the_one_that_is_wrapped() {
        let row =
            ["web", "● up", "the application serves"].map(|text| (Tone::Plain, text.to_owned())).to_vec();
        assert_eq!(widest(&["MODULE", "STATE", "WHY"], &[row]), Some((2, 6 + 5 + 6)));
        assert_eq!(widest(&[], &[]), None);
    }

    #[test]
    fn a_terminal_that_reports_no_columns_has_no_known_width() {
        assert_eq!([None, Some(0), Some(1), Some(80)].map(known), [None, None, Some(1), Some(80)]);
    }

    #[test]
    fn a_table_without_colour_is_plain_text() {
        assert_eq!(print(false), "MODULE  STATE\nweb     ✗ failed\n");
    }

    #[test]
    fn colour_is_only_on_top_of_shape_and_word() {
        let text = print(true);
        assert!(text.contains("\x1b[") && text.contains("✗ failed"), "{text:?}");
    }

    #[test]
    fn a_state_is_a_shape_a_word_and_a_tone() {
        assert_eq!(state(StateName::Up, true), (Tone::Good, "● up".to_owned()));
        assert_eq!(state(StateName::Up, false), (Tone::Bad, "◍ up".to_owned()));
        assert_eq!(state(StateName::Backoff, false), (Tone::Busy, "◔ backoff".to_owned()));
        assert_eq!(state(StateName::Draining, false), (Tone::Busy, "◒ draining".to_owned()));
        assert_eq!(state(StateName::Stopped, false), (Tone::Quiet, "○ stopped".to_owned()));
        assert_eq!(state(StateName::Failed, false), (Tone::Bad, "✗ failed".to_owned()));
    }
}
