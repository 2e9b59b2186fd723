//! `[journal]` of the node: how much of the history is kept.

use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::field;
use super::mistake::Findings;
use super::quantity::{DurationText, SizeText};
use super::source::Located;
use super::spec::JournalSpec;

/// How much of the history is kept in `state/journal.db`. The limit that is reached first applies; the oldest
/// records are removed first.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct JournalTable {
    /// How long records are kept, from `"1h"` to `"3650d"`. Default: `"90d"`.
    #[schemars(example = &"90d")]
    keep: Option<Located<DurationText>>,
    /// The approximate maximum size of the file, from `"1MB"` to `"1TB"`. Default: `"512MB"`.
    #[schemars(example = &"512MB")]
    size: Option<Located<SizeText>>,
}

const KEEP: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(24 * 3650);
const SIZE: RangeInclusive<u64> = 1_000_000..=1_000_000_000_000;

impl JournalTable {
    pub(super) fn spec(&self, findings: &mut Findings<'_>) -> JournalSpec {
        let default = JournalSpec::default();
        JournalSpec {
            keep: field::duration(findings, "keep", self.keep.as_ref(), &KEEP, default.keep),
            size: field::size(findings, "size", self.size.as_ref(), &SIZE).unwrap_or(default.size),
        }
    }
}
