//! The measurements of checkers, for charts.

use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Handle;
use super::events::{checker, wall_micros};
use super::extract::{Json, Path, Query};
use super::modules::known;
use super::problem::not_read;
use bellwether_api::{MeasurementsAnswer, Problem};
use bellwether_core::chart::ChartQuery;

/// The query parameters of the request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only about this checker.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    checker: Option<String>,
    /// Only values since this time.
    #[schemars(extend("format" = "date-time"), length(max = 40))]
    since: Option<String>,
    /// Only values until this time.
    #[schemars(extend("format" = "date-time"), length(max = 40))]
    until: Option<String>,
    /// The maximum number of points for each measurement.
    #[schemars(range(max = u64::MAX))]
    points: Option<u64>,
}

/// The default range: the last hour, in seconds.
const HOUR: i64 = 3_600;
/// The maximum that a chart can show.
const POINTS: u64 = 360;
const MAX_POINTS: u64 = 5_000;

pub(super) async fn list(
    State(daemon): State<Handle>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<MeasurementsAnswer>, Problem> {
    let module = known(&*daemon, &name)?;
    let clock = daemon.clock();
    let second = |text: &str| Ok::<_, Problem>(wall_micros(text)?.div_euclid(1_000_000));
    let now = clock.wall_micros(clock.now()).div_euclid(1_000_000);
    let until = asked.until.as_deref().map(second).transpose()?.unwrap_or(now);
    let since = asked.since.as_deref().map(second).transpose()?.unwrap_or(until - HOUR);
    // A range that ends before it begins is empty, as for events.
    let until = until.max(since);
    let checker = asked.checker.as_deref().map(checker).transpose()?;
    let points = asked.points.unwrap_or(POINTS).clamp(1, MAX_POINTS);
    let query = ChartQuery { module: module.clone(), checker, since, until, points };
    let chart = daemon.chart(query).await.map_err(|error| not_read(&error))?;
    Ok(Json(MeasurementsAnswer::new(module, chart)))
}
