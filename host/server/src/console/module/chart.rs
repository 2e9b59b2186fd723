//! Charts of measurements: for each period the smallest and the largest value as a bar, and the mean in it.

use std::fmt::Write as _;

use bellwether_core::measurements::Bucket;
use bellwether_core::snapshot::ModuleView;

use self::choice::chosen;
use super::checkers::{rounded, unit_for};
use bellwether_api::time_format::TimeFormat;
use bellwether_core::chart::{Chart as Measured, ChartSeries};

mod choice;

/// The height of the picture, in pixels.
const HEIGHT: f64 = 72.0;
/// The maximum number of bars: more would be too narrow to distinguish.
const BARS: i64 = 60;

#[derive(Debug)]
pub(super) struct Chart {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) unit: String,
    /// The values at the upper edge and in the middle.
    pub(super) scale: [String; 2],
    pub(super) most: String,
    pub(super) last: String,
    /// A description in words, for screen readers.
    pub(super) said: String,
    pub(super) bars: Vec<Bar>,
    pub(super) rows: Vec<Row>,
}

/// One period. Across in percent of the width, down in pixels.
#[derive(Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) top: String,
    pub(super) height: String,
    pub(super) mean: String,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) at: String,
    pub(super) count: u64,
    pub(super) min: String,
    pub(super) mean: String,
    pub(super) max: String,
}

/// The charts that are drawn, and the number of others.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) charts: Vec<Chart>,
    pub(super) left_out: usize,
}

/// Between two moments, in seconds since the Unix epoch.
pub(super) fn charts(module: &ModuleView, measured: &Measured, since: i64, until: i64, all: bool) -> Drawn {
    let when = TimeFormat::here();
    let step = coarser(measured.step_s, until - since);
    let (chosen, left_out) = chosen(module, &measured.series, all);
    let drawn = |(index, series): (usize, &ChartSeries)| chart(index, series, step, (since, until), &when);
    Drawn { charts: chosen.into_iter().enumerate().map(drawn).collect(), left_out }
}

fn chart(
    index: usize,
    series: &ChartSeries,
    step: i64,
    (since, until): (i64, i64),
    when: &TimeFormat,
) -> Chart {
    let (buckets, unit) = scaled(&merged(&series.buckets, step), &series.unit);
    let number: fn(f64) -> String = if is_count(&series.buckets, &series.unit) { whole } else { rounded };
    let most = buckets.iter().map(|bucket| bucket.max).fold(0.0, f64::max);
    let top = round_above(most);
    let last = buckets.last().map_or(0.0, Bucket::mean);
    let title = if series.name == "duration" {
        format!("{}: duration", series.checker)
    } else {
        format!("{}: {}", series.checker, series.name)
    };
    let worst = buckets.iter().map(|bucket| bucket.max).fold(f64::MIN, f64::max);
    let said = format!("Latest mean {} {unit}, maximum {} {unit}.", number(last), number(worst));
    let mut rows: Vec<Row> = buckets.iter().map(|bucket| row(bucket, number, when)).collect();
    rows.reverse();
    // There is no half of a process.
    let middle = if is_count(&series.buckets, &series.unit) && (top / 2.0).fract() != 0.0 {
        String::new()
    } else {
        short(top / 2.0)
    };
    Chart {
        id: format!("chart-{index}"),
        title,
        scale: [short(top), middle],
        most: number(most),
        last: number(last),
        said,
        bars: bars(&buckets, step, top, since, until),
        rows,
        unit,
    }
}

/// Whether the values are counts of whole things.
fn is_count(buckets: &[Bucket], unit: &str) -> bool {
    unit.is_empty() && buckets.iter().all(|bucket| bucket.min.fract() == 0.0 && bucket.max.fract() == 0.0)
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// The next of 1, 2, 5, 10, 20, 50 and so on: a scale that is easy to read, and that does not change with every
/// run.
fn round_above(most: f64) -> f64 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * unit).find(|top| *top >= most).unwrap_or(most)
}

/// A short form: `0.5`, `2500`.
fn short(value: f64) -> String {
    let text = rounded(value);
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A multiple of `step` that divides `length` into few enough periods.
fn coarser(step: i64, length: i64) -> i64 {
    let step = step.max(1);
    let at_least = (length.max(1) + BARS - 1) / BARS;
    (at_least + step - 1) / step * step
}

/// One bucket for each `step` with values.
fn merged(buckets: &[Bucket], step: i64) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::new();
    for bucket in buckets {
        let bucket = Bucket { start: bucket.start - bucket.start.rem_euclid(step), ..*bucket };
        match merged.last_mut() {
            Some(last) if last.start == bucket.start => last.merge(&bucket),
            _ => merged.push(bucket),
        }
    }
    merged
}

/// Scaled to a unit in which the values are neither tiny nor huge.
fn scaled(buckets: &[Bucket], unit: &str) -> (Vec<Bucket>, String) {
    let most = buckets.iter().map(|bucket| bucket.max.abs()).fold(0.0, f64::max);
    let (factor, unit) = unit_for(most, unit);
    let scale = |bucket: &Bucket| Bucket {
        min: bucket.min * factor,
        max: bucket.max * factor,
        sum: bucket.sum * factor,
        ..*bucket
    };
    (buckets.iter().map(scale).collect(), unit.to_owned())
}

