//! The view of one module: checkers, processes, plan, budget, and events.

use std::cmp::Ordering;

use bellwether_api::{CheckerStatus, ModuleStatus};
use bellwether_core::verdict::Verdict;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Wrap};

use super::draw::{height, next, state_of};
use super::model::Model;
use super::paint::Paint;
use crate::commands::status::{processes, restarts, took, verdict};
use crate::output::{self, Tone};

pub(super) fn draw(model: &mut Model, paint: &Paint, frame: &mut Frame<'_>, area: Rect) {
    let Some(module) = model.chosen() else { return };
    let text = text(module, model, paint);
    let hidden = height(&text, area.width).saturating_sub(area.height);
    let scroll = model.scroll.min(hidden);
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).scroll((scroll, 0)), area);
    model.scroll = scroll;
}

fn text(module: &ModuleStatus, model: &Model, paint: &Paint) -> Text<'static> {
    let (tone, state) = state_of(module, model);
    let ready = match (&model.lost, module.ready) {
        (Some(_), _) => ("ready: unknown", Tone::Quiet),
        (None, true) => ("ready: yes", Tone::Good),
        (None, false) => ("ready: NO", Tone::Bad),
    };
    let mut text = Text::from(Line::from(vec![
        Span::styled(format!("{}  ", module.name), paint.style(Tone::Title)),
        Span::styled(format!("{state}  "), paint.style(tone)),
        Span::styled(ready.0, paint.style(ready.1)),
        Span::raw(format!("  since {}", paint.when.both(module.shown_since()))),
    ]));
    if !module.reason.is_empty() {
        text.push_line(Line::raw(module.reason.clone()));
    }
    text.push_line(Line::raw(next(module, model, paint)));
    let (tone, counted) = restarts(module);
    text.push_line(Line::styled(format!("restarts: {counted}"), paint.style(tone)));
    text.push_line(Line::raw(format!("processes: {}", processes(module))));
    plan(module, paint, &mut text);
    title("CHECKERS", paint, &mut text);
    let mut checkers: Vec<&CheckerStatus> = module.checkers.iter().collect();
    checkers.sort_by_key(|checker| checker.verdict == Verdict::Up);
    for checker in checkers {
        self::checker(checker, model, paint, &mut text);
    }
    title("EVENTS, latest first", paint, &mut text);
    for event in model.events.iter().rev() {
        let at = Span::styled(format!("{}  ", paint.when.clock(&event.at)), paint.style(Tone::Quiet));
        text.push_line(Line::from(vec![at, Span::raw(event.text.clone())]));
    }
    text
}

fn title(words: &'static str, paint: &Paint, text: &mut Text<'static>) {
    text.push_line(Line::raw(""));
    text.push_line(Line::styled(words, paint.style(Tone::Title)));
}

fn plan(module: &ModuleStatus, paint: &Paint, text: &mut Text<'static>) {
    let Some(plan) = &module.plan else { return };
    title("PLAN", paint, text);
    text.push_line(Line::raw(plan.summary.clone()));
    for (index, step) in plan.steps.iter().enumerate() {
        let (mark, tone) = match index.cmp(&plan.step) {
            Ordering::Less => ("✓", Tone::Quiet),
            Ordering::Equal => ("▸", Tone::Busy),
            Ordering::Greater => ("·", Tone::Plain),
        };
        text.push_line(Line::styled(format!("  {mark} {step}"), paint.style(tone)));
    }
}

fn checker(checker: &CheckerStatus, model: &Model, paint: &Paint, text: &mut Text<'static>) {
    let (tone, word) = verdict(checker);
    let tone = if model.lost.is_some() { Tone::Quiet } else { tone };
    text.push_line(Line::from(vec![
        Span::styled(format!("{word}  "), paint.style(tone)),
        Span::styled(format!("{}  ", checker.name), paint.style(Tone::Title)),
        Span::raw(format!("since {}, on down: {}", paint.when.both(&checker.since), checker.on_down.word())),
    ]));
    let said = match &checker.last {
        None => "    no run has ended yet".to_owned(),
        Some(last) => {
            let (_, status) = output::status(last.status);
            let at = paint.when.relative(&last.at);
            format!("    {status}: {} ({at}, took {})", last.summary, took(last.took_us))
        }
    };
    text.push_line(Line::raw(said));
}
