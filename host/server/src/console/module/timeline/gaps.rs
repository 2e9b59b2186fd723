//! Gaps in the picture: times without a daemon, and times with too many records to draw.

use bellwether_core::record::RecordKind;

use super::super::chart::percent;
use super::{Axis, Known};
use bellwether_bus::Entry;
use bellwether_core::chart::Chart as Measured;

/// A narrower gap contains no word, even on a phone.
const GAP_WORD_WIDTH: f64 = 20.0;

/// A time without data, or for which no data is drawn.
#[derive(Debug, PartialEq)]
pub(crate) struct Gap {
    pub(crate) x: String,
    pub(crate) width: String,
    pub(crate) middle: String,
    /// Whether there is room for the word.
    pub(crate) wide: bool,
    pub(crate) word: &'static str,
    pub(crate) title: &'static str,
}

/// The reason for a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blank {
    /// There are too many records.
    NotDrawn,
    /// The daemon had ended.
    Ended,
    /// It is unknown since when there was no daemon.
    NoNews,
}

impl Blank {
    /// The word in the picture, and a sentence.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotDrawn => ("not drawn", "too many events to draw"),
            Self::Ended => ("no daemon", "the daemon was not running"),
            Self::NoNews => ("no data", "no data: the daemon was not running"),
        }
    }
}

impl Gap {
    fn between(axis: Axis, from: i64, to: i64, blank: Blank) -> Self {
        let (left, right) = (axis.at(from), axis.at(to));
        let (word, title) = blank.words();
        Self {
            // Gaps at the very end stay inside the picture.
            x: percent(left.min(99.7)),
            width: percent((right - left).max(0.3)),
            middle: percent(f64::midpoint(left, right)),
            wide: right - left >= GAP_WORD_WIDTH,
            word,
            title,
        }
    }
}

/// Times without data: before the first record that is drawn, and without a daemon. A daemon that was killed
/// recorded no end: its last sign is its last record or measurement.
pub(super) fn gaps(known: Known<'_>, all: &[&Entry], axis: Axis) -> Vec<Gap> {
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

/// The last measurement before `wall`, if that is later than `heard`.
fn measured_until(measured: &Measured, heard: i64, wall: i64) -> i64 {
    let step = measured.step_s.saturating_mul(1_000_000);
    let buckets = measured.series.iter().flat_map(|series| &series.buckets);
    // A bucket that has not ended by then may belong to the next daemon.
    let ends = buckets.map(|bucket| bucket.start.saturating_mul(1_000_000).saturating_add(step));
    let ends = ends.filter(|end| *end <= wall);
    ends.fold(heard, i64::max)
}

#[cfg(test)]
mod tests {
    use bellwether_core::measurements::Bucket;

    use super::super::tests::entry;
    use super::*;
    use bellwether_core::chart::ChartSeries;

    /// With these records, and with buckets of ten seconds that start at these seconds.
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
        let killed = "no data: the daemon was not running";
        for (records, measured, expected) in [
            (vec![ended, started.clone()], vec![], gap("50.00%", "30.00%", "the daemon was not running")),
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
        let left_out = ("0.00%".to_owned(), "40.00%".to_owned(), "too many events to draw");
        assert_eq!(gaps_of(&records, &[], true), [left_out]);
    }
}
