//! Server-sent events for browsers (HTML Living Standard, section 9.2).
//!
//! ```text
//!   opened ──▶ snapshot ──changed──▶ snapshot … ──▶ bye: the sign-in has ended
//!                 └──a second──▶ heartbeat, which says whether the core's loop runs
//! ```
//! An event names what has changed without containing it: the page requests what it needs. So a client costs a few
//! comparisons for each change, and a slow one misses intermediate states, but never the latest.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::sse::{Event, Sse};
use bellwether_core::attention::Attention;
use bellwether_core::snapshot::Snapshot;
use bellwether_core::text::json;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::farm::Farm;
use super::stream::HEARTBEAT;
use super::{Caller, Handle};

/// The shortest time between two events for a client.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);
/// A browser that has lost the connection reconnects after this time.
const RETRY: Duration = Duration::from_secs(2);

/// The content of an event.
#[derive(Debug, Serialize)]
struct News<'a> {
    generation: u64,
    at: String,
    /// Whether the core is running: otherwise everything may be outdated.
    turns: bool,
    /// The number of modules that are down.
    down: usize,
    /// Whether something about other nodes may have changed.
    farm: bool,
    /// Modules that differ from the previous event.
    changed: Vec<&'a str>,
    /// Those of them with a relevant change for a user's decision.
    moved: Vec<&'a str>,
}

struct Listener {
    daemon: Handle,
    caller: Caller,
    generations: watch::Receiver<u64>,
    /// Changes with other nodes of the farm.
    farm: watch::Receiver<u64>,
    last: Option<Arc<Snapshot>>,
    /// The earliest time of the next event.
    next: Instant,
    over: bool,
}

/// The handler of `GET /api/v1/stream`.
pub(super) async fn stream(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let generations = daemon.generations();
    let farm = daemon.farm().map_or_else(never_changes, Farm::changes);
    let listener =
        Listener { daemon, caller, generations, farm, last: None, next: Instant::now(), over: false };
    Sse::new(unfold(listener, |mut listener| async move {
        let event = listener.event().await?;
        Some((Ok(event), listener))
    }))
}

impl Listener {
    /// The next event; `None` at the end.
    async fn event(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        if self.last.is_none() {
            return Some(self.news().retry(RETRY));
        }
        let heard =
            tokio::time::timeout(HEARTBEAT, changed(&mut self.generations, &mut self.farm, self.next));
        let heard = tokio::select! {
            () = self.caller.ended() => {
                self.over = true;
                return Some(Event::default().event("bye").data("{}"));
            }
            heard = heard => heard,
        };
        match heard {
            Ok(true) => Some(self.news()),
            // The daemon is shutting down.
            Ok(false) => None,
            Err(_) => Some(self.heartbeat()),
        }
    }

    fn news(&mut self) -> Event {
        self.generations.borrow_and_update();
        let farm = self.last.is_none() || self.farm.has_changed().unwrap_or(false);
        self.farm.borrow_and_update();
        let snapshot = self.daemon.snapshot();
        let changed = match &self.last {
            None => snapshot.modules.iter().map(|module| module.name.as_str()).collect(),
            Some(last) => changes(last, &snapshot),
        };
        let seen = self.last.as_ref().map_or(0, |last| last.generation);
        let moved = |name: &&str| snapshot.module(name).is_none_or(|module| module.changed > seen);
        let moved = changed.iter().copied().filter(moved).collect();
        let down = snapshot.modules.iter().filter(|module| Attention::of(module) == Attention::Down).count();
        let at = self.daemon.clock().timestamp(snapshot.at);
        let news = News {
            generation: snapshot.generation,
            at,
            turns: self.daemon.turns(),
            down,
            farm,
            changed,
            moved,
        };
        let data = serde_json::to_string(&news).unwrap_or_default();
        let data = json(&data);
        let event = Event::default().event("snapshot").id(news.generation.to_string()).data(data);
        self.next = Instant::now() + AT_MOST_EVERY;
        self.last = Some(snapshot);
        event
    }

    fn heartbeat(&self) -> Event {
        let clock = self.daemon.clock();
        // A stalled core has no fresh data to show, and the page says so.
        let data = serde_json::json!({ "at": clock.timestamp(clock.now()), "turns": self.daemon.turns() });
        Event::default().event("heartbeat").data(data.to_string())
    }
}

/// Where there is no farm.
fn never_changes() -> watch::Receiver<u64> {
    watch::channel(0).1
}

/// Returns false at the end.
async fn changed(
    generations: &mut watch::Receiver<u64>,
    farm: &mut watch::Receiver<u64>,
    not_before: Instant,
) -> bool {
    let changed = tokio::select! {
        changed = generations.changed() => changed.is_ok(),
        // Without a sender there is no farm, or the daemon is shutting down, which the other one reports.
        Ok(()) = farm.changed() => true,
        else => false,
    };
    tokio::time::sleep_until(not_before).await;
    changed
}

/// Modules of `new` that differ from `old`, and those that were removed. Both are ordered by name.
fn changes<'a>(old: &'a Snapshot, new: &'a Snapshot) -> Vec<&'a str> {
    let differs = |module: &&Arc<_>| {
        let module: &Arc<bellwether_core::snapshot::ModuleView> = module;
        old.modules
            .binary_search_by(|known| known.name.cmp(&module.name))
            .ok()
            .and_then(|found| old.modules.get(found))
            .is_none_or(|known| !Arc::ptr_eq(known, module))
    };
    let gone = old.modules.iter().filter(|module| new.module(module.name.as_str()).is_none());
    new.modules.iter().filter(differs).chain(gone).map(|module| module.name.as_str()).collect()
}
