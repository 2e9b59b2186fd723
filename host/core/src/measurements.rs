//! Aggregates the measurements of checkers for charts.
//!
//! ```text
//!   add ──▶ one open bucket of 10 s for each series ──its time is over──▶ closed
//!                                                                          │ merged into
//!                                                     10 s, 5 min and 1 h ◀┘
//! ```
//! Buckets follow the wall clock, because charts do. When it is set, the open bucket is closed early, and buckets
//! of the same time are merged in the database: nothing is counted twice, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::{CheckerName, ModuleName};

/// The length of a bucket, and how long it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// 10 seconds, kept for a day.
    Fine,
    /// 5 minutes, kept for 30 days.
    Medium,
    /// An hour, kept for 400 days.
    Coarse,
}

impl Resolution {
    /// From the finest to the coarsest.
    pub const ALL: [Self; 3] = [Self::Fine, Self::Medium, Self::Coarse];

    /// The length of a bucket, in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Fine => 10,
            Self::Medium => 300,
            Self::Coarse => 3600,
        }
    }

    /// How long a bucket is kept.
    pub const fn keep(self) -> Duration {
        match self {
            Self::Fine => Duration::from_hours(24),
            Self::Medium => Duration::from_hours(24 * 30),
            Self::Coarse => Duration::from_hours(24 * 400),
        }
    }

    /// The beginning of the bucket that a second belongs to; both since the Unix epoch.
    pub const fn start_of(self, second: i64) -> i64 {
        second - second.rem_euclid(self.seconds())
    }

    /// The finest resolution that is kept for `age` and needs no more than `points` buckets for `length`.
    pub fn for_chart(age: Duration, length: Duration, points: u64) -> Self {
        let fits = |resolution: &Self| {
            let buckets = length.as_secs() / resolution.seconds().unsigned_abs();
            age <= resolution.keep() && buckets <= points
        };
        Self::ALL.into_iter().find(fits).unwrap_or(Self::Coarse)
    }
}

/// The name of one measurement of one checker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    pub module: ModuleName,
    pub checker: CheckerName,
    /// `duration` for the duration of its runs; the others are the checker's own.
    pub name: String,
    /// The checker's own unit.
    pub unit: String,
}

/// The aggregated values of a range of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its beginning, in seconds since the Unix epoch.
    pub start: i64,
    /// The number of values; at least one.
    pub count: u64,
    pub min: f64,
    pub max: f64,
    /// The sum of all values.
    pub sum: f64,
}

impl Bucket {
    fn one(start: i64, value: f64) -> Self {
        Self { start, count: 1, min: value, max: value, sum: value }
    }

    /// Merges another bucket of the same time.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }

    pub fn mean(&self) -> f64 {
        // Counts are small enough to be exact.
        #[expect(clippy::cast_precision_loss)]
        let count = self.count.max(1) as f64;
        self.sum / count
    }
}

/// The maximum number of names for one checker; further ones are ignored. A guest that invents a new name in every
/// run must not fill the disk.
pub const MAX_NAMES: usize = 32;
/// The maximum number of checkers whose names are remembered.
const MAX_CHECKERS: usize = 100_000;

/// Aggregates values as they come in. Holds one open bucket for each series.
#[derive(Debug, Default)]
pub struct Downsampler {
    open: BTreeMap<Series, Bucket>,
    names: BTreeMap<(ModuleName, CheckerName), BTreeSet<(String, String)>>,
}

impl Downsampler {
    /// Adds a value that was measured at `second` since the Unix epoch. Returns the bucket that it closed, if any.
    /// Values that are not finite are ignored, and so are further names of a checker that has too many.
    pub fn add(&mut self, series: Series, value: f64, second: i64) -> Option<(Series, Bucket)> {
        if !value.is_finite() || !self.is_known(&series) {
            return None;
        }
        let start = Resolution::Fine.start_of(second);
        let Some(open) = self.open.get_mut(&series) else {
            self.open.insert(series, Bucket::one(start, value));
            return None;
        };
        if open.start == start {
            open.merge(&Bucket::one(start, value));
            return None;
        }
        let ended = std::mem::replace(open, Bucket::one(start, value));
        Some((series, ended))
    }

    /// Takes the buckets that have ended at `second`, including those that a clock that was set back has left in
    /// the future.
    pub fn close(&mut self, second: i64) -> Vec<(Series, Bucket)> {
        let now = Resolution::Fine.start_of(second);
        self.open.extract_if(.., |_, bucket| bucket.start != now).collect()
    }

    /// Takes out all of them.
    pub fn close_all(&mut self) -> Vec<(Series, Bucket)> {
        std::mem::take(&mut self.open).into_iter().collect()
    }

