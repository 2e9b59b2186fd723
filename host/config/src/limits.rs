//! The limits of one run of a component: `[limits]` of the node, and `limits = { … }` of a checker or of a restart
//! script, which overrides it key by key.

use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::field;
use super::mistake::Findings;
use super::quantity::{DurationText, SizeText};
use super::source::Located;
use super::spec::OwnLimits;

/// The limits of one run of a component. A run that exceeds a limit is ended, and its observation is unknown
/// and names the limit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct LimitsTable {
    /// Memory of one run, from `"1MiB"` to `"4GiB"`. Default: `"64MiB"`.
    memory: Option<Located<SizeText>>,
    /// CPU time of one run, from `"10ms"` to `"60s"`; the checker's `timeout` limits the elapsed time.
    /// Default: `"2s"`.
    cpu: Option<Located<DurationText>>,
    /// The total log and output of one run, from `"1KiB"` to `"16MiB"`. Default: `"1MiB"`.
    output: Option<Located<SizeText>>,
    /// The number of log lines of one run that are kept, the first ones. Default: 100.
    #[schemars(range(min = 0, max = 10_000))]
    log_lines: Option<u32>,
    /// What a component may keep from run to run, from `"0B"` to `"1MiB"`. Default: `"64KiB"`.
    state: Option<Located<SizeText>>,
    /// Sockets, streams, timers and files open at the same time. Default: 1000.
    #[schemars(range(min = 16, max = 100_000))]
    handles: Option<u32>,
    /// Sockets created in one run. Default: 64.
    #[schemars(range(min = 0, max = 10_000))]
    sockets: Option<u32>,
    /// Calls from the guest to the host in one run. Default: 100 000.
    #[schemars(range(min = 100, max = 100_000_000))]
    host_calls: Option<u64>,
    /// The data passed between guest and host in one call, from `"4KiB"` to `"64MiB"`. Default: `"1MiB"`.
    call_data: Option<Located<SizeText>>,
    /// For the node alone: how many components may run at the same time. Default: 64.
    #[schemars(range(min = 1, max = 4096))]
    concurrent_runs: Option<Located<u32>>,
}

const MEMORY: RangeInclusive<u64> = (1 << 20)..=(4 << 30);
const CPU: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(1);
const OUTPUT: RangeInclusive<u64> = (1 << 10)..=(16 << 20);
const STATE: RangeInclusive<u64> = 0..=(1 << 20);
const CALL_DATA: RangeInclusive<u64> = (4 << 10)..=(64 << 20);

impl LimitsTable {
    pub(super) fn concurrent_runs(&self) -> Option<u32> {
        self.concurrent_runs.as_ref().map(|runs| *runs.get())
    }

    /// The keys that are set and valid.
    pub(super) fn own(&self, findings: &mut Findings<'_>) -> OwnLimits {
        let cpu = |findings: &mut Findings<'_>| {
            let text = self.cpu.as_ref()?;
            // The default is only a placeholder for an invalid value, and then the file is not used.
            Some(field::duration(findings, "cpu", Some(text), &CPU, *CPU.end()))
        };
        OwnLimits {
            memory: field::size(findings, "memory", self.memory.as_ref(), &MEMORY),
            cpu: cpu(findings),
            output: field::size(findings, "output", self.output.as_ref(), &OUTPUT),
            log_lines: self.log_lines,
            state: field::size(findings, "state", self.state.as_ref(), &STATE),
            handles: self.handles,
            sockets: self.sockets,
            host_calls: self.host_calls,
            call_data: field::size(findings, "call-data", self.call_data.as_ref(), &CALL_DATA),
        }
    }

    /// The same for one component of a module, which cannot set the limits of the whole node.
    pub(super) fn own_of_component(&self, findings: &mut Findings<'_>) -> OwnLimits {
        if let Some(runs) = &self.concurrent_runs {
            findings
                .at(runs.span(), "`concurrent-runs` applies to all components of the node")
                .expected("expected it under `[limits]` in bellwether.toml");
        }
        self.own(findings)
    }
}
