//! A chart of measurements: the query, and the answer.

use crate::id::{CheckerName, ModuleName};
use crate::measurements::Bucket;

/// The query for a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartQuery {
    pub module: ModuleName,
    /// Of this checker only.
    pub checker: Option<CheckerName>,
    /// The beginning, in seconds since the Unix epoch.
    pub since: i64,
    /// The end, in seconds since the Unix epoch.
    pub until: i64,
    /// The maximum number of buckets for each series; at least one.
    pub points: u64,
}

/// The measurements in a range of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The length of a bucket, in seconds.
    pub step_s: i64,
    /// Ordered by checker and name.
    pub series: Vec<ChartSeries>,
}

/// One measurement of one checker.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartSeries {
    pub checker: String,
    /// `duration`, or the checker's own name for it.
    pub name: String,
    /// The checker's own unit.
    pub unit: String,
    /// Ordered by time; there are no buckets for times without a run.
    pub buckets: Vec<Bucket>,
}
