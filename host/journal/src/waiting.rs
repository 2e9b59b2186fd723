//! Data that waits for the journal's thread, and records that stay in memory.
//!
//! ```text
//!   records: oldest ─────────────┬────────────────┬───────────── newest
//!             written, at hand   │ being written  │ waiting
//!             (LATEST of them)   └──── bounded by MAX_WAITING and MAX_BYTES ───┘
//!                                 too many: the oldest one is lost, and counted
//! ```
//! Adding data waits for a lock that is held for moments, never for the disk.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::measurements::Series;
use bellwether_core::moment::Moment;
use bellwether_core::observation::{Measurement, Observation};

use super::health::{Failing, JournalHealth};
use super::replay::{Checkpoint, InputRow};
use bellwether_bus::Entry;
use bellwether_os::at_most;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;

/// The number of records in memory, also when the disk is gone.
pub(super) const LATEST: usize = 2_000;
/// The number of further records that may wait for the disk.
pub(super) const MAX_WAITING: usize = 20_000;
/// The approximate memory for records.
const MAX_BYTES: usize = 48 << 20;
/// The memory for inputs and checkpoints that wait.
const MAX_REPLAY_BYTES: usize = 16 << 20;
/// The number of observations that wait for aggregation.
const MAX_OBSERVED: usize = 8_192;
/// The number of records in one transaction.
const BATCH: usize = 4_000;
/// A disk that has not responded for this long hangs.
const HANGS: Duration = at_most!(Duration::from_secs(5));

/// The measurements of one run of a checker.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) module: ModuleName,
    pub(super) checker: CheckerName,
    /// Seconds since the Unix epoch.
    pub(super) second: i64,
    took: Duration,
    measurements: Vec<Measurement>,
}

impl Observed {
    pub(super) fn new(
        module: &ModuleName,
        checker: &CheckerName,
        observation: &Observation,
        second: i64,
    ) -> Self {
        Self {
            module: module.clone(),
            checker: checker.clone(),
            second,
            took: observation.took,
            measurements: observation.measurements.clone(),
        }
    }

    /// Each value with its series.
    pub(super) fn numbers(self) -> impl Iterator<Item = (Series, f64)> {
        let Self { module, checker, took, measurements, .. } = self;
        let duration = Measurement {
            name: "duration".to_owned(),
            value: took.as_secs_f64() * 1000.0,
            unit: "ms".to_owned(),
        };
        std::iter::once(duration).chain(measurements).map(move |Measurement { name, value, unit }| {
            (Series { module: module.clone(), checker: checker.clone(), name, unit }, value)
        })
    }
}

/// Data for replay, in its order.
#[derive(Debug, Clone)]
pub(super) enum Replay {
    Input(u64, Arc<InputRow>),
    Checkpoint(Arc<Checkpoint>),
}

impl Replay {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Input(_, row) => row.body.len() + 64,
            Self::Checkpoint(row) => row.body.len() + 64,
        }
    }
}

/// The next work of the thread.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) records: Vec<Arc<Entry>>,
    pub(super) replay: Vec<Replay>,
    pub(super) observed: Vec<Observed>,
    /// A reader found the file damaged.
    pub(super) suspect: Option<String>,
    /// A caller waits for everything to be in the file.
    pub(super) flush: bool,
    pub(super) end: bool,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// Numbers up to this are in the file.
    written: u64,
    /// Numbers up to this are being written.
    in_flight: u64,
    /// The number of those that are no longer in memory. They are lost if the disk fails.
    dropped_in_flight: u64,
    replay: VecDeque<Replay>,
    replay_bytes: usize,
    replay_in_flight: usize,
    observed: Vec<Observed>,
    suspect: Option<String>,
    flush: bool,
    end: bool,
    ended: bool,
    health: JournalHealth,
    /// Since when the thread has been waiting for the disk.
    busy: Option<(Moment, i64)>,
}

/// Shared between those who add records and the journal's thread.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    wake: Condvar,
    heart: Heartbeat,
}

impl Waiting {
    pub(super) fn put(&self, entry: Arc<Entry>) {
        let mut state = self.lock();
        state.bytes += entry.weight();
        state.records.push_back(entry);
        state.forget();
        drop(state);
        self.wake.notify_one();
    }

    /// Records of earlier daemons, the latest last, before all that are in memory. Those after `written` have to be
    /// written again.
    pub(super) fn put_before(&self, earlier: Vec<Arc<Entry>>, written: u64) {
        let mut state = self.lock();
        for entry in earlier.into_iter().rev() {
            if state.records.len() >= LATEST {
                break;
            }
            state.bytes += entry.weight();
            state.records.push_front(entry);
        }
        state.written = state.written.max(written);
        state.forget();
    }

    /// Returns whether there was room.
    pub(super) fn replay(&self, row: Replay) -> bool {
        let mut state = self.lock();
        let bytes = row.bytes();
        let room = state.replay_bytes + bytes <= MAX_REPLAY_BYTES;
        if room {
            state.replay_bytes += bytes;
            state.replay.push_back(row);
        } else {
            state.health.replay_lost += 1;
        }
        drop(state);
        self.wake.notify_one();
        room
    }

    /// The thread checks these once a second; nothing waits for them.
    pub(super) fn observe(&self, observed: Observed) {
        let mut state = self.lock();
        if state.observed.len() < MAX_OBSERVED {
            state.observed.push(observed);
        } else {
            state.health.replay_lost += 1;
        }
    }

    pub(super) fn suspect(&self, why: String) {
        self.lock().suspect.get_or_insert(why);
        self.wake.notify_one();
    }

    pub(super) fn flush(&self) {
        self.lock().flush = true;
        self.wake.notify_one();
    }

