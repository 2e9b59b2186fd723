//! Metrics in a neutral form, for formats other than that of Prometheus.

use prometheus_client::registry::Unit;

use super::Labels;

/// One metric with all of its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Without a suffix for its unit or its type.
    pub(crate) name: String,
    pub(crate) help: String,
    /// The unit, `seconds` or `bytes`.
    pub(crate) unit: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) series: Vec<(Labels, Value)>,
}

impl Family {
    pub(super) fn new(
        name: String,
        help: &str,
        unit: Option<&Unit>,
        kind: Kind,
        series: impl Iterator<Item = (Labels, Value)>,
    ) -> Self {
        let unit = match unit {
            Some(Unit::Seconds) => Some("seconds"),
            Some(Unit::Bytes) => Some("bytes"),
            _ => None,
        };
        Self { name, help: help.to_owned(), unit, kind, series: series.collect() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Counter,
    Histogram,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Buckets {
        sum: f64,
        count: u64,
        /// The upper bound of each, ascending, and its count; the last bound is `f64::MAX`.
        buckets: Vec<(f64, u64)>,
    },
}
