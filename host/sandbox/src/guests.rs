//! The threads that guests run on, and their deadlines.
//!
//! ```text
//!              a place is free          answered, trapped, out of time
//!   asked ───────────────▶ under way ──────────────────────────────▶ ended
//!     │                        │
//!     │ none in time           │ parked in the host past its deadline: aborted
//!     ▼                        ▼
//!   too many runs           timed out
//! ```
//! Guests have a runtime of their own, so that a guest in an endless loop delays nothing else; the caller's timers
//! do not depend on it. A deadline is enforced twice: by epochs for guests that compute, and by the caller's timer
//! for those that wait.

use std::any::Any;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use wasmtime::{Engine, Store};

use super::activity::Activity;
use super::failure::Failure;
use super::imports::http::HttpClient;
use super::imports::state::Draft;
use super::store::{Allowance, Run, store};
use super::ticker::{TICK, Ticker};
use super::usage::Usage;
use bellwether_os::clock::Clock;
use bellwether_os::fault;
use bellwether_os::heartbeat::Heartbeat;

/// The threads and permits of all runs.
pub(super) struct Guests {
    engine: Engine,
    /// Makes the HTTP requests that guests are granted.
    pub(super) client: ArcSwap<HttpClient>,
    /// Only [`Drop`] takes it.
    runtime: Option<Runtime>,
    ticker: Ticker,
    places: Arc<Semaphore>,
    /// For runs that must not wait behind a hundred checkers that hang.
    urgent_places: Arc<Semaphore>,
    /// A heartbeat has been requested of the threads, and has not come yet.
    asked: Arc<AtomicBool>,
}

/// The result of a run, and its cost.
pub(super) struct Outcome<T> {
    pub result: Result<Answer<T>, Failure>,
    /// The time since its beginning on the guest's thread.
    pub took: Duration,
    /// Its usage. For a run that was ended from outside, up to the end of its last poll.
    pub usage: Usage,
}

/// The result of a run that completed.
pub(super) struct Answer<T> {
    pub value: T,
    pub state: Draft,
}

/// Guests in an endless loop yield at every tick, so that two threads serve many.
const THREADS: usize = 2;
/// Fewer than the engine's spare runs: there is always room for a description, too.
const URGENT_PLACES: usize = 4;
/// For files and secrets, whose disk may hang. Name resolution has its own threads.
const BLOCKING_THREADS: usize = 32;
/// The epochs expire first, because they know best what the guest was doing.
const GRACE: Duration = TICK.saturating_mul(2);

