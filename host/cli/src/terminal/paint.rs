//! Styles of tones: colour is used in addition to shape and word, from the sixteen colours of every terminal.

use ratatui::style::{Color, Modifier, Style};

use crate::output::Tone;
use crate::when::TimeFormat;

/// The data that every part of the view needs.
pub(super) struct Paint {
    pub(super) color: bool,
    pub(super) when: TimeFormat,
}

impl Paint {
    pub(super) fn style(&self, tone: Tone) -> Style {
        let (color, modifier) = match tone {
            Tone::Good => (Some(Color::Green), Modifier::empty()),
            Tone::Busy => (Some(Color::Yellow), Modifier::empty()),
            Tone::Bad => (Some(Color::Red), Modifier::BOLD),
            Tone::Quiet => (None, Modifier::DIM),
            Tone::Title => (None, Modifier::BOLD),
            Tone::Plain => (None, Modifier::empty()),
        };
        let style = Style::new().add_modifier(modifier);
        color.filter(|_| self.color).map_or(style, |color| style.fg(color))
    }
}