    fn is_known(&mut self, series: &Series) -> bool {
        let key = (series.module.clone(), series.checker.clone());
        if self.names.len() >= MAX_CHECKERS && !self.names.contains_key(&key) {
            return false;
        }
        let names = self.names.entry(key).or_default();
        let name = (series.name.clone(), series.unit.clone());
        names.contains(&name) || (names.len() < MAX_NAMES && names.insert(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(name: &str) -> Series {
        Series {
            module: "web".parse().unwrap(),
            checker: "home".parse().unwrap(),
            name: name.to_owned(),
            unit: "ms".to_owned(),
        }
    }

    /// As the database does: at every resolution, buckets of the same time are merged.
    #[derive(Default)]
    struct Kept(BTreeMap<(Resolution, String, i64), Bucket>);

    impl Kept {
        fn take(&mut self, closed: impl IntoIterator<Item = (Series, Bucket)>) {
            for (series, bucket) in closed {
                for resolution in Resolution::ALL {
                    let start = resolution.start_of(bucket.start);
                    let bucket = Bucket { start, ..bucket };
                    self.0
                        .entry((resolution, series.name.clone(), start))
                        .and_modify(|kept| kept.merge(&bucket))
                        .or_insert(bucket);
                }
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Does {
        Add(u8, i32, i64),
        Close(i64),
    }

    fn does() -> impl Strategy<Value = Does> {
        // The clock may jump to any time.
        let second = prop_oneof![0..200_i64, -5_000..50_000_i64];
        prop_oneof![
            4 => (0..3_u8, -100..100_i32, second.clone()).prop_map(|(n, v, s)| Does::Add(n, v, s)),
            1 => second.prop_map(Does::Close),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_clock_does_every_number_is_counted_once_at_every_resolution(
            story in prop::collection::vec(does(), 0..300)
        ) {
            let (mut down, mut kept) = (Downsampler::default(), Kept::default());
            let mut plain: BTreeMap<(Resolution, String, i64), Vec<f64>> = BTreeMap::new();
            for step in story {
                match step {
                    Does::Add(name, value, second) => {
                        let (name, value) = (format!("n{name}"), f64::from(value));
                        for resolution in Resolution::ALL {
                            let start = second.div_euclid(resolution.seconds()) * resolution.seconds();
                            plain.entry((resolution, name.clone(), start)).or_default().push(value);
                        }
                        kept.take(down.add(series(&name), value, second));
                    }
                    Does::Close(second) => {
                        kept.take(down.close(second));
                        let now = Resolution::Fine.start_of(second);
                        prop_assert!(down.open.values().all(|open| open.start == now));
                    }
                }
            }
            kept.take(down.close_all());
            prop_assert_eq!(plain.len(), kept.0.len());
            for (key, values) in plain {
                let bucket = kept.0[&key];
                prop_assert_eq!(bucket.count, values.len() as u64);
                // Integers, so that sums are exact in any order.
                let same = |a: f64, b: f64| (a - b).abs() < f64::EPSILON;
                prop_assert!(same(bucket.min, values.iter().copied().fold(f64::INFINITY, f64::min)));
                prop_assert!(same(bucket.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
                prop_assert!(same(bucket.sum, values.iter().sum::<f64>()));
            }
        }
    }

    #[test]
    fn a_checker_that_invents_names_has_only_so_many_of_them() {
        let mut down = Downsampler::default();
        for n in 0..10 * MAX_NAMES {
            down.add(series(&format!("n{n}")), 1.0, 0);
        }
        // The names that it already has continue.
        down.add(series("n0"), 2.0, 1);
        let closed = down.close_all();
        assert_eq!(closed.len(), MAX_NAMES);
        let mean = closed.iter().find(|(series, _)| series.name == "n0").map(|(_, bucket)| bucket.mean());
        assert_eq!(mean, Some(1.5));
    }

    #[test]
    fn what_is_no_number_is_passed_over() {
        let mut down = Downsampler::default();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            down.add(series("n"), value, 0);
        }
        assert_eq!(down.close_all(), []);
    }

    #[test]
    fn a_chart_gets_the_finest_buckets_that_are_kept_and_not_too_many() {
        let hours = Duration::from_hours;
        for (age, length, points, expected) in [
            (hours(1), hours(1), 360, Resolution::Fine),
            (hours(1), hours(1), 300, Resolution::Medium),
            (hours(30), hours(1), 300, Resolution::Medium),
            (hours(24), hours(24), 300, Resolution::Medium),
            (hours(24 * 7), hours(24 * 7), 300, Resolution::Coarse),
            (hours(24 * 60), hours(1), 300, Resolution::Coarse),
            (hours(24 * 4000), hours(24 * 4000), 10, Resolution::Coarse),
        ] {
            assert_eq!(Resolution::for_chart(age, length, points), expected, "{age:?} {length:?} {points}");
        }
    }
}
