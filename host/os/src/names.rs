//! Name resolution that does not delay anything else.
//!
//! ```text
//!   asked ──▶ under way already? ──▶ waits for that answer ─────────────────────────┐
//!               │ no                                                                ▼
//!               └──▶ a place of the asker's share, a thread ──▶ getaddrinfo ──▶ answer for all who wait
//! ```
//! The system's resolver blocks its thread until it gives up, which takes 10 s or more while a name server does not
//! respond, and it cannot be interrupted. Therefore look-ups have their own threads; a name uses at most one of
//! them, a requester a few; names that were slow last time leave some threads to all others; and checkers leave
//! some to the daemon itself. A requester waits no longer than its deadline.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

/// The maximum number of concurrent look-ups.
const THREADS: usize = 64;
/// Of these, the number for checkers and restart scripts; the others are for the daemon's own requests.
const FOR_CHECKERS: usize = 56;
/// Of those, the number for names that were slow last time.
const FOR_SLOW: usize = 48;
/// The maximum for one requester at the same time.
const SHARE: usize = 4;
/// A name that takes longer is slow.
const SLOW: Duration = Duration::from_secs(2);
/// The maximum number of slow names that are remembered.
const REMEMBERED: usize = 4_096;
/// Longer than any daemon runs, so the threads do not end.
const NEVER_IDLE: Duration = Duration::from_hours(24 * 365 * 10);

/// Limits the concurrent look-ups of one requester. Cheap to clone; all clones are the same share.
#[derive(Debug, Clone)]
pub struct Share {
    places: Arc<Semaphore>,
    of_the_daemon: bool,
}

/// The share of a checker.
impl Default for Share {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(SHARE)), of_the_daemon: false }
    }
}

impl Share {
    /// For the daemon's own requests. They have places that no checker can use.
    pub fn of_the_daemon() -> Self {
        Self { of_the_daemon: true, ..Self::default() }
    }
}

/// Creates the first thread; otherwise the first look-up does.
pub fn start() {
    LazyLock::force(&NAMES);
}

static NAMES: LazyLock<Option<Names>> = LazyLock::new(|| Names::start(by_the_system));

/// Resolves a name with the system's resolver, until `by` at most. The addresses have the port 0.
pub async fn look_up(host: &str, share: &Share, by: Instant) -> io::Result<Vec<SocketAddr>> {
    let Some(names) = &*NAMES else { return Err(io::Error::other("the system gives no thread for it")) };
    names.look_up(host, share, by).await
}

fn by_the_system(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

type Resolve = fn(&str) -> io::Result<Vec<SocketAddr>>;
/// The part of an error that can be reported to several requesters.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

struct Names(Arc<Inner>);

struct Inner {
    resolve: Resolve,
    /// The runtime whose threads do the look-ups. Only [`Drop`] takes it.
    pool: Option<Runtime>,
    places: Arc<Semaphore>,
    checker_places: Arc<Semaphore>,
    slow_places: Arc<Semaphore>,
    known: Mutex<Lookups>,
}

#[derive(Default)]
struct Lookups {
    under_way: HashMap<String, Arc<watch::Sender<Option<Answer>>>>,
    slow: HashSet<String>,
}

impl Names {
    /// Returns `None` if the system provides no threads.
    fn start(resolve: Resolve) -> Option<Self> {
        let pool = Builder::new_current_thread()
            .max_blocking_threads(THREADS)
            .thread_keep_alive(NEVER_IDLE)
            .thread_name("names")
            .build()
            .inspect_err(|error| tracing::error!(%error, "there are no threads for look-ups of names"))
            .ok()?;
        // With one permanent thread, look-ups continue if the system provides no further ones.
        spawn(&pool, || {});
        let checker_places = Arc::new(Semaphore::new(FOR_CHECKERS));
        let places = Arc::new(Semaphore::new(THREADS));
        let slow_places = Arc::new(Semaphore::new(FOR_SLOW));
        let pool = Some(pool);
        let known = Mutex::default();
        Some(Self(Arc::new(Inner { resolve, pool, places, checker_places, slow_places, known })))
    }

    async fn look_up(&self, host: &str, share: &Share, by: Instant) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, 0)]);
        }
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        timeout_at(by, self.answer(host, share)).await.map_err(|_| late())?
    }

    async fn answer(&self, host: &str, share: &Share) -> io::Result<Vec<SocketAddr>> {
        let under_way = self.0.known().under_way.get(host).map(|told| told.subscribe());
        let mut told = match under_way {
            Some(told) => told,
            None => self.begin(host, Permits::acquire(&self.0, host, share).await?),
        };
        let answer = told.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
        answer.unwrap_or_else(|| Ok(Vec::new())).map_err(|(kind, why)| io::Error::new(kind, why))
    }

    /// Unless another requester has started the same look-up in the meantime.
    fn begin(&self, host: &str, permits: Permits) -> watch::Receiver<Option<Answer>> {
        let mut known = self.0.known();
        if let Some(told) = known.under_way.get(host) {
            return told.subscribe();
        }
        let (tell, told) = watch::channel(None);
        let tell = Arc::new(tell);
        known.under_way.insert(host.to_owned(), Arc::clone(&tell));
        drop(known);
        let flight = Flight { inner: Arc::clone(&self.0), host: host.to_owned(), tell, _permits: permits };
        if let Some(pool) = &self.0.pool {
            spawn(pool, move || flight.end());
        }
        told
    }
}