fn row(bucket: &Bucket, number: fn(f64) -> String, when: &TimeFormat) -> Row {
    Row {
        at: when.zoned(&bellwether_os::clock::timestamp(bucket.start.saturating_mul(1_000_000))),
        count: bucket.count,
        min: number(bucket.min),
        mean: number(bucket.mean()),
        max: number(bucket.max),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a picture is not that fine")]
fn bars(buckets: &[Bucket], step: i64, top: f64, since: i64, until: i64) -> Vec<Bar> {
    let length = (until - since).max(1) as f64;
    let down = |value: f64| HEIGHT - value.clamp(0.0, top) / top * (HEIGHT - 2.0) - 1.0;
    let inside = buckets.iter().filter(|bucket| bucket.start + step > since && bucket.start < until);
    inside
        .map(|bucket| {
            let left = (bucket.start.max(since) - since) as f64 / length * 100.0;
            let right = ((bucket.start + step).min(until) - since) as f64 / length * 100.0;
            let (top, bottom) = (down(bucket.max), down(bucket.min));
            Bar {
                x: percent(left),
                width: percent((right - left).max(0.2)),
                top: pixels(top),
                height: pixels((bottom - top).max(1.5)),
                mean: pixels(down(bucket.mean()) - 1.0),
            }
        })
        .collect()
}

/// A percentage such as `12.34%`.
pub(super) fn percent(value: f64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{value:.2}%");
    text
}

fn pixels(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(start: i64, min: f64, max: f64) -> Bucket {
        Bucket { start, count: 2, min, max, sum: min + max }
    }

    #[test]
    fn the_largest_number_reaches_the_top_and_a_gap_stays_a_gap() {
        let bars = bars(&[bucket(0, 0.0, 10.0), bucket(50, 5.0, 5.0)], 10, 10.0, 0, 100);
        assert_eq!(bars.len(), 2);
        assert_eq!(
            (bars[0].x.as_str(), bars[0].width.as_str(), bars[0].top.as_str()),
            ("0.00%", "10.00%", "1.0")
        );
        assert_eq!(
            (bars[1].x.as_str(), bars[1].top.as_str(), bars[1].height.as_str()),
            ("50.00%", "36.0", "1.5")
        );
    }

    #[test]
    fn what_is_read_finely_is_drawn_in_bars_that_can_be_seen() {
        assert_eq!([900, 3_600, 86_400].map(|length| coarser(10, length)), [20, 60, 1_440]);
        let fine = [bucket(40, 1.0, 3.0), bucket(70, 0.0, 2.0), bucket(120, 5.0, 9.0)];
        let seen: Vec<_> =
            merged(&fine, 40).iter().map(|b| (b.start, b.count, b.min, b.max, b.sum)).collect();
        assert_eq!(seen, [(40, 4, 0.0, 3.0, 6.0), (120, 2, 5.0, 9.0, 14.0)]);
    }

    #[test]
    fn a_scale_ends_at_a_round_number_that_nothing_exceeds() {
        for (most, top) in
            [(0.0, "1"), (0.3, "0.5"), (1.0, "1"), (1.01, "2"), (3.0, "5"), (51.0, "100"), (1234.0, "2000")]
        {
            assert_eq!(short(round_above(most)), top, "{most}");
        }
        assert_eq!([short(2.5), short(0.25), short(100.0)], ["2.5", "0.25", "100"]);
    }

    #[test]
    fn things_are_counted_in_whole_numbers() {
        let series = |unit: &str, max| ChartSeries {
            checker: "process".into(),
            name: "threads".into(),
            unit: unit.into(),
            buckets: vec![bucket(0, 1.0, max)],
        };
        let drawn = |unit, max| chart(0, &series(unit, max), 10, (0, 100), &TimeFormat::here());
        let threads = drawn("", 2.0);
        assert_eq!((threads.last.as_str(), threads.most.as_str()), ("2", "2"), "a mean of one and a half");
        assert_eq!(threads.scale, ["2", "1"]);
        assert_eq!(drawn("", 1.0).scale, ["1", ""], "there is no half thread");
        assert_eq!(drawn("%", 2.0).last, "1.50");
    }

    #[test]
    fn a_unit_fits_its_numbers() {
        let unit = |max, unit| scaled(&[bucket(0, 0.0, max)], unit).1;
        assert_eq!(unit(0.4, "ms"), "µs");
        assert_eq!(unit(40.0, "ms"), "ms");
        assert_eq!(unit(5e7, "bytes"), "MB");
        assert_eq!(unit(3.0, ""), "");
    }

    proptest! {
        #[test]
        fn no_number_is_above_its_scale_and_none_is_lost_below(most in 1e-9_f64..1e12) {
            let top = round_above(most);
            prop_assert!(top >= most && top <= most * 2.5 * (1.0 + 1e-9), "{most} {top}");
        }

        #[test]
        fn every_bar_is_inside_the_picture(
            starts in prop::collection::vec((-200_i64..1_200, 0.0_f64..1e6, 0.0_f64..1e6), 0..40),
        ) {
            let buckets: Vec<Bucket> =
                starts.iter().map(|(start, a, b)| bucket(*start, a.min(*b), a.max(*b))).collect();
            let most = buckets.iter().map(|b| b.max).fold(0.0, f64::max);
            for bar in bars(&buckets, 20, round_above(most), 0, 1_000) {
                let number = |text: &str| text.trim_end_matches('%').parse::<f64>().unwrap();
                prop_assert!(number(&bar.x) >= 0.0 && number(&bar.x) + number(&bar.width) <= 100.5);
                prop_assert!(number(&bar.top) >= 0.0 && number(&bar.top) + number(&bar.height) <= HEIGHT + 1.5);
            }
        }
    }
}
