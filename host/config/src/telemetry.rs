//! `[telemetry]` of the node: the export of metrics and records.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use super::field;
use super::mistake::Findings;
use super::notify::webhook_url;
use super::quantity::DurationText;
use super::source::Located;
use super::spec::TelemetrySpec;

/// Metrics and the journal's records for an `OpenTelemetry` collector, by OTLP over HTTP (protobuf).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct TelemetryTable {
    /// The URL of the collector; `/v1/metrics` and `/v1/logs` are appended.
    #[schemars(required, example = &"http://127.0.0.1:4318")]
    endpoint: Option<Located<String>>,
    /// How often metrics are exported. Records are exported immediately. Default: `"30s"`.
    interval: Option<Located<DurationText>>,
    /// A file with headers for each request, such as a token, one `Name: value` per line; relative to the
    /// root. Only its owner may have access (mode 0600). It is read again for each request.
    #[schemars(example = &"/etc/bellwether/telemetry-headers")]
    headers_file: Option<Located<String>>,
}

const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const EXAMPLE: &str = "\"http://127.0.0.1:4318\"";

pub(super) fn spec(
    table: Option<&Located<TelemetryTable>>,
    findings: &mut Findings<'_>,
) -> Option<TelemetrySpec> {
    let table = table?;
    let TelemetryTable { endpoint, interval, headers_file } = table.get();
    let interval =
        field::duration(findings, "telemetry.interval", interval.as_ref(), &INTERVAL, DEFAULT_INTERVAL);
    let Some(endpoint) = endpoint else {
        field::missing(findings, table.span(), "telemetry", "`[telemetry]`", "endpoint", EXAMPLE);
        return None;
    };
    match base(endpoint.get()) {
        Ok(endpoint) => {
            let headers = headers_file.as_ref().map(|file| file.get().into());
            Some(TelemetrySpec { endpoint, interval, headers })
        }
        Err(why) => {
            findings
                .at(endpoint.span(), format!("`{}` is not an endpoint: {why}", endpoint.get()))
                .expected(format!("expected a URL without a query such as {EXAMPLE}"));
            None
        }
    }
}

fn base(text: &str) -> Result<Uri, &'static str> {
    let url = webhook_url(text)?;
    if url.query().is_some() { Err("it must not have a query") } else { Ok(url) }
}
