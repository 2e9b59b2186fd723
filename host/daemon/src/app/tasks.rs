//! Tasks beside the core, and whose heartbeats the watchdog looks at.

use std::io;
use std::sync::Arc;

use bellwether_core::watchdog::WatchedTask;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::service_manager::ServiceManager;
use bellwether_sandbox::Sandbox;
use tokio::task::JoinSet;

use super::base::Base;
use crate::watchdog::{self, Watched};

/// Tasks that end with the daemon.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) running: JoinSet<()>,
    watched: Vec<Watched>,
}

impl Tasks {
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    /// The watchdog looks at this heartbeat, which something sends already.
    pub(super) fn watch(&mut self, task: WatchedTask, heartbeat: Heartbeat) {
        self.watched.push(Watched { task, heartbeat });
    }

    /// A heartbeat for a task that is about to start, which the watchdog looks at.
    pub(super) fn heartbeat(&mut self, task: WatchedTask, clock: Clock) -> Heartbeat {
        let heartbeat = Heartbeat::default();
        heartbeat.beat(clock);
        self.watch(task, heartbeat.clone());
        heartbeat
    }

    /// Starts the watchdog for everything that is watched by now.
    pub(super) fn start_watchdog(
        &mut self,
        base: &Base,
        sandbox: &Arc<Sandbox>,
        service: ServiceManager,
    ) -> io::Result<watchdog::Running> {
        watchdog::start(watchdog::Settings {
            watched: std::mem::take(&mut self.watched),
            sandbox: Arc::clone(sandbox),
            clock: base.clock,
            published: base.published.clone(),
            problems: base.problems.clone(),
            events: base.events.clone(),
            service,
        })
    }
}
