//! Monitors a kept command: the end of its first process, and of the other processes of its group.

use std::sync::{Arc, Weak};

use bellwether_core::plan::Signal;
use tokio::task::JoinHandle;

use super::Inner;
use super::notify_socket::Listening;
use super::slot::Slot;
use crate::act::last_words;
use bellwether_os::process::ending::Ending;
use bellwether_os::process::group::ProcessGroup;
use bellwether_os::process::kept_table::KeptState;
use bellwether_os::process::pidfd::PidFd;
use bellwether_os::spawn::log_file;

/// A group that may have living members.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) group: ProcessGroup,
    /// Its first process, until it has been reaped.
    pub(super) leader: Option<Arc<PidFd>>,
    watcher: JoinHandle<()>,
    /// Receives its `sd_notify(3)` messages.
    pub(super) listening: Option<Listening>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Inner {
    /// From here on the process is monitored.
    pub(super) fn hold(self: &Arc<Self>, slot: &Arc<Slot>, leader: Arc<PidFd>, listening: Option<Listening>) {
        let id = leader.id();
        let notified = listening.as_ref().map(Listening::notified);
        slot.begin();
        let mut held = slot.held();
        let (inner, of_slot, process) = (Arc::downgrade(self), Arc::downgrade(slot), Arc::clone(&leader));
        let watcher = tokio::spawn(async move {
            process.exited().await;
            leader_ended(&inner, &of_slot, &process);
            drop(process);
            leftovers_end(&inner, &of_slot).await;
        });
        *held = Some(Held { group: ProcessGroup::of(id), leader: Some(leader), watcher, listening });
        slot.set_ends_by(Some(Signal::Term));
        self.states.listens(&slot.key.0, &slot.key.1, notified);
        // Before the lock is released: its end must not be published first.
        self.states.publish(&slot.key.0, &slot.key.1, KeptState::Running(id));
    }

    pub(super) fn hold_leftovers(self: &Arc<Self>, slot: &Arc<Slot>, group: ProcessGroup) {
        let mut held = slot.held();
        let (inner, of_slot) = (Arc::downgrade(self), Arc::downgrade(slot));
        let watcher = tokio::spawn(async move { leftovers_end(&inner, &of_slot).await });
        *held = Some(Held { group, leader: None, watcher, listening: None });
    }
}

/// Reaps the leader and publishes how it ended.
fn leader_ended(inner: &Weak<Inner>, slot: &Weak<Slot>, leader: &PidFd) {
    let (Some(inner), Some(slot)) = (inner.upgrade(), slot.upgrade()) else { return };
    let mut held = slot.held();
    let ending = leader.wait_status().ok().flatten().unwrap_or(Ending::Unknown);
    if let Some(held) = held.as_mut() {
        held.leader = None;
        held.listening = None;
    }
    inner.states.listens(&slot.key.0, &slot.key.1, None);
    let (module, command) = &slot.key;
    let pid = leader.id().pid;
    let log = log_file::path(&inner.home.root, module, command);
    let log = slot.log_from().map(|from| (log.as_path(), from));
    let how = last_words::of_kept(ending, slot.expects_end(), log);
    let ended = KeptState::Ended { pid, how, at: inner.clock.now() };
    inner.states.publish(module, command, ended);
    drop(held);
    tracing::info!(%module, %command, pid, "a kept process {ending}");
}

/// Forgets the group once it has no members.
async fn leftovers_end(inner: &Weak<Inner>, slot: &Weak<Slot>) {
    let Some((table, group)) = inner.upgrade().map(|inner| inner.table.clone()).zip(of(slot)) else { return };
    if let Err(error) = group.ended(&table).await {
        tracing::warn!(%error, pid = group.leader().pid, "cannot tell whether a process group has ended");
        return;
    }
    let (Some(inner), Some(slot)) = (inner.upgrade(), slot.upgrade()) else { return };
    inner.remove_control_groups(&slot);
    let forgotten = slot.held().take_if(|held| held.group == group);
    inner.write_ledger();
    // Ends this task, which has nothing left to do.
    drop(forgotten);
}

fn of(slot: &Weak<Slot>) -> Option<ProcessGroup> {
    slot.upgrade().and_then(|slot| slot.group())
}
