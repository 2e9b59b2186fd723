//! The effect of each key.

use bellwether_core::command::Command;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Confirm, Effect, Mode, Model};

/// The number of lines of the detail, or modules of the list, that a page key moves by.
const PAGE: u16 = 10;
/// The maximum length of the input.
const MAX_TYPED: usize = 64;

/// For the help, in its order.
pub(super) const HELP: [(&str, &str); 13] = [
    ("j k ↓ ↑", "select a module; in the details: scroll"),
    ("Enter", "details of the module"),
    ("Esc", "back; clear the filter"),
    ("/", "filter: part of a name, a state or a reason"),
    ("s", "start"),
    ("S", "stop"),
    ("r", "restart"),
    ("p", "suspend, or resume (maintenance)"),
    ("R", "reset: clear a failure and the count of restarts"),
    ("c", "confirm: end the probation of checkers"),
    ("?", "these keys"),
    ("Ctrl-Z", "suspend to the shell; `fg` returns"),
    ("q", "quit"),
];

pub(super) fn press(model: &mut Model, key: KeyEvent) -> Option<Effect> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Effect::Quit),
            KeyCode::Char('z') => Some(Effect::Suspend),
            _ => None,
        };
    }
    match &model.mode {
        Mode::Look => look(model, key.code),
        Mode::Filter => {
            filter(model, key.code);
            None
        }
        Mode::Help => {
            model.mode = Mode::Look;
            None
        }
        Mode::Confirm(_) => confirm(model, key.code),
    }
}

fn look(model: &mut Model, code: KeyCode) -> Option<Effect> {
    match code {
        KeyCode::Char('q') => return Some(Effect::Quit),
        KeyCode::Char('?') => model.mode = Mode::Help,
        KeyCode::Char('/') => (model.mode, model.detail) = (Mode::Filter, false),
        KeyCode::Char('j') | KeyCode::Down => move_by(model, 1),
        KeyCode::Char('k') | KeyCode::Up => move_by(model, -1),
        KeyCode::PageDown => move_by(model, PAGE.cast_signed()),
        KeyCode::PageUp => move_by(model, -PAGE.cast_signed()),
        KeyCode::Home => move_by(model, i16::MIN),
        KeyCode::End => move_by(model, i16::MAX),
        KeyCode::Enter if model.chosen.is_some() => (model.detail, model.scroll) = (true, 0),
        KeyCode::Esc => back(model),
        KeyCode::Char('s') => model.ask(Command::Start),
        KeyCode::Char('S') => model.ask(Command::Stop),
        KeyCode::Char('r') => model.ask(Command::Restart),
        KeyCode::Char('R') => model.ask(Command::Reset),
        KeyCode::Char('c') => model.ask(Command::Confirm),
        KeyCode::Char('p') => {
            let suspended = model.chosen().is_some_and(|module| module.suspended);
            model.ask(if suspended { Command::Resume } else { Command::Suspend });
        }
        _ => {}
    }
    None
}

fn move_by(model: &mut Model, by: i16) {
    if model.detail {
        // The view knows the number of lines, and stops at the last.
        model.scroll = model.scroll.saturating_add_signed(by);
    } else {
        model.step(by.into());
    }
}

/// One after the other: the answer, the detail, the filter.
fn back(model: &mut Model) {
    if model.answer.take().is_some() {
    } else if model.detail {
        model.detail = false;
    } else {
        model.filter.clear();
    }
}

fn filter(model: &mut Model, code: KeyCode) {
    match code {
        KeyCode::Enter => model.mode = Mode::Look,
        KeyCode::Esc => {
            model.filter.clear();
            model.mode = Mode::Look;
        }
        KeyCode::Backspace => drop(model.filter.pop()),
        KeyCode::Char(typed) if model.filter.chars().count() < MAX_TYPED => model.filter.push(typed),
        _ => {}
    }
}

fn confirm(model: &mut Model, code: KeyCode) -> Option<Effect> {
    let Mode::Confirm(mut confirm) = std::mem::take(&mut model.mode) else { return None };
    let by_name = confirm.by_name;
    let said_so = match code {
        KeyCode::Enter => by_name,
        KeyCode::Backspace => {
            confirm.typed.pop();
            false
        }
        KeyCode::Char(typed) if by_name => {
            if confirm.typed.chars().count() < MAX_TYPED {
                confirm.typed.push(typed);
            }
            false
        }
        KeyCode::Esc | KeyCode::Char('n' | 'q') => return None,
        KeyCode::Char('y') => true,
        _ => false,
    };
    if said_so && confirm.is_meant() {
        let command = confirm.consequence.command;
        let Confirm { module, seen, .. } = *confirm;
        return Some(Effect::Send { module, command, seen, confirmed: by_name });
    }
    model.mode = Mode::Confirm(confirm);
    None
}
