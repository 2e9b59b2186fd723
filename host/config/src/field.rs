//! Checks of single values of a file.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use bellwether_core::id::NameError;

use super::mistake::{Findings, Mistake};
use super::quantity::{
    DurationText, QuantityError, SizeText, parse_duration, parse_size, show_duration, show_size,
};
use super::source::Located;

/// A name, if it is valid.
pub(super) fn name<N>(
    findings: &mut Findings<'_>,
    text: &Located<String>,
    new: impl Fn(&str) -> Result<N, NameError>,
) -> Option<N> {
    new(text.get())
        .map_err(|error| {
            findings.at(text.span(), format!("`{}` is not a name", text.get())).expected(error.to_string());
        })
        .ok()
}

/// A duration within its limits, or the default.
pub(super) fn duration(
    findings: &mut Findings<'_>,
    key: &str,
    text: Option<&Located<DurationText>>,
    bounds: &RangeInclusive<Duration>,
    default: Duration,
) -> Duration {
    let Some(text) = text else { return default };
    match parse_duration(&text.get().0) {
        Ok(duration) if bounds.contains(&duration) => duration,
        Ok(_) => {
            let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
            findings
                .at(text.span(), format!("`{key}` is out of range"))
                .expected(format!("expected a duration from \"{least}\" to \"{most}\""));
            default
        }
        Err(error) => {
            not_a_quantity(findings, text.span(), &text.get().0, &error, "duration", "\"2s\" or \"1m30s\"")
                .help("units: ms, s, m, h and d (24 hours)");
            default
        }
    }
}

/// A size in bytes within its limits, if there is one.
pub(super) fn size(
    findings: &mut Findings<'_>,
    key: &str,
    text: Option<&Located<SizeText>>,
    bounds: &RangeInclusive<u64>,
) -> Option<u64> {
    let text = text?;
    size_of_text(findings, key, &text.get().0, text.span(), bounds)
}

/// The same for a text that may also be something else.
pub(super) fn size_of_text(
    findings: &mut Findings<'_>,
    key: &str,
    text: &str,
    span: Range<usize>,
    bounds: &RangeInclusive<u64>,
) -> Option<u64> {
    match parse_size(text) {
        Ok(bytes) if bounds.contains(&bytes) => Some(bytes),
        Ok(_) => {
            let (least, most) = (show_size(*bounds.start()), show_size(*bounds.end()));
            findings
                .at(span, format!("`{key}` is out of range"))
                .expected(format!("expected a size from \"{least}\" to \"{most}\""));
            None
        }
        Err(error) => {
            not_a_quantity(findings, span, text, &error, "size", "\"64MiB\" or \"2GB\"")
                .help("units: B, kB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (powers of 1024)");
            None
        }
    }
}

/// A required key is missing in the table at `path`. Reports nothing if it was there with an error of its own.
pub(super) fn missing(
    findings: &mut Findings<'_>,
    table: Range<usize>,
    path: &str,
    title: &str,
    key: &str,
    example: &str,
) {
    if !findings.is_incomplete(&format!("{path}.{key}")) {
        findings
            .at(table, format!("{title} has no `{key}`"))
            .expected(format!("expected `{key} = {example}`"));
    }
}

fn not_a_quantity<'f>(
    findings: &'f mut Findings<'_>,
    span: Range<usize>,
    text: &str,
    error: &QuantityError,
    what: &str,
    examples: &str,
) -> &'f mut Mistake {
    findings
        .at(span, format!("`{text}` is not a {what}: {error}"))
        .expected(format!("expected a {what} such as {examples}"))
}
