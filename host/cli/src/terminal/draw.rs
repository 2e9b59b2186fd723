//! Renders the view: a head, the modules or one of them, and the possible actions.

use bellwether_api::{ModuleStatus, NodeStatus};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState, Wrap};

use super::model::{Mode, Model};
use super::paint::Paint;
use super::{detail, dialog};
use crate::commands::status::{headline, restarts, state};
use crate::output::Tone;

/// On a narrower terminal, a module takes two lines.
const NARROW: u16 = 64;
/// The minimum width for the restarts.
const WIDE: u16 = 110;
/// The minimum width for both forms of a moment.
const WIDER: u16 = 150;
/// The maximum width of a name; a longer one is truncated.
const NAME: u16 = 20;

pub(super) fn draw(model: &mut Model, paint: &Paint, frame: &mut Frame<'_>) {
    let area = frame.area();
    let head = head(model, paint);
    let foot = foot(model, paint);
    let head_height = height(&head, area.width).min(area.height / 3);
    let foot_height = height(&foot, area.width).clamp(1, (area.height / 3).max(1));
    let parts = [Constraint::Length(head_height), Constraint::Min(0), Constraint::Length(foot_height)];
    let [at_head, body, at_foot] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(head).wrap(Wrap { trim: false }), at_head);
    frame.render_widget(Paragraph::new(foot).wrap(Wrap { trim: false }), at_foot);
    if model.detail {
        detail::draw(model, paint, frame, body);
    } else {
        list(model, paint, frame, body);
    }
    dialog::draw(model, paint, frame, area);
}

/// The number of lines of the wrapped `text`; a word more or less does not matter.
pub(super) fn height(text: &Text<'_>, width: u16) -> u16 {
    let width = usize::from(width.max(1));
    let lines: usize = text.lines.iter().map(|line| line.width().div_ceil(width).max(1)).sum();
    u16::try_from(lines).unwrap_or(u16::MAX)
}

fn head(model: &Model, paint: &Paint) -> Text<'static> {
    let Some(status) = &model.status else { return Text::from("no data yet") };
    let mut text = Text::default();
    match &model.lost {
        None => {
            let node = Span::styled(status.node.to_string(), paint.style(Tone::Title));
            let rest = format!("  {}  {}", headline(status), paint.when.now());
            text.push_line(Line::from(vec![node, Span::raw(rest)]));
        }
        Some(lost) => {
            let since = paint.when.both(&lost.since);
            let said = format!("✗ {}: no data since {since}: {}", status.node, lost.why);
            text.push_line(Line::styled(said, paint.style(Tone::Bad).add_modifier(Modifier::REVERSED)));
            text.push_line(Line::raw("The last known state is shown. Reconnecting every second."));
        }
    }
    for trouble in troubles(status).into_iter().take(2) {
        text.push_line(Line::styled(format!("✗ {trouble}"), paint.style(Tone::Bad)));
    }
    text
}

fn troubles(status: &NodeStatus) -> Vec<String> {
    let failing = status.notifications.iter().filter(|target| target.failing > 0);
    let failing = failing.map(|target| format!("not notified: {}", target.target));
    let mut all: Vec<String> = status.problems.iter().cloned().chain(failing).collect();
    if all.len() > 2 {
        let more = all.len() - 1;
        all.truncate(1);
        all.push(format!("and {more} more problems: see `bellwether status`"));
    }
    all
}

fn foot(model: &Model, paint: &Paint) -> Text<'static> {
    let mut text = Text::default();
    if let Some(answer) = &model.answer {
        let (mark, tone) = if answer.good { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
        text.push_line(Line::styled(format!("{mark} {}", answer.text), paint.style(tone)));
    }
    if model.mode == Mode::Filter {
        text.push_line(Line::raw(format!("/{}▏  Enter applies it, Esc clears it", model.filter)));
    } else if model.filter.is_empty() {
        text.push_line(Line::styled("? keys  / filter  Enter detail  q quit", paint.style(Tone::Quiet)));
    } else {
        text.push_line(Line::raw(format!("filter: `{}`  Esc: all", model.filter)));
    }
    text
}

/// The state, or the last known one if it may be outdated.
pub(super) fn state_of(module: &ModuleStatus, model: &Model) -> (Tone, String) {
    let (tone, text) = state(module);
    match (&model.lost, text.split_once(' ')) {
        (None, _) => (tone, text),
        (Some(_), Some((_, word))) => (Tone::Quiet, format!("· was {word}")),
        (Some(_), None) => (Tone::Quiet, format!("· was {text}")),
    }
}

