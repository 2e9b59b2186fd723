//! What is known of one command.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_core::plan::Signal;

use super::ledger::Listened;
use super::notify_socket::Listening;
use super::{Held, Launched};
use bellwether_os::process::group::ProcessGroup;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::kept_table::KeptKey;

/// What belongs to one command.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: KeptKey,
    /// One start at a time.
    pub(super) starting: Arc<tokio::sync::Mutex<()>>,
    /// What waits at the gate: written down, and not yet the application.
    pub(super) waiting: Mutex<Option<ProcessId>>,
    /// Where what waits there will say how it is, and that it has said nothing.
    notify: Mutex<Option<Listened>>,
    /// What its process was started with, if that is known.
    pub(super) launched: Mutex<Option<Launched>>,
    pub(super) held: Mutex<Option<Held>>,
    /// How long its log was before its process wrote there, where that is known.
    log_from: Mutex<Option<u64>>,
    /// Its process was told to end, or a command ran that may have been there to end it.
    end_expected: AtomicBool,
    /// What has left the group is asked to end by this, if somebody has said so.
    pub(super) ends_by: Mutex<Option<Signal>>,
    /// The command that its processes were started as, before another module took them over.
    pub(super) former: Mutex<Option<KeptKey>>,
}

impl Slot {
    pub(super) fn new(key: KeptKey) -> Self {
        Self {
            key,
            starting: Arc::default(),
            waiting: Mutex::default(),
            notify: Mutex::default(),
            launched: Mutex::default(),
            held: Mutex::default(),
            log_from: Mutex::default(),
            end_expected: AtomicBool::default(),
            ends_by: Mutex::default(),
            former: Mutex::default(),
        }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn group(&self) -> Option<ProcessGroup> {
        self.held().as_ref().map(|held| held.group)
    }

    /// What the next daemon has to look for.
    pub(super) fn process(&self) -> Option<ProcessId> {
        let waiting = *self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.or_else(|| self.group().map(|group| group.leader()))
    }

    /// Whether its first process lives.
    pub(super) fn is_led(&self) -> bool {
        let leader = self.held().as_ref().and_then(|held| held.leader.clone());
        leader.is_some_and(|leader| !leader.has_ended())
    }

    pub(super) fn ends_by(&self) -> Option<Signal> {
        *self.ends_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_ends_by(&self, signal: Option<Signal>) {
        *self.ends_by.lock().unwrap_or_else(PoisonError::into_inner) = signal;
    }

    pub(super) fn former(&self) -> Option<KeptKey> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_former(&self, key: Option<KeptKey>) {
        *self.former.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    pub(super) fn launched(&self) -> Option<Launched> {
        self.launched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_launched(&self, launched: Option<Launched>) {
        *self.launched.lock().unwrap_or_else(PoisonError::into_inner) = launched;
    }

    pub(super) fn log_from(&self) -> Option<u64> {
        *self.log_from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_log_from(&self, from: Option<u64>) {
        *self.log_from.lock().unwrap_or_else(PoisonError::into_inner) = from;
    }

    /// From here on an end of its process is not out of the blue.
    pub(super) fn expect_end(&self) {
        self.end_expected.store(true, Ordering::Release);
    }

    pub(super) fn expects_end(&self) -> bool {
        self.end_expected.load(Ordering::Acquire)
    }

    /// Its process lives, and nothing has told it to end.
    pub(super) fn begin(&self) {
        self.end_expected.store(false, Ordering::Release);
    }

    /// What waits at the gate, and where it will say how it is.
    pub(super) fn set_waiting(&self, process: Option<ProcessId>, notify: Option<Listened>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = process;
        *self.notify.lock().unwrap_or_else(PoisonError::into_inner) = notify;
    }

    /// What has been said of itself, for the next daemon.
    pub(super) fn listened(&self) -> Option<Listened> {
        let held = self.held().as_ref().and_then(|held| held.listening.as_ref()).map(Listening::state);
        held.or_else(|| self.notify.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
