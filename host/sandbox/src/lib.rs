//! Runs components: compiled once, instantiated anew for each run, within limits.
//!
//! ```text
//!  bytes ──load──▶ Component ──check──▶ CheckReport ──▶ Observation
//!                     │   ▲ linked once: log, state, what is granted, WASI 0.2
//!                     │
//!                     └──plan──▶ Plan, or why there is none
//! ```
//! A guest cannot affect the host: memory, stack, time, handles, output and data are limited, it runs on separate
//! threads, and whatever ends it is reported in an observation.

pub mod compile;
pub mod component;
pub mod facilities;
pub mod failure;
pub mod plan;
pub mod run;

mod activity;
mod bindings;
mod cache;
mod echo;
mod engine;
mod guests;
mod imports;
mod machine_code;
mod output;
mod scrub;
mod share;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod ticker;
pub mod usage;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use wasmtime::Engine;
use wasmtime::component::Linker;

use bellwether_config::spec::{HttpSpec, LimitsSpec};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use cache::Cache;
pub use cache::CacheError;
use compile::Compiler;
pub use engine::Allocator;
use guests::Guests;
pub use imports::http::HttpClient;
pub use imports::state::{StateContents, StateHandle, StateObserver};
pub use output::{LogLevel, LogLine};
use share::Shares;
use store::Run;

/// Everything that runs components. The daemon has one.
pub struct Sandbox {
    engine: Engine,
    allocator: Allocator,
    compiler: Compiler,
    cache: Option<Cache>,
    linker: Linker<Run>,
    guests: Guests,
    shares: Shares,
    limits: LimitsSpec,
    /// Held while a component describes itself.
    describing: Mutex<()>,
    /// The time limit of a description.
    describe_time: Duration,
}

impl Sandbox {
    /// Starts the threads and reserves the memory that components run in.
    pub fn new(limits: &LimitsSpec, compiler: Compiler) -> anyhow::Result<Self> {
        let (engine, allocator) = engine::engine(limits)?;
        let linker = imports::linker(&engine)
            .map_err(anyhow::Error::from)
            .context("cannot link the host's functions")?;
        let guests = Guests::start(engine.clone(), limits.concurrent_runs)?;
        Ok(Self {
            engine,
            allocator,
            compiler,
            cache: None,
            linker,
            guests,
            shares: Shares::default(),
            limits: *limits,
            describing: Mutex::default(),
            describe_time: component::DESCRIBE_TIME,
        })
    }

    /// For tests: sets another time limit for descriptions, for instance one that suffices on a busy machine.
    #[must_use]
    pub fn describing_within(self, describe_time: Duration) -> Self {
        Self { describe_time, ..self }
    }

    /// Stores compiled code in this folder, and looks there first. An error says why it cannot be used; the sandbox
    /// then works without it.
    pub fn cache_in(&mut self, folder: &Path) -> Result<(), CacheError> {
        self.cache = Some(Cache::open(folder, cache::engine_hash(&self.engine))?);
        Ok(())
    }

    /// Whether a component is in the cache, so that loading it takes no time.
    pub fn has_compiled(&self, bytes: &[u8]) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has(&blake3::hash(bytes)))
    }

    /// Applies the node's settings to the requests of components from now on.
    pub fn request_by(&self, http: &HttpSpec) {
        self.guests.client.store(Arc::new(HttpClient::new(http)));
    }

    /// Requests a heartbeat of the threads that components run on, unless one is still awaited.
    pub fn ask(&self, heartbeat: &Heartbeat, clock: Clock) {
        self.guests.ask(heartbeat, clock);
    }

    /// How the memory of runs is allocated on this machine.
    pub fn allocator(&self) -> Allocator {
        self.allocator
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("allocator", &self.allocator)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