fn list(model: &Model, paint: &Paint, frame: &mut Frame<'_>, area: Rect) {
    let visible = model.visible();
    if visible.is_empty() {
        let none = model.status.as_ref().is_some_and(|status| status.modules.is_empty());
        let text =
            if none { "There are no modules yet: add a file to modules/." } else { "No module matches." };
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
        return;
    }
    let about = about(model, paint);
    let room = area.height / 3;
    let parts = [Constraint::Min(3), Constraint::Length(height(&about, area.width).min(room))];
    let [at_list, at_about] = Layout::vertical(parts).areas(area);
    let rows: Vec<Row<'_>> = visible.iter().map(|module| row(module, model, paint, area.width)).collect();
    let (widths, titles) = columns(area.width);
    let table = Table::new(rows, widths)
        .column_spacing(2)
        .highlight_symbol("▸ ")
        .row_highlight_style(ratatui::style::Style::new().add_modifier(Modifier::REVERSED));
    let table = match titles {
        Some(titles) => table.header(Row::new(titles).style(paint.style(Tone::Title))),
        None => table,
    };
    let mut at = TableState::new().with_selected(model.position());
    frame.render_stateful_widget(table, at_list, &mut at);
    frame.render_widget(Paragraph::new(about).wrap(Wrap { trim: false }), at_about);
}

fn columns(width: u16) -> (Vec<Constraint>, Option<Vec<&'static str>>) {
    use Constraint::{Fill, Length};
    if width < NARROW {
        return (vec![Fill(1)], None);
    }
    if width < WIDE {
        let widths = vec![Length(NAME - 4), Length(16), Length(10), Fill(1)];
        return (widths, Some(vec!["MODULE", "STATE", "SINCE", "WHY"]));
    }
    let [state, since] = if width < WIDER { [18, 12] } else { [24, 26] };
    let widths = vec![Length(NAME), Length(state), Length(5), Length(since), Length(12), Fill(1)];
    (widths, Some(vec!["MODULE", "STATE", "READY", "SINCE", "RESTARTS", "WHY"]))
}

fn row<'a>(module: &ModuleStatus, model: &Model, paint: &Paint, width: u16) -> Row<'a> {
    let (tone, state) = state_of(module, model);
    let style = paint.style(tone);
    let name = Line::raw(module.name.to_string());
    let reason = Line::raw(module.reason.clone());
    if width < NARROW {
        let first = Line::from(vec![Span::raw(format!("{} ", module.name)), Span::styled(state, style)]);
        let second = Line::raw(format!("  {} {}", paint.when.relative(module.shown_since()), module.reason));
        return Row::new([Text::from(vec![first, second])]).height(2);
    }
    let state = Line::styled(state, style);
    if width < WIDE {
        let since = Line::raw(paint.when.relative(module.shown_since()));
        return Row::new([name, state, since, reason].map(Cell::from));
    }
    let ready = match (&model.lost, module.ready) {
        (Some(_), _) => Line::styled("?", paint.style(Tone::Quiet)),
        (None, true) => Line::styled("yes", paint.style(Tone::Good)),
        (None, false) => Line::styled("NO", paint.style(Tone::Bad)),
    };
    let (tone, counted) = restarts(module);
    let counted = Line::styled(counted, paint.style(tone));
    let since = module.shown_since();
    let since = if width < WIDER { paint.when.relative(since) } else { paint.when.both(since) };
    let since = Line::raw(since);
    Row::new([name, state, ready, since, counted, reason].map(Cell::from))
}

/// The selected module in full sentences, for which the rows have no room.
fn about(model: &Model, paint: &Paint) -> Text<'static> {
    let Some(module) = model.chosen() else { return Text::default() };
    let (tone, state) = state_of(module, model);
    let since = format!(" since {}", paint.when.both(module.shown_since()));
    let name = Span::styled(format!("{} ", module.name), paint.style(Tone::Title));
    let head = Line::from(vec![name, Span::styled(state, paint.style(tone)), Span::raw(since)]);
    let mut text = Text::from(vec![Line::raw(""), head]);
    if !module.reason.is_empty() {
        text.push_line(Line::raw(module.reason.clone()));
    }
    text.push_line(Line::raw(next(module, model, paint)));
    text
}

/// What happens automatically, or what a user can do.
pub(super) fn next(module: &ModuleStatus, model: &Model, paint: &Paint) -> String {
    if model.lost.is_some() {
        return "next: see the daemon's log; `bellwether doctor` checks the installation".into();
    }
    let by_itself = module.next.as_ref().map(|next| format!(" ({})", paint.when.both(next)));
    match &model.why {
        Some(why) => {
            let typed = why.command.as_ref().map(|command| format!(" bellwether {command}"));
            format!("next: {}{}", why.next, typed.unwrap_or_default())
        }
        None => match by_itself {
            Some(by_itself) => format!("next: automatic{by_itself}"),
            None => format!("more: bellwether why {}", module.name),
        },
    }
}
