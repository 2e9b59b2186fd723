//! A chart of what checkers measured: which one is asked for, and the answer.

use crate::id::{CheckerName, ModuleName};
use crate::measurements::Bucket;

/// Which measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartQuery {
    /// Of this module.
    pub module: ModuleName,
    /// Of this checker only.
    pub checker: Option<CheckerName>,
    /// From, in seconds after the Unix epoch.
    pub since: i64,
    /// To, likewise.
    pub until: i64,
    /// So many buckets at most for each number; at least one.
    pub points: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// How much time a bucket stands for, in seconds.
    pub step_s: i64,
    /// By checker and name.
    pub series: Vec<ChartSeries>,
}

/// One number of one checker.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartSeries {
    /// Whose.
    pub checker: String,
    /// `duration`, or as the checker says.
    pub name: String,
    /// Likewise.
    pub unit: String,
    /// The latest last; nothing stands for a time without a run.
    pub buckets: Vec<Bucket>,
}