/// Without a new thread, the next free one does the work.
fn spawn(pool: &Runtime, work: impl FnOnce() + Send + 'static) {
    // tokio panics if the system provides no thread. Its queue, which already holds the work, is intact then.
    let spawned = catch_unwind(AssertUnwindSafe(|| drop(pool.spawn_blocking(work))));
    if spawned.is_err() {
        tracing::error!("the system gives no thread for look-ups of names");
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Lookups> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Does not wait: it may be dropped on one of its own threads.
        if let Some(pool) = self.pool.take() {
            pool.shutdown_background();
        }
    }
}

/// The permits that a look-up holds until the system's resolver has returned.
struct Permits {
    _of_share: OwnedSemaphorePermit,
    _of_slow: Option<OwnedSemaphorePermit>,
    _of_checkers: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

impl Permits {
    async fn acquire(inner: &Inner, host: &str, share: &Share) -> io::Result<Self> {
        let acquire = |places: &Arc<Semaphore>| {
            let places = Arc::clone(places);
            async move { places.acquire_owned().await.map_err(io::Error::other) }
        };
        let of_share = acquire(&share.places).await?;
        let is_slow = !share.of_the_daemon && inner.known().slow.contains(host);
        let of_slow = if is_slow { Some(acquire(&inner.slow_places).await?) } else { None };
        // After the place for slow names: a look-up that waits for one of those takes no place from others.
        let of_checkers =
            if share.of_the_daemon { None } else { Some(acquire(&inner.checker_places).await?) };
        let place = acquire(&inner.places).await?;
        Ok(Self { _of_share: of_share, _of_slow: of_slow, _of_checkers: of_checkers, _place: place })
    }
}

/// One look-up, on its thread.
struct Flight {
    inner: Arc<Inner>,
    host: String,
    tell: Arc<watch::Sender<Option<Answer>>>,
    _permits: Permits,
}

impl Flight {
    fn end(self) {
        let begun = std::time::Instant::now();
        let found = (self.inner.resolve)(&self.host);
        let mut known = self.inner.known();
        if begun.elapsed() < SLOW {
            known.slow.remove(&self.host);
        } else {
            if known.slow.len() >= REMEMBERED {
                known.slow.clear();
            }
            known.slow.insert(self.host.clone());
        }
        drop(known);
        self.tell.send_replace(Some(found.map_err(|error| (error.kind(), error.to_string()))));
    }
}

/// However it ends, the next requester does not join it.
impl Drop for Flight {
    fn drop(&mut self) {
        self.inner.known().under_way.remove(&self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_testing::process::is_pending;
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Names that end in `.silent` are answered only once the gate is open.
    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    static ASKED: AtomicUsize = AtomicUsize::new(0);

    fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
        if host.ends_with(".silent") {
            ASKED.fetch_add(1, Ordering::Relaxed);
            drop(GATE.1.wait_while(GATE.0.lock().unwrap(), |open| !*open));
            return Err(io::Error::other("temporary failure"));
        }
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))])
    }

    fn ample() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn silent_names_keep_no_thread_from_others_and_each_keeps_one_at_most() {
        let names = Names::start(resolve).unwrap();
        // One requester that looks up many names, and many requesters with one name each, two of which have the
        // same name.
        let hog = Share::default();
        let many: Vec<String> = (0..2 * SHARE).map(|n| format!("{n}.hog.silent")).collect();
        let shares: Vec<Share> = (0..30).map(|_| Share::default()).collect();
        let one_each: Vec<String> = (0..30).map(|n| format!("{}.silent", n / 2)).collect();
        let mut waiting: Vec<_> =
            many.iter().map(|host| Box::pin(names.look_up(host, &hog, ample()))).collect();
        waiting.extend(
            one_each.iter().zip(&shares).map(|(host, share)| Box::pin(names.look_up(host, share, ample()))),
        );
        for wait in &mut waiting {
            assert!(is_pending(wait).await);
        }
        assert_eq!(names.0.known().under_way.len(), SHARE + 15);
        // Others are answered in the meantime, within the requester's own deadline.
        let found = names.look_up("fine.example", &Share::default(), ample()).await.unwrap();
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 1], 0))]);
        let soon = Instant::now() + Duration::from_millis(50);
        let late = names.look_up("0.silent", &Share::default(), soon).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        // A requester that gives up leaves its look-up running, and joins it when it asks again.
        drop(waiting);
        let again = names.look_up("0.silent", &shares[0], ample());
        let mut again = Box::pin(again);
        assert!(is_pending(&mut again).await);
        assert_eq!(names.0.known().under_way.len(), SHARE + 15);
        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        assert_eq!(again.await.unwrap_err().to_string(), "temporary failure");
        assert!(ASKED.load(Ordering::Relaxed) <= SHARE + 15);
    }

    #[tokio::test]
    async fn slow_names_leave_threads_to_others() {
        let names = Names::start(|_| Err(io::Error::other("not asked"))).unwrap();
        names.0.known().slow.insert("slow.example".to_owned());
        let slow = Arc::clone(&names.0.slow_places).acquire_many_owned(48).await.unwrap();
        let share = Share::default();
        let mut waits = Box::pin(names.look_up("slow.example", &share, ample()));
        assert!(is_pending(&mut waits).await);
        let other = names.look_up("other.example", &share, ample()).await.unwrap_err();
        assert_eq!(other.to_string(), "not asked");
        drop(slow);
        assert_eq!(waits.await.unwrap_err().to_string(), "not asked");
        assert!(names.0.known().slow.is_empty(), "it was not slow this time");
    }

    #[tokio::test]
    async fn checkers_leave_threads_to_the_daemon_itself() {
        let names = Names::start(|_| Err(io::Error::other("not asked"))).unwrap();
        names.0.known().slow.insert("hook.example".to_owned());
        let _slow = Arc::clone(&names.0.slow_places).acquire_many_owned(48).await.unwrap();
        let checkers = Arc::clone(&names.0.checker_places).acquire_many_owned(56).await.unwrap();
        let (checker, own) = (Share::default(), Share::of_the_daemon());
        let mut waits = Box::pin(names.look_up("other.example", &checker, ample()));
        assert!(is_pending(&mut waits).await);
        let told = names.look_up("hook.example", &own, ample()).await.unwrap_err();
        assert_eq!(told.to_string(), "not asked");
        drop(checkers);
        assert_eq!(waits.await.unwrap_err().to_string(), "not asked");
    }

    #[tokio::test]
    async fn an_address_is_no_name() {
        let names = Names::start(|_| Err(io::Error::other("asked"))).unwrap();
        let none = Share { places: Arc::new(Semaphore::new(0)), of_the_daemon: false };
        let found = names.look_up("::1", &none, ample()).await.unwrap();
        assert_eq!(found, ["[::1]:0".parse().unwrap()]);
    }
}
