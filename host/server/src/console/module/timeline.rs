//! The history of a module on one axis: its states, the verdicts of its checkers, and marks for decisions, plans,
//! commands and reloads.
//!
//! Across in percent of the width, down in pixels: texts keep their size on every screen.

use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::ModuleView;
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;

use self::gaps::{Gap, gaps};
pub(crate) use self::marks::kind_look;
use self::marks::{Mark, marks};
use super::chart::percent;
use crate::console::frame::{Time, Times};
use crate::console::look::Look;
use bellwether_bus::Entry;
use bellwether_core::chart::Chart as Measured;

mod gaps;
mod marks;

/// The distance of two rows.
const ROW: usize = 44;
/// The maximum number of checkers in the picture; the table has all of them.
const CHECKERS: usize = 16;
/// The maximum number of rows of the table; more are on the events page.
const LISTED: usize = 60;
/// A narrower band contains no word.
const WORD_WIDTH: f64 = 9.0;

#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) height: usize,
    pub(super) rows: Vec<Row>,
    pub(super) marks_top: usize,
    pub(super) marks: Vec<Mark>,
    pub(super) gaps: Vec<Gap>,
    pub(super) ticks: Vec<Tick>,
    pub(super) said: String,
    pub(super) listed: Vec<Listed>,
    pub(super) more: usize,
}

/// A state over time.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) label_y: usize,
    pub(super) y: usize,
    pub(super) word_y: usize,
    pub(super) bands: Vec<Band>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) middle: String,
    pub(super) look: Look,
    pub(super) wide: bool,
    pub(super) title: String,
}

/// The data for the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The module's own records.
    pub(super) records: &'a [Entry],
    /// Records that concern no module.
    pub(super) around: &'a [Entry],
    /// Measurements: a checker that measures is running.
    pub(super) measured: &'a Measured,
    /// Whether older records of the module are omitted.
    pub(super) cut: bool,
}

#[derive(Debug)]
pub(super) struct Tick {
    pub(super) x: String,
    pub(super) anchor: &'static str,
    pub(super) text: String,
}

/// The same data as a table.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) at: Time,
    pub(super) kind: &'static str,
    pub(super) look: Look,
    pub(super) text: String,
}

/// The position of a moment between two others.
#[derive(Debug, Clone, Copy)]
struct Axis {
    since: i64,
    until: i64,
}

impl Axis {
    /// In percent of the width.
    #[expect(clippy::cast_precision_loss, reason = "a picture is not that fine")]
    fn at(self, wall: i64) -> f64 {
        let length = (self.until - self.since).max(1) as f64;
        (wall.clamp(self.since, self.until) - self.since) as f64 / length * 100.0
    }
}

/// Between two moments, in microseconds since the Unix epoch.
pub(super) fn timeline(
    module: &ModuleView,
    known: Known<'_>,
    since: i64,
    until: i64,
    times: &Times,
) -> Timeline {
    let axis = Axis { since, until };
    let Known { records, around, .. } = known;
    let mut tracks = vec![("State".to_owned(), states(module, records, axis))];
    for checker in module.checkers.iter().take(CHECKERS) {
        let changes = verdicts(checker.name.as_str(), checker.verdict, records);
        tracks.push((format!("Checker {}", checker.name), bands(&changes, axis)));
    }
    let rows: Vec<Row> = tracks
        .into_iter()
        .enumerate()
        .map(|(index, (label, bands))| {
            let top = index * ROW;
            Row { label, label_y: top + 12, y: top + 18, word_y: top + 32, bands }
        })
        .collect();
    let marks_top = rows.len() * ROW;
    let mut all: Vec<&Entry> = records.iter().chain(around).collect();
    all.sort_by_key(|entry| entry.wall);
    let listed: Vec<&&Entry> = all.iter().filter(|entry| entry.wall >= since).collect();
    let more = listed.len().saturating_sub(LISTED);
    Timeline {
        height: marks_top + 64,
        said: said(&all, axis),
        marks: marks(&all, axis, times),
        gaps: gaps(known, &all, axis),
        ticks: ticks(axis, times),
        listed: listed.iter().rev().take(LISTED).map(|entry| row(entry, times)).collect(),
        more,
        rows,
        marks_top,
    }
}

/// The initial state, and the changes with their times.
struct Changes {
    first: Look,
    then: Vec<(i64, Look)>,
}

fn states(module: &ModuleView, records: &[Entry], axis: Axis) -> Vec<Band> {
    // It is not recorded whether it was ready while it was up.
    let look = |state: StateName| Look::state(state, state == StateName::Up);
    let changes: Vec<(i64, StateName, StateName)> = records
        .iter()
        .filter_map(|entry| match &entry.kind {
            RecordKind::State { from, to, .. } => Some((entry.wall, *from, *to)),
            _ => None,
        })
        .collect();
    let first = changes.first().map_or(module.state, |(_, from, _)| *from);
    let then = changes.iter().map(|(wall, _, to)| (*wall, look(*to))).collect();
    bands(&Changes { first: look(first), then }, axis)
}

