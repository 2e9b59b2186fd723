//! Everything that happened to a module, on one axis: its states, the verdicts of its checkers, and
//! marks for what was decided, planned, commanded and reloaded.
//!
//! Across in percent of the width, down in pixels: texts keep their size on every screen.

use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::ModuleView;
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;

use super::chart::percent;
use crate::journal::{Chart as Measured, Entry};
use crate::serve::console::frame::{Time, Times};
use crate::serve::console::look::Look;

/// From one row to the next.
const ROW: usize = 44;
/// More checkers than these are in the table only.
const CHECKERS: usize = 16;
/// More rows of the table are in the events.
const LISTED: usize = 60;
/// A narrower band has no word in it.
const WORD_WIDTH: f64 = 9.0;
/// Nor has a narrower gap, on a phone either.
const GAP_WORD_WIDTH: f64 = 20.0;

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

/// What something was, over time.
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

/// A moment at which something happened.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) x: String,
    pub(super) look: Look,
    pub(super) title: String,
}

/// Of this nothing is known, or nothing is drawn.
#[derive(Debug, PartialEq)]
pub(super) struct Gap {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) middle: String,
    /// There is room for the word.
    pub(super) wide: bool,
    pub(super) word: &'static str,
    pub(super) title: &'static str,
}

/// Why nothing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blank {
    /// Too much happened.
    NotDrawn,
    /// The daemon had ended.
    Ended,
    /// Nobody knows since when there was no daemon.
    NoNews,
}

impl Blank {
    /// In the picture, and at length.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotDrawn => ("not drawn", "more happened here than is drawn"),
            Self::Ended => ("no daemon", "the daemon did not run"),
            Self::NoNews => ("no news", "no news: the daemon did not run"),
        }
    }
}

impl Gap {
    fn between(axis: Axis, from: i64, to: i64, blank: Blank) -> Self {
        let (left, right) = (axis.at(from), axis.at(to));
        let (word, title) = blank.words();
        Self {
            // Those at the very end stay inside the picture.
            x: percent(left.min(99.7)),
            width: percent((right - left).max(0.3)),
            middle: percent(f64::midpoint(left, right)),
            wide: right - left >= GAP_WORD_WIDTH,
            word,
            title,
        }
    }
}

/// What the picture is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The module's own records.
    pub(super) records: &'a [Entry],
    /// Those that concern no module.
    pub(super) around: &'a [Entry],
    /// What was measured: whoever measures runs.
    pub(super) measured: &'a Measured,
    /// Older records of the module are left out.
    pub(super) cut: bool,
}

#[derive(Debug)]
pub(super) struct Tick {
    pub(super) x: String,
    pub(super) anchor: &'static str,
    pub(super) text: String,
}

/// The same as a table.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) at: Time,
    pub(super) kind: &'static str,
    pub(super) look: Look,
    pub(super) text: String,
}

/// Where a moment is, of the time between two others.
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

/// Between two moments, in microseconds after the Unix epoch.
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
        marks: all.iter().filter_map(|entry| mark(entry, axis, times)).collect(),
        gaps: gaps(known, &all, axis),
        ticks: ticks(axis, times),
        listed: listed.iter().rev().take(LISTED).map(|entry| row(entry, times)).collect(),
        more,
        rows,
        marks_top,
    }
}

/// What it was from the beginning on, and what it became when.
struct Changes {
    first: Look,
    then: Vec<(i64, Look)>,
}

