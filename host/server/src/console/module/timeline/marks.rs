//! Marks for decisions, plans, commands and reloads.

use bellwether_core::record::{FarmEvent, RecordKind};
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;

use super::super::chart::percent;
use super::Axis;
use crate::console::frame::Times;
use crate::console::look::Look;
use bellwether_bus::Entry;

/// Marks that are closer to each other, in percent, would overlap.
const MARK_WIDTH: f64 = 3.0;
/// The maximum number of events in one mark; the table has all of them.
const TOLD: usize = 8;
/// The tones of the looks, the worst first.
const TONES: [&str; 5] = ["bad", "warn", "held", "move", "idle"];

/// A mark for one or several events.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) x: String,
    pub(crate) look: Look,
    pub(crate) title: String,
}

/// Events that are so close together that their marks would overlap share one mark: it has the look of the worst of
/// them, and lists all of them.
pub(super) fn marks(all: &[&Entry], axis: Axis, times: &Times) -> Vec<Mark> {
    let marked = all.iter().filter(|entry| entry.wall >= axis.since && is_marked(&entry.kind));
    let mut groups: Vec<(f64, Vec<&Entry>)> = Vec::new();
    for entry in marked {
        // The last ones stay inside the picture.
        let at = axis.at(entry.wall).min(98.5);
        match groups.last_mut() {
            Some((first, group)) if at - *first < MARK_WIDTH => group.push(entry),
            _ => groups.push((at, vec![entry])),
        }
    }
    groups.into_iter().map(|(at, group)| mark(at, &group, times)).collect()
}

fn is_marked(kind: &RecordKind) -> bool {
    !matches!(kind, RecordKind::Verdict { .. } | RecordKind::State { .. } | RecordKind::Step { .. })
}

fn mark(at: f64, group: &[&Entry], times: &Times) -> Mark {
    let rank = |look: &Look| TONES.iter().position(|tone| *tone == look.tone).unwrap_or(TONES.len());
    let looks = group.iter().map(|entry| kind_look(&entry.kind));
    let look = looks.min_by_key(rank).unwrap_or(Look { glyph: "stopped", word: "", tone: "idle" });
    let line = |entry: &&Entry| {
        format!("{}: {}", times.told(entry.timestamp(entry.at)).clock, entry.kind.sentence())
    };
    let mut lines: Vec<String> = group.iter().take(TOLD).map(line).collect();
    if group.len() > TOLD {
        lines.push(format!("and {} more", group.len() - TOLD));
    }
    Mark { x: percent(at), look, title: lines.join("\n") }
}

/// The look of a kind of record.
pub(crate) fn kind_look(kind: &RecordKind) -> Look {
    let look = |glyph, word, tone| Look { glyph, word, tone };
    match kind {
        RecordKind::Incident { .. } => look("failed", "incident", "bad"),
        RecordKind::CannotTell { .. } => look("undecided", "cannot tell", "bad"),
        RecordKind::Decision { .. } => look("waiting", "decision", "move"),
        RecordKind::Plan { .. } => look("restarting", "plan", "move"),
        RecordKind::NoPlan { .. } => look("down", "no plan", "bad"),
        RecordKind::Step { ok: true, .. } => look("yes", "step", "ok"),
        RecordKind::Step { ok: false, .. } => look("down", "step failed", "bad"),
        RecordKind::Command { .. } => look("starting", "command", "held"),
        RecordKind::Reload { ok: true, .. } => look("undecided", "reload", "idle"),
        RecordKind::Reload { ok: false, .. } => look("warned", "refused", "bad"),
        RecordKind::Quarantine { .. } => look("suspended", "quarantine", "bad"),
        RecordKind::Approval { .. } => look("suspended", "approval", "held"),
        RecordKind::Access { .. } => look("bell", "access", "held"),
        RecordKind::Farm { event: FarmEvent::NotHeard, .. } => look("undecided", "not heard", "bad"),
        RecordKind::Farm { event: FarmEvent::Expires, .. } => look("warned", "expires", "warn"),
        RecordKind::Farm { .. } => look("bell", "farm", "held"),
        RecordKind::Daemon { .. } => look("stopped", "daemon", "idle"),
        RecordKind::State { to, .. } => Look::state(*to, *to == StateName::Up),
        RecordKind::Verdict { to, .. } => match to {
            Verdict::Up => look("up", "verdict up", "ok"),
            Verdict::Down => look("down", "verdict down", "bad"),
            Verdict::Undecided => look("undecided", "undecided", "warn"),
        },
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::record::Record;

    use super::super::tests::entry;
    use super::*;

    #[test]
    fn what_happens_within_a_moment_is_one_mark_that_looks_like_the_worst_and_says_all() {
        let axis = Axis { since: 0, until: 100_000_000 };
        let refused = RecordKind::Reload { what: "modules/web.toml".into(), ok: false, detail: "x".into() };
        let refused =
            Entry { record: Record { kind: refused, ..entry(50_100_000, "").record }, wall: 50_100_000 };
        let records = [entry(50_000_000, "a"), refused, entry(50_200_000, "c"), entry(60_000_000, "d")];
        let all: Vec<&Entry> = records.iter().collect();
        let marks = marks(&all, axis, &Times::new(bellwether_os::clock::Clock::start()));
        let seen: Vec<_> =
            marks.iter().map(|mark| (mark.x.as_str(), mark.look.tone, mark.title.lines().count())).collect();
        assert_eq!(seen, [("50.00%", "bad", 3), ("60.00%", "idle", 1)]);
    }
}
