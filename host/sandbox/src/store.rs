//! The resources of one run: its memory, its handles, its limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_core::grant::Grants;
use wasmtime::component::ResourceTable;
use wasmtime::{CallHook, Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::activity::Activity;
use super::facilities::Facilities;
use super::failure::{Doing, Ended, Failure, Limit};
use super::imports::connect::Network;
use super::imports::env;
use super::imports::http::{Http, HttpClient};
use super::imports::read::Files;
use super::imports::sockets::SocketLimit;
use super::imports::state::Draft;
use super::output::Output;
use super::run::told;
use super::share::Share;
use bellwether_config::spec::RunLimits;

/// The limits of a run, and its initial state.
pub(super) struct Allowance {
    pub time: Duration,
    pub limits: RunLimits,
    pub grants: Arc<Grants>,
    pub facilities: Arc<dyn Facilities>,
    pub state: Draft,
    pub output: Output,
    pub share: Arc<Share>,
}

/// The host's state of one run.
pub(super) struct Run {
    pub wasi: WasiCtx,
    pub table: ResourceTable,
    pub limits: RunLimits,
    pub memory: MemoryLimit,
    pub sockets: SocketLimit,
    pub output: Output,
    pub state: Draft,
    pub network: Arc<Network>,
    pub files: Files,
    pub http: Http,
    pub share: Arc<Share>,
    pub grants: Arc<Grants>,
    pub facilities: Arc<dyn Facilities>,
    /// Calls to the host end at this time, so that the guest can still report the result.
    pub answer_by: Instant,
}

/// The maximum number of random bytes in one call.
const MAX_RANDOM: u64 = 64 << 10;

/// Creates a fresh store. The time limit already applies, because start functions run during instantiation.
pub(super) async fn store(
    engine: &Engine,
    client: Arc<HttpClient>,
    allowance: Allowance,
    deadline: Instant,
    activity: Arc<Activity>,
) -> Store<Run> {
    let Allowance { time, limits, grants, facilities, state, output, share } = allowance;
    let network = Network::new(Arc::clone(&grants), output.clone());
    let files = Files::open(&grants, &output, Arc::clone(&share)).await;
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles as usize);
    let sockets = SocketLimit::new(limits.sockets);
    let answer_by = deadline.checked_sub(time.saturating_sub(told(time))).unwrap_or(deadline);
    let http = Http::new(client, Arc::clone(&grants), output.clone(), sockets.clone(), &share, answer_by);
    let run = Run {
        wasi: wasi(&grants, &network, &output),
        table,
        limits,
        memory: MemoryLimit::new(limits.memory, Arc::clone(&activity)),
        sockets,
        output,
        state,
        network,
        files,
        http,
        share,
        grants,
        facilities,
        answer_by,
    };
    let mut store = Store::new(engine, run);
    store.limiter(|run| &mut run.memory);
    store.set_hostcall_fuel(usize::try_from(limits.call_data).unwrap_or(usize::MAX));
    let calls = Arc::clone(&activity);
    // Epochs do not interrupt the host's own code, so a million cheap calls would not be noticed.
    store.call_hook(move |_, transition| {
        if matches!(transition, CallHook::CallingHost) && calls.meter.count_call() > limits.host_calls {
            return Err(Ended(Limit::HostCalls(limits.host_calls).into()).into());
        }
        Ok(())
    });
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if Instant::now() >= deadline {
            return Err(Ended(Failure::Timeout { after: time, doing: Doing::Computing }).into());
        }
        if activity.meter.cpu() > limits.cpu {
            return Err(Ended(Limit::Cpu(limits.cpu).into()).into());
        }
        activity.interrupted();
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}

/// Only clocks, random numbers, granted variables, and connections that are checked one by one. Files are not
/// implemented by WASI's own code.
fn wasi(grants: &Grants, network: &Arc<Network>, output: &Output) -> WasiCtx {
    let network = Arc::clone(network);
    WasiCtx::builder()
        .stdout(output.clone())
        .stderr(output.of_errors())
        .envs(&env::granted(grants, output, |name| std::env::var_os(name)))
        .max_random_size(MAX_RANDOM)
        .allow_tcp(true)
        .allow_udp(true)
        .allow_ip_name_lookup(true)
        .socket_addr_check(move |address, purpose| {
            let allowed = network.allows(address, purpose);
            Box::pin(std::future::ready(allowed))
        })
        .build()
}

impl Run {
    /// How long a call of the guest may still take in the host.
    pub(super) fn time_left(&self) -> Duration {
        self.answer_by.saturating_duration_since(Instant::now())
    }
}

impl WasiView for Run {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Run {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.view(&mut self.table)
    }
}

/// The sum of all memories and tables: wasmtime's own limits apply to each of them separately.
pub(super) struct MemoryLimit {
    limit: u64,
    used: u64,
    refused: bool,
    activity: Arc<Activity>,
}

impl MemoryLimit {
    fn new(limit: u64, activity: Arc<Activity>) -> Self {
        Self { limit, used: 0, refused: false, activity }
    }

    /// Whether the run was refused memory because of the limit.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, current: u64, desired: u64) -> bool {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        self.refused |= used > self.limit;
        if used > self.limit {
            return false;
        }
        self.used = used;
        self.activity.meter.memory(used);
        true
    }
}

/// A table's element is a pointer.
const ELEMENT: u64 = size_of::<usize>() as u64;
/// The maximum number of memories, tables and instances of one run: large runtimes have some dozens.
const MAX_PARTS: usize = 256;

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current as u64, desired as u64))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current as u64 * ELEMENT, desired as u64 * ELEMENT))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_are_added_up() {
        let mut limit = MemoryLimit::new(1000, Arc::default());
        assert!(limit.memory_growing(0, 400, None).unwrap());
        assert!(limit.memory_growing(0, 400, None).unwrap());
        assert!(limit.table_growing(0, 20, None).unwrap());
        assert!(!limit.refused());
        assert!(!limit.memory_growing(400, 500, None).unwrap());
        assert!(limit.refused());
        assert!(limit.memory_growing(400, 440, None).unwrap());
    }
}