fn states(module: &ModuleView, records: &[Entry], axis: Axis) -> Vec<Band> {
    // Whether it was ready while it was up is not written down as such.
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

fn mark(entry: &Entry, axis: Axis, times: &Times) -> Option<Mark> {
    if entry.wall < axis.since {
        return None;
    }
    let look = match &entry.kind {
        RecordKind::Verdict { .. } | RecordKind::State { .. } | RecordKind::Step { .. } => return None,
        other => kind_look(other),
    };
    let at = times.told(entry.timestamp(entry.at));
    let title = format!("{}: {}", at.clock, entry.kind.sentence());
    // The last ones stay inside the picture.
    Some(Mark { x: percent(axis.at(entry.wall).min(98.5)), look, title })
}

/// How a kind of record looks.
pub(in crate::serve::console) fn kind_look(kind: &RecordKind) -> Look {
    let look = |glyph, word, tone| Look { glyph, word, tone };
    match kind {
        RecordKind::Incident { .. } => look("failed", "incident", "bad"),
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
        RecordKind::Daemon { .. } => look("stopped", "daemon", "idle"),
        RecordKind::State { to, .. } => Look::state(*to, *to == StateName::Up),
        RecordKind::Verdict { to, .. } => match to {
            Verdict::Up => look("up", "verdict up", "ok"),
            Verdict::Down => look("down", "verdict down", "bad"),
            Verdict::Undecided => look("undecided", "undecided", "warn"),
        },
    }
}

/// What must not be taken for known: the time before the first record that is drawn, and the times
/// without a daemon. One that was killed wrote no end: it was last heard of when it last wrote or
/// measured something.
fn gaps(known: Known<'_>, all: &[&Entry], axis: Axis) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut heard = axis.since;
    if known.cut
        && let Some(first) = known.records.first()
    {
        gaps.push(Gap::between(axis, axis.since, first.wall, Blank::NotDrawn));
        heard = heard.max(first.wall);
    }
    let begun = heard;
    let mut ended = false;
    for entry in all.iter().filter(|entry| entry.wall >= begun) {
        match &entry.kind {
            RecordKind::Daemon { message } if message.ends_with("has started") => {
                let heard = if ended { heard } else { measured_until(known.measured, heard, entry.wall) };
                if entry.wall > heard {
                    let blank = if ended { Blank::Ended } else { Blank::NoNews };
                    gaps.push(Gap::between(axis, heard, entry.wall, blank));
                }
                ended = false;
            }
            RecordKind::Daemon { message } => ended |= message.starts_with("the daemon has ended"),
            _ => {}
        }
        heard = heard.max(entry.wall);
    }
    gaps
}

/// When something was last measured before `wall`, if that is later than `heard`.
fn measured_until(measured: &Measured, heard: i64, wall: i64) -> i64 {
    let step = measured.step_s.saturating_mul(1_000_000);
    let buckets = measured.series.iter().flat_map(|series| &series.buckets);
    // A bucket that is not over by then may be of the daemon that started.
    let ends = buckets.map(|bucket| bucket.start.saturating_mul(1_000_000).saturating_add(step));
    let ends = ends.filter(|end| *end <= wall);
    ends.fold(heard, i64::max)
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
        "{} changes of state, {} incidents, {} plans, {} commands. All of them are in the table below.",
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
    use bellwether_core::measurements::Bucket;
    use bellwether_core::moment::Moment;
    use bellwether_core::record::Record;
    use proptest::prelude::*;

    use super::*;
    use crate::journal::ChartSeries;

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

    fn entry(wall: i64, message: &str) -> Entry {
        let record = Record {
            seq: 1,
            at: Moment::from_micros(wall),
            node: NodeName::new("n1").unwrap(),
            module: None,
            kind: RecordKind::Daemon { message: message.into() },
        };
        Entry { record, wall }
    }

    /// Of records, and of buckets of ten seconds that start at these seconds.
    fn gaps_of(records: &[Entry], measured: &[i64], cut: bool) -> Vec<(String, String, &'static str)> {
        let bucket = |start: &i64| Bucket { start: *start, count: 1, min: 1.0, max: 1.0, sum: 1.0 };
        let buckets = measured.iter().map(bucket).collect();
        let (checker, name, unit) = ("home".into(), "duration".into(), "ms".into());
        let measured = Measured { step_s: 10, series: vec![ChartSeries { checker, name, unit, buckets }] };
        let known = Known { records, around: &[], measured: &measured, cut };
        let all: Vec<&Entry> = records.iter().collect();
        let axis = Axis { since: 0, until: 100_000_000 };
        gaps(known, &all, axis).into_iter().map(|gap| (gap.x, gap.width, gap.title)).collect()
    }

    #[test]
    fn a_gap_lasts_from_the_end_of_a_daemon_or_its_last_sign_of_life_to_the_next_start() {
        let started = entry(80_000_000, "daemon 0.1.0 has started");
        let ended = entry(50_000_000, "the daemon has ended; applications that run go on running");
        let gap = |x: &str, width: &str, title| vec![(x.to_owned(), width.to_owned(), title)];
        let killed = "no news: the daemon did not run";
        for (records, measured, expected) in [
            (vec![ended, started.clone()], vec![], gap("50.00%", "30.00%", "the daemon did not run")),
            (vec![entry(20_000_000, "x"), started.clone()], vec![30, 60], gap("70.00%", "10.00%", killed)),
            (vec![entry(20_000_000, "x"), started.clone()], vec![75], gap("20.00%", "60.00%", killed)),
            (vec![entry(40_000_000, "x"), started.clone()], vec![], gap("40.00%", "40.00%", killed)),
            (vec![started], vec![], gap("0.00%", "80.00%", killed)),
            (vec![entry(20_000_000, "x")], vec![], vec![]),
        ] {
            assert_eq!(gaps_of(&records, &measured, false), expected, "{records:?} {measured:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_not_drawn_as_known() {
        let records = [entry(40_000_000, "x"), entry(60_000_000, "x")];
        let left_out = ("0.00%".to_owned(), "40.00%".to_owned(), "more happened here than is drawn");
        assert_eq!(gaps_of(&records, &[], true), [left_out]);
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
