//! What checkers measured: `GET /api/v1/modules/M/measurements`.

use bellwether_core::id::ModuleName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bellwether_core::chart::Chart;
use bellwether_os::clock::timestamp;

/// The measurements of a module's checkers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasurementsAnswer {
    /// The module.
    #[schemars(with = "String")]
    pub module: ModuleName,
    /// The seconds that each point covers, from its time on.
    pub step_s: i64,
    /// By checker and name.
    pub series: Vec<SeriesStatus>,
}

/// One number of one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeriesStatus {
    /// The checker.
    pub checker: String,
    /// `duration` is how long its runs took; the others are the checker's own.
    pub name: String,
    /// `ms`, `s`, `bytes`, `%`, or empty for a count.
    pub unit: String,
    /// The latest point is the last. There is no point for a time without a run.
    pub points: Vec<PointStatus>,
}

/// The aggregate of a period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointStatus {
    /// When it begins.
    pub at: String,
    /// The number of runs.
    pub count: u64,
    /// The smallest number.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
}

impl MeasurementsAnswer {
    /// What was read for `module`.
    pub fn new(module: ModuleName, chart: Chart) -> Self {
        let series = chart.series.into_iter().map(|series| SeriesStatus {
            checker: series.checker,
            name: series.name,
            unit: series.unit,
            points: series
                .buckets
                .iter()
                .map(|bucket| PointStatus {
                    at: timestamp(bucket.start.saturating_mul(1_000_000)),
                    count: bucket.count,
                    min: bucket.min,
                    max: bucket.max,
                    mean: bucket.mean(),
                })
                .collect(),
        });
        Self { module, step_s: chart.step_s, series: series.collect() }
    }
}
