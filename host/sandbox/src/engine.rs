//! The compiler and the memory pool that all components share.

use std::fmt;

use anyhow::Context as _;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use bellwether_config::spec::LimitsSpec;

/// How the memory of runs is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    /// Reserved once; pages are kept and cleared between runs: fast on many threads.
    Pool {
        /// The kernel reports which pages need clearing (`PAGEMAP_SCAN`, Linux 6.7).
        scan: bool,
    },
    /// Mapped for each run, where the address space for a pool is not available.
    OnDemand,
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool { scan: true } => "pool with page scan",
            Self::Pool { scan: false } => "pool",
            Self::OnDemand => "on demand",
        })
    }
}

/// An engine with a pool if the machine can reserve one, otherwise without.
pub(super) fn engine(limits: &LimitsSpec) -> anyhow::Result<(Engine, Allocator)> {
    let scan = PoolingAllocationConfig::is_pagemap_scan_available();
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, scan)));
    match Engine::new(&pooled) {
        Ok(engine) => Ok((engine, Allocator::Pool { scan })),
        Err(error) => {
            tracing::info!(
                reason = format!("{error:#}"),
                "no pool for components: memory is mapped on demand"
            );
            let engine = Engine::new(&config())
                .map_err(anyhow::Error::from)
                .context("the WebAssembly engine does not start on this machine")?;
            Ok((engine, Allocator::OnDemand))
        }
    }
}

/// An engine for compiling alone: nothing runs on it.
pub(super) fn compiling_engine() -> anyhow::Result<Engine> {
    Engine::new(&config()).map_err(anyhow::Error::from).context("the WebAssembly compiler does not start")
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // WASI 0.2 does not need it, and it costs microseconds on every call.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(None);
    config
}

/// The number of runs beyond the configured maximum: descriptions, and runs that are just ending.
const SPARE_RUNS: u32 = 8;
/// Languages with large runtimes consist of many small modules.
const MODULES_PER_RUN: u32 = 16;
/// The most that any run can be allowed.
const MAX_MEMORY: usize = 4 << 30;
const TABLE_ELEMENTS: usize = 100_000;

fn pool(limits: &LimitsSpec, scan: bool) -> PoolingAllocationConfig {
    let runs = limits.concurrent_runs.saturating_add(SPARE_RUNS);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs)
        .total_core_instances(runs.saturating_mul(MODULES_PER_RUN))
        .total_memories(runs)
        .total_tables(runs.saturating_mul(2))
        .total_stacks(runs)
        // This is address space only: how much of it a run may use is set by its own limit.
        .max_memory_size(MAX_MEMORY)
        .table_elements(TABLE_ELEMENTS)
        // Without the scan these bytes are cleared after every run, whether they were used or not.
        .linear_memory_keep_resident(if scan { 2 << 20 } else { 256 << 10 })
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .max_unused_warm_slots(8)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_cannot_be_reserved_is_done_without() {
        let absurd = LimitsSpec { concurrent_runs: 1 << 20, ..LimitsSpec::default() };
        let (_, allocator) = engine(&absurd).unwrap();
        assert_eq!(allocator, Allocator::OnDemand);
    }
}
