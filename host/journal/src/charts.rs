//! Reads measurements of checkers for a chart.

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use bellwether_core::chart::{Chart, ChartQuery, ChartSeries};
use bellwether_core::id::CheckerName;
use bellwether_core::measurements::{Bucket, Resolution};
use rusqlite::{Connection, params};

use super::store::signed;

/// The maximum number of series in one answer.
const MAX_SERIES: i64 = 500;

pub(super) fn read(connection: &Connection, query: &ChartQuery, now: i64) -> rusqlite::Result<Chart> {
    let (age, length) = (seconds(now - query.since), seconds(query.until - query.since));
    let points = query.points.max(1);
    let resolution = Resolution::for_chart(age, length, points);
    let most = signed(length.as_secs().div_ceil(points));
    let step = (most + resolution.seconds() - 1) / resolution.seconds() * resolution.seconds();
    let step = step.max(resolution.seconds());
    let mut statement = connection.prepare(
        "SELECT id, checker, name, unit FROM series
         WHERE module = ?1 AND (?2 IS NULL OR checker = ?2) ORDER BY checker, name, unit LIMIT ?3",
    )?;
    let checker = query.checker.as_ref().map(CheckerName::as_str);
    let found = statement.query_map(params![query.module.as_str(), checker, MAX_SERIES], |row| {
        let series =
            ChartSeries { checker: row.get(1)?, name: row.get(2)?, unit: row.get(3)?, buckets: Vec::new() };
        Ok((row.get::<_, i64>(0)?, series))
    })?;
    let mut chart = Chart { step_s: step, series: Vec::new() };
    for found in found {
        let (id, mut series) = found?;
        series.buckets = buckets(connection, id, resolution, step, query)?;
        if !series.buckets.is_empty() {
            chart.series.push(series);
        }
    }
    Ok(chart)
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn buckets(
    connection: &Connection,
    series: i64,
    resolution: Resolution,
    step: i64,
    query: &ChartQuery,
) -> rusqlite::Result<Vec<Bucket>> {
    let mut statement = connection.prepare_cached(
        "SELECT bucket_start_wall, count, min, max, sum FROM points
         WHERE series = ?1 AND resolution_s = ?2 AND bucket_start_wall BETWEEN ?3 AND ?4
         ORDER BY bucket_start_wall",
    )?;
    let range = params![series, resolution.seconds(), resolution.start_of(query.since), query.until];
    let rows = statement.query_map(range, |row| {
        let count: i64 = row.get(1)?;
        Ok(Bucket {
            start: row.get(0)?,
            count: count.unsigned_abs(),
            min: row.get(2)?,
            max: row.get(3)?,
            sum: row.get(4)?,
        })
    })?;
    let mut merged: BTreeMap<i64, Bucket> = BTreeMap::new();
    for bucket in rows {
        let bucket = bucket?;
        let start = bucket.start - bucket.start.rem_euclid(step);
        let bucket = Bucket { start, ..bucket };
        merged.entry(start).and_modify(|there| there.merge(&bucket)).or_insert(bucket);
    }
    Ok(merged.into_values().collect())
}