impl Guests {
    pub(super) fn start(engine: Engine, concurrent_runs: u32) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("guest")
            .enable_all()
            .build()
            .context("cannot start the threads that components run on")?;
        let ticker = Ticker::start(engine.clone())?;
        let places = Arc::new(Semaphore::new(concurrent_runs as usize));
        let urgent_places = Arc::new(Semaphore::new(URGENT_PLACES));
        let (client, asked) = (ArcSwap::default(), Arc::default());
        Ok(Self { engine, client, runtime: Some(runtime), ticker, places, urgent_places, asked })
    }

    /// Requests a heartbeat of the threads: `heartbeat` beats as soon as one of them is free.
    pub(super) fn ask(&self, heartbeat: &Heartbeat, clock: Clock) {
        if self.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let (heartbeat, asked) = (heartbeat.clone(), Arc::clone(&self.asked));
        self.handle().spawn(async move {
            fault::stall("guests");
            heartbeat.beat(clock);
            asked.store(false, Ordering::Release);
        });
    }

    /// Carries out `call` on a fresh store. The time until a place is free does not count towards the limit, but
    /// has the same limit of its own.
    pub(super) async fn run<T, F, C>(&self, allowance: Allowance, call: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(Store<Run>) -> C + Send + 'static,
        C: Future<Output = (Store<Run>, wasmtime::Result<T>)> + Send + 'static,
    {
        self.run_in(&self.places, allowance, call).await
    }

    /// The same in one of a few places that checkers cannot use: for restart scripts.
    pub(super) async fn run_urgently<T, F, C>(&self, allowance: Allowance, call: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(Store<Run>) -> C + Send + 'static,
        C: Future<Output = (Store<Run>, wasmtime::Result<T>)> + Send + 'static,
    {
        self.run_in(&self.urgent_places, allowance, call).await
    }

    async fn run_in<T, F, C>(&self, places: &Arc<Semaphore>, allowance: Allowance, call: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(Store<Run>) -> C + Send + 'static,
        C: Future<Output = (Store<Run>, wasmtime::Result<T>)> + Send + 'static,
    {
        let time = allowance.time;
        let Some(place) = place(places, time).await else {
            let result = Err(Failure::TooManyRuns(time));
            return Outcome { result, took: Duration::ZERO, usage: Usage::default() };
        };
        let begun = Instant::now();
        let mut task = self.spawn(allowance, Some(place), call);
        let failure = match tokio::time::timeout(time + GRACE, &mut task.handle).await {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => host_bug(error),
            Err(_) => task.activity.timeout(time),
        };
        Outcome { result: Err(failure), took: begun.elapsed(), usage: task.activity.meter.usage() }
    }

    /// The same for callers that are not tasks. Does not wait for a place: the caller must ensure that there are
    /// never many of these.
    pub(super) fn run_blocking<T, F, C>(&self, allowance: Allowance, call: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(Store<Run>) -> C + Send + 'static,
        C: Future<Output = (Store<Run>, wasmtime::Result<T>)> + Send + 'static,
    {
        let time = allowance.time;
        let begun = Instant::now();
        let Task { handle, activity, abort: _abort } = self.spawn(allowance, None, call);
        let (answer, answered) = mpsc::sync_channel(1);
        self.handle().spawn(async move { answer.send(handle.await) });
        let failure = match answered.recv_timeout(time + GRACE) {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => host_bug(error),
            Err(_) => activity.timeout(time),
        };
        Outcome { result: Err(failure), took: begun.elapsed(), usage: activity.meter.usage() }
    }

    fn spawn<T, F, C>(&self, allowance: Allowance, place: Option<OwnedSemaphorePermit>, call: F) -> Task<T>
    where
        T: Send + 'static,
        F: FnOnce(Store<Run>) -> C + Send + 'static,
        C: Future<Output = (Store<Run>, wasmtime::Result<T>)> + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let deadline = Instant::now() + allowance.time;
        let (engine, client) = (self.engine.clone(), self.client.load_full());
        // Held until the store is dropped, however that happens.
        let held = (self.ticker.run(), place);
        let handle = self.handle().spawn({
            let activity = Arc::clone(&activity);
            async move {
                let _held = held;
                let begun = Instant::now();
                let store = store(&engine, client, allowance, deadline, Arc::clone(&activity)).await;
                let (store, result) = activity.watch(call(store)).await;
                let result = read(store, result);
                Outcome { result, took: begun.elapsed(), usage: activity.meter.usage() }
            }
        });
        let abort = AbortOnDrop(handle.abort_handle());
        Task { handle, activity, abort }
    }

    fn handle(&self) -> &Handle {
        self.runtime.as_ref().expect("it is taken only when the sandbox is dropped").handle()
    }
}

async fn place(places: &Arc<Semaphore>, patience: Duration) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    tokio::time::timeout(patience, Arc::clone(places).acquire_owned()).await.ok()?.ok()
}

impl Drop for Guests {
    fn drop(&mut self) {
        // Does not wait: the sandbox may be dropped inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A run in progress. Dropping it ends the run.
struct Task<T> {
    handle: JoinHandle<Outcome<T>>,
    activity: Arc<Activity>,
    abort: AbortOnDrop,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn read<T>(store: Store<Run>, result: wasmtime::Result<T>) -> Result<Answer<T>, Failure> {
    let run = store.into_data();
    match result {
        Ok(value) => Ok(Answer { value, state: run.state }),
        Err(error) => Err(Failure::read(&error, &run.limits, run.memory.refused(), &run.output.last_words())),
    }
}

fn host_bug(error: JoinError) -> Failure {
    if !error.is_panic() {
        return Failure::HostBug("the threads that components run on have ended".to_owned());
    }
    Failure::HostBug(panic_text(&*error.into_panic()).to_owned())
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::failure::Doing;
    use crate::imports::state::StateHandle;
    use bellwether_config::spec::RunLimits;
    use bellwether_testing::process::is_pending;

    fn guests(concurrent_runs: u32) -> Guests {
        let limits = bellwether_config::spec::LimitsSpec { concurrent_runs, ..Default::default() };
        Guests::start(engine::engine(&limits).unwrap().0, concurrent_runs).unwrap()
    }

    fn allowance(ms: u64) -> Allowance {
        Allowance {
            time: Duration::from_millis(ms),
            limits: RunLimits::default(),
            grants: Arc::default(),
            facilities: Arc::new(crate::facilities::NoModule),
            state: StateHandle::default().draft(0),
            output: crate::output::Output::new(&RunLimits::default()),
            share: Arc::default(),
        }
    }

    /// Longer than a busy machine takes, in milliseconds.
    const AMPLE: u64 = 60_000;

    #[tokio::test]
    async fn a_panic_of_the_host_is_its_own_bug_and_hurts_nobody_else() {
        let guests = guests(1);
        let outcome = guests
            .run(allowance(AMPLE), |store| async move {
                assert!(store.hostcall_fuel() == 0, "fuel is {}", store.hostcall_fuel());
                (store, Ok(()))
            })
            .await;
        assert_eq!(outcome.result.err(), Some(Failure::HostBug("fuel is 1048576".to_owned())));
        let outcome = guests.run(allowance(AMPLE), |store| async move { (store, Ok(7)) }).await;
        assert_eq!(outcome.result.unwrap().value, 7);
    }

    #[tokio::test]
    async fn a_run_that_finds_no_place_in_time_says_so() {
        let guests = guests(1);
        let forever = |store| async move { (store, std::future::pending::<wasmtime::Result<()>>().await) };
        let mut first = Box::pin(guests.run(allowance(AMPLE), forever));
        assert!(is_pending(&mut first).await, "it has the only place");
        let second = guests.run(allowance(50), forever).await;
        assert_eq!(second.result.err(), Some(Failure::TooManyRuns(Duration::from_millis(50))));
        drop(first);
        // A run that has a place is told what it was doing instead. On a busy machine, the place may not be free,
        // or no thread may take the run up, within the first of these times.
        for ms in [400, 4_000, 40_000] {
            let after = Duration::from_millis(ms);
            let failure = guests.run(allowance(ms), forever).await.result.err().unwrap();
            if failure != Failure::TooManyRuns(after) {
                assert_eq!(failure, Failure::Timeout { after, doing: Doing::Waiting });
                return;
            }
        }
        panic!("the place is never free");
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_ends_its_run() {
        let guests = guests(1);
        let forever = |store| async move { (store, std::future::pending::<wasmtime::Result<()>>().await) };
        tokio::select! {
            biased;
            _ = guests.run(allowance(AMPLE), forever) => panic!("it cannot have ended"),
            () = tokio::task::yield_now() => {}
        }
        // The place is returned once the task has ended.
        assert!(place(&guests.places, Duration::from_millis(AMPLE)).await.is_some());
    }
}
