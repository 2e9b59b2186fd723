//! Converts metrics and records to OTLP. Pure.
//!
//! Names are those of `/metrics` without the suffixes for unit and type, which collectors add again when they write
//! for Prometheus: the series are the same in both cases.

use bellwether_core::command::CommandOutcome;
use bellwether_core::id::NodeName;
use bellwether_core::record::{FarmEvent, RecordKind};
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;

use super::otlp::{
    AggregationTemporality, AnyValue, Data, ExportLogsServiceRequest, ExportMetricsServiceRequest, Gauge,
    Histogram, HistogramDataPoint, InstrumentationScope, KeyValue, LogRecord, Metric, NumberDataPoint,
    Resource, ResourceLogs, ResourceMetrics, ScopeLogs, ScopeMetrics, SeverityNumber, Sum,
};
use crate::exposition::{Family, Kind, Value};
use bellwether_bus::Entry;

/// When counting began, and when the values were read: nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) begun: u64,
    pub(super) now: u64,
}

pub(super) fn metrics(node: &NodeName, families: Vec<Family>, window: Window) -> ExportMetricsServiceRequest {
    // A family without a series is omitted.
    let said = families.into_iter().filter(|family| !family.series.is_empty());
    let metrics = said.map(|family| metric(family, window)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics }];
    let resource = Some(resource(node));
    let all = ResourceMetrics { resource, scope_metrics };
    ExportMetricsServiceRequest { resource_metrics: vec![all] }
}

fn metric(family: Family, window: Window) -> Metric {
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match family.kind {
        Kind::Gauge => {
            Data::Gauge(Gauge { data_points: numbers(family.series, Window { begun: 0, ..window }) })
        }
        Kind::Counter => Data::Sum(Sum {
            data_points: numbers(family.series, window),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: family.series.into_iter().filter_map(|series| histogram(series, window)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    // In UCUM, as the conventions require.
    let unit = match family.unit {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "",
    };
    let (name, description, unit) = (family.name, family.help, unit.to_owned());
    Metric { name, description, unit, data: Some(data) }
}

fn numbers(series: Vec<(Vec<(&'static str, String)>, Value)>, window: Window) -> Vec<NumberDataPoint> {
    let point = |(labels, value): (Vec<(&'static str, String)>, Value)| {
        let Value::Number(value) = value else { return None };
        Some(NumberDataPoint {
            attributes: labels.into_iter().map(|(key, value)| attribute(key, value)).collect(),
            start_time_unix_nano: window.begun,
            time_unix_nano: window.now,
            as_double: Some(value),
        })
    };
    series.into_iter().filter_map(point).collect()
}

fn histogram(
    (labels, value): (Vec<(&'static str, String)>, Value),
    window: Window,
) -> Option<HistogramDataPoint> {
    let Value::Buckets { sum, count, buckets } = value else { return None };
    Some(HistogramDataPoint {
        attributes: labels.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        start_time_unix_nano: window.begun,
        time_unix_nano: window.now,
        count,
        sum: Some(sum),
        // The last bucket has no bound in OTLP.
        explicit_bounds: buckets.iter().map(|(bound, _)| *bound).filter(|bound| *bound < f64::MAX).collect(),
        bucket_counts: buckets.iter().map(|(_, count)| *count).collect(),
    })
}

/// `now`: nanoseconds since the Unix epoch.
pub(super) fn logs(node: &NodeName, entries: &[Entry], now: u64) -> ExportLogsServiceRequest {
    let log_records = entries.iter().map(|entry| log(entry, now)).collect();
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records }];
    let all = ResourceLogs { resource: Some(resource(node)), scope_logs };
    ExportLogsServiceRequest { resource_logs: vec![all] }
}

fn log(entry: &Entry, now: u64) -> LogRecord {
    let severity = severity(&entry.kind);
    let kind = entry.kind.word();
    let mut attributes = vec![
        attribute("bellwether.kind", kind.to_owned()),
        attribute("bellwether.seq", entry.seq.to_string()),
    ];
    attributes.extend(entry.module.as_ref().map(|module| attribute("bellwether.module", module.to_string())));
    LogRecord {
        time_unix_nano: nanos(entry.wall),
        observed_time_unix_nano: now,
        severity_number: severity as i32,
        severity_text: severity.text().to_owned(),
        body: Some(text(entry.kind.sentence())),
        attributes,
        event_name: format!("bellwether.{kind}"),
    }
}

/// The severity of a record for an on-call engineer.
fn severity(kind: &RecordKind) -> SeverityNumber {
    match kind {
        RecordKind::Incident { .. }
        | RecordKind::State { to: StateName::Failed, .. }
        | RecordKind::Step { ok: false, .. } => SeverityNumber::Error,
        RecordKind::Verdict { to: Verdict::Down, .. }
        | RecordKind::CannotTell { .. }
        | RecordKind::NoPlan { .. }
        | RecordKind::Reload { ok: false, .. }
        | RecordKind::Quarantine { .. }
        | RecordKind::Farm { event: FarmEvent::NotHeard | FarmEvent::Expires, .. }
        | RecordKind::Command { outcome: CommandOutcome::Denied(_), .. } => SeverityNumber::Warn,
        RecordKind::Verdict { .. }
        | RecordKind::State { .. }
        | RecordKind::Step { .. }
        | RecordKind::Reload { .. }
        | RecordKind::Command { .. }
        | RecordKind::Decision { .. }
        | RecordKind::Plan { .. }
        | RecordKind::Approval { .. }
        | RecordKind::Access { .. }
        | RecordKind::Farm { .. }
        | RecordKind::Daemon { .. } => SeverityNumber::Info,
    }
}

fn resource(node: &NodeName) -> Resource {
    let attributes = vec![
        attribute("service.name", "bellwether".to_owned()),
        attribute("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        attribute("service.instance.id", node.to_string()),
        attribute("host.name", node.to_string()),
    ];
    Resource { attributes }
}

fn scope() -> InstrumentationScope {
    let (name, version) = ("bellwether".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version }
}

fn attribute(key: &str, value: String) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)) }
}

fn text(text: String) -> AnyValue {
    AnyValue { string_value: Some(text) }
}

/// From microseconds since the Unix epoch; there are none before it.
pub(super) fn nanos(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or_default().saturating_mul(1_000)
}
