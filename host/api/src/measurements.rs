//! The measurements of checkers: `GET /api/v1/modules/M/measurements`.

use bellwether_core::id::ModuleName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bellwether_core::chart::Chart;
use bellwether_os::clock::timestamp;

/// The measurements of a module's checkers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasurementsAnswer {
    /// The name of the module.
    #[schemars(with = "String")]
    pub module: ModuleName,
    /// The seconds that each point covers, from its time on.
    pub step_s: i64,
    /// Ordered by checker and name.
    pub series: Vec<SeriesStatus>,
}

/// One measurement of one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeriesStatus {
    /// The name of the checker.
    pub checker: String,
    /// `duration` is the duration of its runs; the others are the checker's own.
    pub name: String,
    /// `ms`, `s`, `bytes`, `%`, or empty for a count.
    pub unit: String,
    /// The latest point is the last. There is no point for a time without a run.
    pub points: Vec<PointStatus>,
}

/// The aggregate of a period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointStatus {
    /// The beginning of the period.
    pub at: String,
    /// The number of runs.
    pub count: u64,
    /// The smallest value of the period.
    pub min: f64,
    /// The largest value of the period.
    pub max: f64,
    /// The mean of all values.
    pub mean: f64,
}

impl MeasurementsAnswer {
    /// In the form of the API.
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
