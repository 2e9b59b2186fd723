//! What is known about one command.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_core::plan::Signal;

use super::ledger::Listened;
use super::notify_socket::Listening;
use super::{Held, Launched};
use bellwether_os::process::group::ProcessGroup;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::kept_table::KeptKey;

/// The state of one command.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: KeptKey,
    /// Allows one start at a time.
    pub(super) starting: Arc<tokio::sync::Mutex<()>>,
    /// The process at the gate: recorded, and not yet the application.
    pub(super) waiting: Mutex<Option<ProcessId>>,
    /// The notification socket of the process at the gate, and its initial state.
    notify: Mutex<Option<Listened>>,
    /// What its process was started with, if that is known.
    pub(super) launched: Mutex<Option<Launched>>,
    pub(super) held: Mutex<Option<Held>>,
    /// The length of its log before its process started, where that is known.
    log_from: Mutex<Option<u64>>,
    /// Its process was asked to exit, or a command ran whose purpose may have been to end it.
    end_expected: AtomicBool,
    /// The signal that asks processes outside the group to exit, if one was specified.
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

    /// The record for the next daemon.
    pub(super) fn process(&self) -> Option<ProcessId> {
        let waiting = *self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.or_else(|| self.group().map(|group| group.leader()))
    }

    /// Whether its first process is alive.
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

    /// From here on, the end of its process is not unexpected.
    pub(super) fn expect_end(&self) {
        self.end_expected.store(true, Ordering::Release);
    }

    pub(super) fn expects_end(&self) -> bool {
        self.end_expected.load(Ordering::Acquire)
    }

    /// Its process is alive, and was not asked to exit.
    pub(super) fn begin(&self) {
        self.end_expected.store(false, Ordering::Release);
    }

    /// Sets the process at the gate, and its notification socket.
    pub(super) fn set_waiting(&self, process: Option<ProcessId>, notify: Option<Listened>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = process;
        *self.notify.lock().unwrap_or_else(PoisonError::into_inner) = notify;
    }

    /// The state that it has reported, for the next daemon.
    pub(super) fn listened(&self) -> Option<Listened> {
        let held = self.held().as_ref().and_then(|held| held.listening.as_ref()).map(Listening::state);
        held.or_else(|| self.notify.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