fn verdicts(checker: &str, now: Verdict, records: &[Entry]) -> Changes {
    let look = |verdict| match verdict {
        Verdict::Up => Look { glyph: "up", word: "up", tone: "ok" },
        Verdict::Down => Look { glyph: "down", word: "down", tone: "bad" },
        Verdict::Undecided => Look { glyph: "undecided", word: "undecided", tone: "idle" },
    };
    let changes: Vec<_> = records
        .iter()
        .filter_map(|entry| match &entry.kind {
            RecordKind::Verdict { checker: of, from, to, .. } if of.as_str() == checker => {
                Some((entry.wall, *from, *to))
            }
            _ => None,
        })
        .collect();
    let first = changes.first().map_or(now, |(_, from, _)| *from);
    Changes { first: look(first), then: changes.iter().map(|(wall, _, to)| (*wall, look(*to))).collect() }
}

fn bands(changes: &Changes, axis: Axis) -> Vec<Band> {
    let mut bands = Vec::with_capacity(changes.then.len() + 1);
    let (mut begun, mut look) = (axis.since, changes.first);
    let ends = changes.then.iter().map(|(wall, next)| (*wall, Some(*next)));
    for (end, next) in ends.chain([(axis.until, None)]) {
        let (left, right) = (axis.at(begun), axis.at(end));
        if right > left || bands.is_empty() {
            bands.push(Band {
                x: percent(left),
                width: percent((right - left).max(0.3)),
                middle: percent(left + (right - left) / 2.0),
                wide: right - left >= WORD_WIDTH,
                title: look.word.to_owned(),
                look,
            });
        }
        begun = end;
        look = next.unwrap_or(look);
    }
    bands
}

fn ticks(axis: Axis, times: &Times) -> Vec<Tick> {
    let moment = |part: i64| axis.since + (axis.until - axis.since) / 4 * part;
    let tick = |part: i64| Tick {
        x: percent(axis.at(moment(part))),
        anchor: match part {
            0 => "start",
            4 => "end",
            _ => "middle",
        },
        text: times.short(moment(part), axis.until - axis.since > 86_400_000_000),
    };
    (0..=4).map(tick).collect()
}

fn said(all: &[&Entry], axis: Axis) -> String {
    let count = |wanted: fn(&RecordKind) -> bool| {
        all.iter().filter(|entry| entry.wall >= axis.since && wanted(&entry.kind)).count()
    };
    format!(
        "{} state changes, {} incidents, {} plans, {} commands. The table below lists all of them.",
        count(|kind| matches!(kind, RecordKind::State { .. })),
        count(|kind| matches!(kind, RecordKind::Incident { .. })),
        count(|kind| matches!(kind, RecordKind::Plan { .. })),
        count(|kind| matches!(kind, RecordKind::Command { .. })),
    )
}

fn row(entry: &Entry, times: &Times) -> Listed {
    Listed {
        at: times.told(entry.timestamp(entry.at)),
        kind: entry.kind.word(),
        look: kind_look(&entry.kind),
        text: entry.kind.sentence(),
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::id::NodeName;
    use bellwether_core::moment::Moment;
    use bellwether_core::record::Record;
    use proptest::prelude::*;

    use super::*;

    const AXIS: Axis = Axis { since: 1_000, until: 2_000 };

    fn changes(then: &[(i64, Verdict)]) -> Changes {
        let look = |verdict: &Verdict| match verdict {
            Verdict::Up => Look { glyph: "up", word: "up", tone: "ok" },
            _ => Look { glyph: "down", word: "down", tone: "bad" },
        };
        Changes {
            first: look(&Verdict::Up),
            then: then.iter().map(|(at, verdict)| (*at, look(verdict))).collect(),
        }
    }

    #[test]
    fn a_band_lasts_from_one_change_to_the_next_and_the_last_one_to_now() {
        let bands = bands(&changes(&[(1_250, Verdict::Down), (1_500, Verdict::Up)]), AXIS);
        let seen: Vec<_> =
            bands.iter().map(|band| (band.x.as_str(), band.width.as_str(), band.look.word)).collect();
        assert_eq!(
            seen,
            [("0.00%", "25.00%", "up"), ("25.00%", "25.00%", "down"), ("50.00%", "50.00%", "up")]
        );
    }

    #[test]
    fn without_a_change_it_was_the_same_all_the_time() {
        let bands = bands(&changes(&[]), AXIS);
        assert_eq!((bands.len(), bands[0].width.as_str()), (1, "100.00%"));
    }

    pub(super) fn entry(wall: i64, message: &str) -> Entry {
        let record = Record {
            seq: 1,
            at: Moment::from_micros(wall),
            node: NodeName::new("n1").unwrap(),
            module: None,
            kind: RecordKind::Daemon { message: message.into() },
        };
        Entry { record, wall }
    }

    proptest! {
        #[test]
        fn the_bands_cover_the_whole_axis_without_a_hole(mut at in prop::collection::vec(500_i64..2_500, 0..50)) {
            at.sort_unstable();
            let then: Vec<_> = at.iter().map(|at| (*at, Verdict::Down)).collect();
            let mut end = 0.0;
            for band in bands(&changes(&then), AXIS) {
                let number = |text: &str| text.trim_end_matches('%').parse::<f64>().unwrap();
                prop_assert!((number(&band.x) - end).abs() < 0.4, "{} {end}", band.x);
                end = number(&band.x) + number(&band.width);
            }
            prop_assert!((end - 100.0).abs() < 0.4, "{end}");
        }
    }
}