    pub(super) fn end(&self) {
        self.lock().end = true;
        self.wake.notify_one();
    }

    /// Waits until there is work, `most` at the longest. While the disk is given time (`resting`), only the end and
    /// a flush count as work.
    pub(super) fn next(&self, most: Duration, resting: bool) -> Turn {
        let idle = |state: &mut State| {
            let unwritten = state.records.back().is_some_and(|last| last.seq > state.written);
            let work = !resting && (unwritten || !state.replay.is_empty());
            !(work || state.end || state.flush || state.suspect.is_some())
        };
        let waited = self.wake.wait_timeout_while(self.lock(), most, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let from = state.first_unwritten();
        Turn {
            records: state.records.range(from..).take(BATCH).cloned().collect(),
            replay: state.replay.iter().take(BATCH).cloned().collect(),
            observed: mem::take(&mut state.observed),
            suspect: state.suspect.take(),
            flush: mem::take(&mut state.flush),
            end: state.end,
        }
    }

    /// Records a beat of the thread.
    pub(super) fn beat(&self, clock: Clock) {
        self.heart.beat(clock);
    }

    pub(super) fn heart(&self) -> Heartbeat {
        self.heart.clone()
    }

    /// From now on the thread waits for the disk.
    pub(super) fn begin(&self, turn: &Turn, now: Moment, wall: i64) {
        let mut state = self.lock();
        state.busy = Some((now, wall));
        state.in_flight = turn.records.last().map_or(0, |last| last.seq);
        state.replay_in_flight = turn.replay.len();
    }

    /// The batch has been written. Returns what had failed until now, and the number of records lost in the
    /// meantime.
    pub(super) fn written(&self, turn: &Turn, took: Duration) -> Option<(Failing, u64)> {
        let mut state = self.lock();
        state.busy = None;
        if let Some(last) = turn.records.last() {
            state.written = state.written.max(last.seq);
        }
        (state.in_flight, state.dropped_in_flight) = (0, 0);
        for _ in 0..mem::take(&mut state.replay_in_flight) {
            let bytes = state.replay.pop_front().map_or(0, |row| row.bytes());
            state.replay_bytes -= bytes;
        }
        state.health.last_batch = took;
        state.health.written += turn.records.len() as u64;
        state.forget();
        let failing = state.health.failing.take();
        let lost = mem::take(&mut state.health.lost);
        drop(state);
        match failing {
            Some(failing) => Some((failing, lost)),
            None if lost > 0 => {
                Some((Failing { since: 0, why: "the disk did not keep up".to_owned() }, lost))
            }
            None => None,
        }
    }

    /// The batch has not been written. Returns whether that is new.
    pub(super) fn failed(&self, why: &str, wall: i64) -> bool {
        let mut state = self.lock();
        let since = state.busy.take().map_or(wall, |(_, since)| since);
        state.health.lost += mem::take(&mut state.dropped_in_flight);
        state.in_flight = 0;
        state.replay_in_flight = 0;
        let new = state.health.failing.is_none();
        let failing = state.health.failing.get_or_insert_with(|| Failing { since, why: String::new() });
        why.clone_into(&mut failing.why);
        new
    }

    /// The file was damaged and another one has replaced it: the records in memory are written again.
    pub(super) fn begun_anew(&self, why: &str) {
        let mut state = self.lock();
        state.written = 0;
        state.busy = None;
        state.health.lost += mem::take(&mut state.dropped_in_flight);
        state.health.damaged.push(why.to_owned());
    }

    /// Counts measurements that could not be kept.
    pub(super) fn passed_over(&self, count: u64) {
        self.lock().health.replay_lost += count;
    }

    pub(super) fn health(&self, now: Moment) -> JournalHealth {
        let state = self.lock();
        let mut health = state.health.clone();
        health.waiting = (state.records.len() - state.first_unwritten()) as u64;
        if let (None, Some((since, wall))) = (&health.failing, state.busy)
            && now.since(since) >= HANGS
        {
            health.failing = Some(Failing { since: wall, why: "the disk does not answer".to_owned() });
        }
        health
    }

    /// The records in memory, the latest last. None after the first of them is missing.
    pub(super) fn at_hand(&self) -> Vec<Arc<Entry>> {
        // Only the pointers are copied under the lock, because the core needs it, too.
        self.lock().records.iter().cloned().collect()
    }

    /// The number of the latest record; 0 if none is in memory.
    pub(super) fn last(&self) -> u64 {
        self.lock().records.back().map_or(0, |last| last.seq)
    }

    /// Whether the record with that number is in the file, or will not be soon.
    pub(super) fn is_settled(&self, seq: u64) -> bool {
        let state = self.lock();
        state.written >= seq || state.health.failing.is_some() || state.ended
    }

    /// Whether nothing is waiting, or nothing will be done about it.
    pub(super) fn is_flushed(&self) -> bool {
        let state = self.lock();
        state.ended || (state.first_unwritten() == state.records.len() && state.replay.is_empty())
    }

    pub(super) fn mark_ended(&self) {
        self.lock().ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn first_unwritten(&self) -> usize {
        self.records.partition_point(|record| record.seq <= self.written)
    }

    /// Drops what need not stay in memory, and what cannot be kept.
    fn forget(&mut self) {
        while let Some(first) = self.records.front() {
            let unwritten = first.seq > self.written;
            let many = self.records.len() > if unwritten { LATEST + MAX_WAITING } else { LATEST };
            let heavy = self.bytes > MAX_BYTES && self.records.len() > 1;
            if !many && !heavy {
                return;
            }
            if unwritten && first.seq <= self.in_flight {
                self.dropped_in_flight += 1;
            } else if unwritten {
                self.health.lost += 1;
            }
            self.bytes -= first.weight();
            self.records.pop_front();
        }
    }
}
