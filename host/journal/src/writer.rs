//! The thread that writes the journal.
//!
//! ```text
//!             ┌────────── everything was written ◀─────────┐
//!             ▼                                            │
//!          writing ──the disk refuses──▶ resting ──time──▶ trying again
//!             │ ▲                          ▲                 │
//!   damaged:  │ └─ mended or begun anew    └──── refused ────┘
//!   set aside ▼─────┘
//! ```
//! It waits for work and for the disk, and nothing waits for it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_core::measurements::{Bucket, Downsampler, Series};
use tokio::sync::{mpsc, watch};

use super::aside::salvage;
use super::failure::{StoreError, is_damage, plain};
use super::health::counted;
use super::opening::{boot, mend, open_good, replace, reservation, reserve_beside};
use super::prune::Pruning;
use super::rescue::rescue;
use super::store::{Batch, Store};
use super::waiting::{LATEST, Turn, Waiting};
use super::{Settings, import, path, reader};
use bellwether_os::clock::timestamp;

/// The longest time between two iterations.
const BEAT: Duration = Duration::from_secs(1);
/// A disk that fails is retried after this time, then after twice as long, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// The interval at which old records are looked for.
const PRUNE: Duration = Duration::from_mins(1);
/// The file is checked this long after the start, and then periodically.
const CHECK: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(24));
/// The interval of the check that the file at the path is the one that is open.
const SAME: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(10) };
/// The number of closed buckets that may wait for the disk.
const BUCKETS: usize = 20_000;

