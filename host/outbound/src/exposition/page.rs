//! How a metric with its series is written: as text, or into a list.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::family::{Family, Kind, Value};

/// Labels and their values.
pub(super) type Labels = Vec<(&'static str, String)>;

pub(super) const SECONDS: Option<&Unit> = Some(&Unit::Seconds);

/// The page in progress. A name ends with its unit, as the format requires; the suffix of a counter is added to it.
pub(super) struct Page<'p>(Paper<'p>);

enum Paper<'p> {
    Text(DescriptorEncoder<'p>),
    List(&'p mut Vec<Family>),
}

impl<'p> Page<'p> {
    pub(super) fn text(encoder: DescriptorEncoder<'p>) -> Self {
        Self(Paper::Text(encoder))
    }

    pub(super) fn list(families: &'p mut Vec<Family>) -> Self {
        Self(Paper::List(families))
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let name = bare(name, unit);
        let encoder = match &mut self.0 {
            Paper::Text(encoder) => encoder,
            Paper::List(families) => {
                let series = series.into_iter().map(|(labels, value)| (labels, Value::Number(value)));
                families.push(Family::new(name, help, unit, Kind::Gauge, series));
                return Ok(());
            }
        };
        let mut metric = encoder.encode_descriptor(&name, help, unit, MetricType::Gauge)?;
        for (labels, value) in series {
            if labels.is_empty() {
                metric.encode_gauge(&value)?;
            } else {
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let name = bare(name, unit);
        let encoder = match &mut self.0 {
            Paper::Text(encoder) => encoder,
            Paper::List(families) => {
                let series = series.into_iter().map(|(labels, value)| (labels, Value::Number(value)));
                families.push(Family::new(name, help, unit, Kind::Counter, series));
                return Ok(());
            }
        };
        let mut metric = encoder.encode_descriptor(&name, help, unit, MetricType::Counter)?;
        for (labels, value) in series {
            if labels.is_empty() {
                metric.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
            } else {
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
            }
        }
        Ok(())
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, (f64, u64, Vec<(f64, u64)>))>,
    ) -> fmt::Result {
        let name = bare(name, SECONDS);
        let encoder = match &mut self.0 {
            Paper::Text(encoder) => encoder,
            Paper::List(families) => {
                let series = series
                    .into_iter()
                    .map(|(labels, (sum, count, buckets))| (labels, Value::Buckets { sum, count, buckets }));
                families.push(Family::new(name, help, SECONDS, Kind::Histogram, series));
                return Ok(());
            }
        };
        let mut metric = encoder.encode_descriptor(&name, help, SECONDS, MetricType::Histogram)?;
        for (labels, (sum, count, buckets)) in series {
            if labels.is_empty() {
                metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            } else {
                metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
            }
        }
        Ok(())
    }
}

/// Without its unit, which the encoder adds.
fn bare(name: &str, unit: Option<&Unit>) -> String {
    let suffix = unit.map_or_else(String::new, |unit| format!("_{}", unit.as_str()));
    name.strip_suffix(&suffix).unwrap_or(name).to_owned()
}
