//! A histogram of durations.

use std::time::Duration;

use super::count::Count;

/// Counts durations by upper bounds that are passed when it is read and written: each use has its own bounds.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// One for each bound, and one for everything above.
    buckets: [Count; N],
    above: Count,
    sum: Count,
}

/// The bounds are identified by their number.
pub trait Bounds {
    /// The upper bounds, in seconds, ascending.
    const BOUNDS: &'static [f64];
}

impl Bounds for Histogram<{ super::LAG.len() }> {
    const BOUNDS: &'static [f64] = &super::LAG;
}

impl Bounds for Histogram<{ super::TOOK.len() }> {
    const BOUNDS: &'static [f64] = &super::TOOK;
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Count::default()),
            above: Count::default(),
            sum: Count::default(),
        }
    }
}

impl<const N: usize> Histogram<N>
where
    Self: Bounds,
{
    pub(super) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = Self::BOUNDS.iter().position(|bound| seconds <= *bound);
        bucket.and_then(|at| self.buckets.get(at)).unwrap_or(&self.above).add(1);
        self.sum.add_time(duration);
    }

    /// The sum in seconds, the total count, and the count of each bucket. A concurrent update may be included in
    /// one of them only.
    pub fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = Self::BOUNDS.iter().copied().chain([f64::MAX]);
        let counts = self.buckets.iter().chain([&self.above]).map(Count::get);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        (self.sum.seconds(), buckets.iter().map(|(_, count)| count).sum(), buckets)
    }
}