/// The state of the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    settings: Settings,
    path: PathBuf,
    waiting: Arc<Waiting>,
    store: Option<Store>,
    /// What this daemon has begun to write with; `None` until then.
    begun: Option<(i64, u64)>,
    last_seq: u64,
    notices: mpsc::Sender<String>,
    turning: watch::Sender<()>,
    down: Downsampler,
    buckets: VecDeque<(Series, Bucket)>,
    pruning: Pruning,
    prune_at: Instant,
    check_at: Instant,
    /// Receives the result of a check in progress.
    checking: Option<Receiver<Option<String>>>,
    same_at: Instant,
    /// When the disk is retried, and the delay after that.
    rest: Option<(Instant, Duration)>,
    /// When a file was last moved aside.
    anew_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        settings: Settings,
        waiting: Arc<Waiting>,
        store: Option<Store>,
        last_seq: u64,
        notices: mpsc::Sender<String>,
        turning: watch::Sender<()>,
    ) -> Self {
        let now = Instant::now();
        Self {
            path: path(&settings.root),
            settings,
            waiting,
            begun: store.as_ref().map(Store::place),
            rest: store.is_none().then_some((now + RETRY.0, RETRY.0)),
            store,
            last_seq,
            notices,
            turning,
            down: Downsampler::default(),
            buckets: VecDeque::new(),
            pruning: Pruning::default(),
            prune_at: now + PRUNE,
            check_at: now + CHECK.0,
            checking: None,
            same_at: now + SAME,
            anew_at: None,
        }
    }

    pub(super) fn start(self) -> io::Result<()> {
        thread::Builder::new().name("journal".to_owned()).spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        self.waiting.beat(self.settings.clock);
        self.take_over();
        loop {
            let (most, resting) = self.patience();
            let mut turn = self.waiting.next(most, resting);
            self.waiting.beat(self.settings.clock);
            self.add_up(&mut turn);
            if turn.suspect.is_some() {
                self.check_at = Instant::now();
            }
            let due = self.rest.is_none_or(|(at, _)| at <= Instant::now() || turn.flush || turn.end);
            if due {
                self.write(&turn);
            }
            self.turning.send_replace(());
            if turn.end {
                self.end();
                return;
            }
            self.look_after();
        }
    }

    /// How long to wait for work, and whether the disk is left alone in the meantime.
    fn patience(&self) -> (Duration, bool) {
        let now = Instant::now();
        match self.rest {
            Some((at, _)) => (at.saturating_duration_since(now).min(BEAT), true),
            None => (self.prune_at.saturating_duration_since(now).min(BEAT), false),
        }
    }

    /// Data from before: the latest records, and files of earlier versions.
    fn take_over(&mut self) {
        let Some(store) = &mut self.store else { return };
        match import::import(&self.settings.root, store) {
            Ok((0, _)) => {}
            Ok((taken, damaged)) => tracing::info!(taken, damaged, "state/journal.jsonl is imported"),
            Err(error) => tracing::error!(%error, "state/journal.jsonl could not be imported; it is kept"),
        }
        // From the open file. Salvaged records are in memory already, and not in it yet.
        let latest = salvage(&self.path, LATEST);
        if let Some(last) = latest.last().map(|last| last.seq) {
            self.waiting.put_before(latest, last);
        }
        self.say_beside(reservation(self.last_seq));
    }

    fn say_beside(&self, reserved: u64) {
        if let Err(error) = reserve_beside(&self.path, reserved) {
            tracing::debug!(%error, "state/journal.reserved could not be written");
        }
    }

    /// Aggregates measurements in buckets.
    fn add_up(&mut self, turn: &mut Turn) {
        for observed in turn.observed.drain(..) {
            let second = observed.second;
            for (series, value) in observed.numbers() {
                self.buckets.extend(self.down.add(series, value, second));
            }
        }
        let closed = if turn.end { self.down.close_all() } else { self.down.close(self.second()) };
        self.buckets.extend(closed);
        let surplus = self.buckets.len().saturating_sub(BUCKETS);
        self.buckets.drain(..surplus);
        self.waiting.passed_over(surplus as u64);
    }

    fn write(&mut self, turn: &Turn) {
        let nothing = turn.records.is_empty() && turn.replay.is_empty() && self.buckets.is_empty();
        if nothing && self.rest.is_none() {
            return;
        }
        // After a failure, the file of the open store may no longer be at its path.
        if self.rest.is_some() && !self.look_for_the_file() {
            return;
        }
        let begun = Instant::now();
        self.waiting.begin(turn, self.settings.clock.now(), self.wall());
        let buckets: Vec<(Series, Bucket)> = self.buckets.iter().cloned().collect();
        let written = self.opened().and_then(|store| {
            let batch = Batch { records: &turn.records, replay: &turn.replay, buckets: &buckets };
            Ok((store.write(batch)?, store.place()))
        });
        match written {
            Ok((reserved, place)) => {
                self.begun = Some(place);
                self.buckets.clear();
                self.rest = None;
                // A record that counts as written can be found by the next daemon. It is written again until it
                // can.
                if !self.look_for_the_file() {
                    return;
                }
                let failed = self.waiting.written(turn, begun.elapsed());
                self.tell_of_recovery(failed);
                if let Some(reserved) = reserved {
                    self.say_beside(reserved);
                }
            }
            Err(StoreError::Useless(why)) => self.mend(&why),
            Err(StoreError::NotNow(why)) => self.rest(&why),
        }
    }

    fn tell_of_recovery(&self, failed: Option<(super::Failing, u64)>) {
        let Some((failing, lost)) = failed else { return };
        tracing::info!(lost, "the journal can be written again");
        if lost > 0 {
            let since = if failing.since == 0 {
                String::new()
            } else {
                format!(" from {} to {}", timestamp(failing.since), timestamp(self.wall()))
            };
            self.notice(format!(
                "the journal could not be written{since} ({}): {} {} lost",
                failing.why,
                counted(lost),
                if lost == 1 { "is" } else { "are" }
            ));
        }
    }

    /// The open file; opened again if the disk failed before.
    fn opened(&mut self) -> Result<&mut Store, StoreError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => self.open()?,
        };
        Ok(self.store.insert(store))
    }

    fn open(&mut self) -> Result<Store, StoreError> {
        let (mut store, given) = open_good(&self.path)?;
        match self.begun {
            Some(place) => store.go_on(place),
            // The first time: a file that could not be read until now may contain other numbers.
            None if given.record > self.last_seq => {
                let why = "its records could not be read at the start, and have the numbers of newer ones";
                return Err(StoreError::Useless(why.to_owned()));
            }
            None => store.begin(&boot(&self.settings), self.last_seq)?,
        }
        Ok(store)
    }

    fn rest(&mut self, why: &str) {
        // A broken connection cannot detect its own damage. A store whose file is no longer at its path is kept:
        // its content exists nowhere else.
        self.store = self.store.take().filter(|store| !store.is_at(&self.path));
        let rest = self.rest.map_or(RETRY.0, |(_, rest)| (rest * 2).min(RETRY.1));
        self.rest = Some((Instant::now() + rest, rest));
        if self.waiting.failed(why, self.wall()) {
            tracing::error!("the journal cannot be written: {why}; records wait in memory");
        }
    }

    /// The file is damaged. If it is only the full-text index, only that is rebuilt.
    fn mend(&mut self, why: &str) {
        self.store = None;
        // The numbers of a file that this daemon has never written may be unusable: an index does not change that.
        if self.begun.is_none() || !mend(&self.path) {
            return self.begin_anew(why);
        }
        self.rest = Some((Instant::now(), RETRY.0));
        self.notice(format!(
            "the journal's index for searching was damaged ({why}) and is rebuilt: no record is lost, \
             and a search of what was written before takes longer"
        ));
    }

    /// The file is unusable: another one replaces it, with all records in memory.
    fn begin_anew(&mut self, why: &str) {
        self.store = None;
        self.begun = None;
        self.last_seq = self.last_seq.max(self.waiting.last());
        match replace(&self.path, why, self.wall()) {
            Ok((note, _)) => {
                tracing::error!("{note}");
                self.waiting.begun_anew(&note);
                self.notice(note);
                let now = Instant::now();
                // A disk that damages one file after the other does not get the next one immediately.
                let again = self.anew_at.replace(now).is_some_and(|before| now - before < PRUNE);
                let rest = if again { RETRY.1 } else { Duration::ZERO };
                self.rest = Some((now + rest, RETRY.0));
            }
            Err(error) => self.rest(&format!("{why}, and it cannot be moved aside: {error}")),
        }
    }

    fn notice(&self, text: String) {
        if let Err(error) = self.notices.try_send(text) {
            tracing::warn!("not in the journal: {}", error.into_inner());
        }
    }

    /// Does the periodic work between two batches.
    fn look_after(&mut self) {
        let now = Instant::now();
        if self.prune_at <= now {
            self.prune();
        }
        if self.same_at <= now {
            self.same_at = now + SAME;
            self.look_for_the_file();
        }
        let damage = self.checked();
        // A file that has replaced the open one does not belong to the open one.
        let in_place = self.store.as_ref().is_none_or(|store| store.is_at(&self.path));
        if let Some(why) = damage.filter(|_| in_place) {
            self.mend(&why);
        }
        if self.check_at <= now && self.checking.is_none() && self.store.is_some() {
            self.check_at = now + CHECK.1;
            self.check();
        }
    }

    fn prune(&mut self) {
        let now = self.settings.clock.now();
        // A wall clock that was set ahead does not make records old.
        let now = self.settings.clock.wall_micros(now).min(now.as_micros());
        let Some(store) = &mut self.store else {
            self.prune_at = Instant::now() + PRUNE;
            return;
        };
        let more = self.pruning.turn(&mut store.connection, &self.settings.spec, now);
        match more {
            // The next step follows the next batch, or comes soon.
            Ok(true) => self.prune_at = Instant::now() + Duration::from_millis(5),
            Ok(false) => self.prune_at = Instant::now() + PRUNE,
            Err(error) if is_damage(&error) => self.mend(&plain(&error)),
            Err(error) => {
                tracing::warn!(%error, "old records could not be removed from the journal");
                self.prune_at = Instant::now() + PRUNE;
            }
        }
    }

    /// A file that was removed or replaced is not written any more: its content is copied to a new one. Returns
    /// whether everything that was written is in the file at its path.
    fn look_for_the_file(&mut self) -> bool {
        if self.store.as_ref().is_none_or(|store| store.is_at(&self.path)) {
            return true;
        }
        let wall = self.wall();
        match rescue(&mut self.store, &self.path, wall) {
            Ok(()) => {
                self.rest = Some((Instant::now(), RETRY.0));
                self.say_beside(self.begun.map_or(self.last_seq, |(_, reserved)| reserved));
                let note = "state/journal.db was removed or replaced while the daemon ran: it is restored, \
                            and no record is lost";
                tracing::error!("{note}");
                self.notice(note.to_owned());
                true
            }
            Err(StoreError::NotNow(why)) => {
                self.rest(&format!("its file was removed or replaced, and cannot be restored: {why}"));
                false
            }
            Err(StoreError::Useless(why)) => {
                self.begin_anew(&format!("it was removed or replaced, and cannot be restored: {why}"));
                false
            }
        }
    }

    /// Has the file checked by a separate thread, which only reads.
    fn check(&mut self) {
        let (tell, told) = sync_channel(1);
        let path = self.path.clone();
        let checks = move || {
            // An error that is not damage is ignored; the next check comes later.
            let _ = tell.send(find_damage(&path));
        };
        match thread::Builder::new().name("journal-check".to_owned()).spawn(checks) {
            Ok(_) => self.checking = Some(told),
            Err(error) => tracing::warn!(%error, "the journal could not be checked"),
        }
    }

    fn checked(&mut self) -> Option<String> {
        match self.checking.as_ref()?.try_recv() {
            Ok(found) => {
                self.checking = None;
                found
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.checking = None;
                None
            }
        }
    }

    fn end(&mut self) {
        // What came while the last batch was written; bounded, because there may always be more.
        for _ in 0..16 {
            if self.waiting.is_flushed() || self.rest.is_some() {
                break;
            }
            let turn = self.waiting.next(Duration::ZERO, false);
            self.write(&turn);
        }
        let health = self.waiting.health(self.settings.clock.now());
        if health.waiting + health.lost > 0 {
            tracing::error!(
                waiting = health.waiting,
                lost = health.lost,
                "records are missing from the journal"
            );
        }
        let last = self.last_seq.max(self.waiting.last());
        if let Some(store) = self.store.take() {
            match store.close(last) {
                Ok(()) => self.say_beside(last),
                Err(error) => tracing::error!(%error, "the journal could not be closed in order"),
            }
        }
        self.waiting.mark_ended();
        self.turning.send_replace(());
    }

    fn wall(&self) -> i64 {
        self.settings.clock.wall_micros(self.settings.clock.now())
    }

    fn second(&self) -> i64 {
        self.wall().div_euclid(1_000_000)
    }
}

/// The damage of the file, if there is any.
fn find_damage(path: &Path) -> Option<String> {
    let check = || -> rusqlite::Result<String> {
        reader::open(path)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(found) if found == "ok" => None,
        Ok(found) => Some(found),
        Err(error) => is_damage(&error).then(|| plain(&error)),
    }
}
