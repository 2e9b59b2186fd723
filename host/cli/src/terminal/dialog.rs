//! Dialogs over the view: the help, and the confirmation of a command.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::draw::height;
use super::keys;
use super::model::{Confirm, Mode, Model};
use super::paint::Paint;
use crate::output::Tone;

/// Lines longer than this are hard to read.
const WIDEST: u16 = 72;

pub(super) fn draw(model: &Model, paint: &Paint, frame: &mut Frame<'_>, area: Rect) {
    match &model.mode {
        Mode::Look | Mode::Filter => {}
        Mode::Help => over(" keys: press any key to go back ".to_owned(), &help(), frame, area),
        Mode::Confirm(confirm) => {
            let title = format!(" {} {}? ", confirm.consequence.command, confirm.module);
            over(title, &question(confirm, model, paint), frame, area);
        }
    }
}

fn over(title: String, text: &Text<'_>, frame: &mut Frame<'_>, area: Rect) {
    let width = area.width.min(WIDEST);
    // One more line: words are not broken where the count of characters would have it.
    let needed = height(text, width.saturating_sub(4)).saturating_add(3);
    let at = area.centered(Constraint::Length(width), Constraint::Length(needed.min(area.height)));
    frame.render_widget(Clear, at);
    let block = Block::bordered().title(title);
    frame.render_widget(Paragraph::new(text.clone()).wrap(Wrap { trim: false }).block(block), at);
}

fn help() -> Text<'static> {
    let lines = keys::HELP.iter().map(|(key, does)| Line::raw(format!("{key:<8} {does}")));
    lines.collect()
}

fn question(confirm: &Confirm, model: &Model, paint: &Paint) -> Text<'static> {
    let mut text = Text::default();
    for sentence in &confirm.consequence.sentences {
        text.push_line(Line::raw(sentence.clone()));
    }
    if let Some(now) = model.moved(confirm) {
        let said = format!("The state has changed: it is {} now. Press Esc and try again.", now.state);
        text.push_line(Line::styled(said, paint.style(Tone::Bad)));
    }
    text.push_line(Line::raw(""));
    if confirm.by_name {
        let asked = format!("Type the module's name, then Enter: {}▏", confirm.typed);
        text.push_line(Line::styled(asked, paint.style(Tone::Title)));
        text.push_line(Line::raw("Esc cancels."));
    } else {
        text.push_line(Line::styled("y confirms. Esc cancels.", paint.style(Tone::Title)));
    }
    text
}
