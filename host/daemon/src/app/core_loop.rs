//! The loop that owns the core, on a thread of its own.

use bellwether_bus::inbox::Inbox;
use bellwether_core::node::{Beginning, Node};
use bellwether_journal::input_log::InputLog;
use bellwether_supervisor::act::Actors;
use bellwether_supervisor::act::step::StepRunner;
use bellwether_supervisor::observe::Observers;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::base::Base;
use super::storage::Storage;
use super::supervision::Supervision;
use crate::driver::{Asking, Driver};

pub(super) fn build(base: &Base, storage: &Storage, supervision: &Supervision) -> Driver {
    let Supervision { context, home, kept, .. } = supervision;
    let steps = StepRunner {
        home: home.clone(),
        kept: kept.clone(),
        table: context.processes.clone(),
        states: context.kept.clone(),
    };
    let journal = storage.files.journal.clone();
    let beginning = Beginning {
        node: base.node.name.clone(),
        last_record: journal.last_seq(),
        seed: fastrand::u64(..),
        now: base.clock.now(),
    };
    Driver {
        input_log: InputLog::new(journal.clone(), &beginning),
        node: Node::new(beginning),
        clock: base.clock,
        heartbeat: base.heartbeat.clone(),
        published: base.published.clone(),
        observers: Observers::new(context.clone(), base.events.clone()),
        actors: Actors::new(context.clone(), steps, base.events.clone()),
        journal,
        persisted_state: storage.files.persisted_state.clone(),
        asking: Asking::default(),
        metrics: base.metrics.clone(),
        opening: base.opening.clone(),
        shown: bellwether_core::moment::Moment::default(),
    }
}

/// Runs until `end` completes, on a thread of its own: a core that stalls must not block the worker thread that polls the
/// sockets for all others, since tokio wakes no other worker for that, and pages and API would stall as well.
pub(super) fn start(
    driver: Driver,
    inbox: Inbox,
    end: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let (running, runtime) = (driver.run(inbox, end), Handle::current());
    tokio::task::spawn_blocking(move || runtime.block_on(running))
}
