//! Checks whether all parts of the daemon are alive.
//!
//! ```text
//!   core, health thread, components' threads, reload, journal ──pulses──▶ a thread of its own
//!        ──▶ core::watchdog ──▶ log, a record, `status`, the service manager
//!                         └───▶ lost: the process ends itself, and is started again
//! ```
//! A thread of the operating system, because a task could be starved by the very condition that it should detect.
//! It ends the process only if waiting cannot help and the daemon is useless without the part; the applications
//! keep running, and the next daemon finds them again. A disk that hangs is not a reason: a new process has the
//! same disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_bus::recorder::Recorder;
use bellwether_core::moment::Moment;
use bellwether_core::watchdog::{HeartbeatChange, Watchdog, WatchedTask};
use tokio::sync::mpsc;

use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::{Message, Published};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::service_manager::{ServiceManager, status_line};
use bellwether_sandbox::Sandbox;

/// The exit code of a daemon that ended itself because a part of it was stalled.
pub const EXIT_LOST: i32 = 10;

/// The interval of the check.
const LOOK: Duration = Duration::from_millis(500);
/// The time for logging why the process ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The core's loop. Health answers are negative long before this limit.
pub const CORE: WatchedTask =
    WatchedTask { name: "the core", bound: Heartbeat::STALE, hope: Some(Duration::from_secs(30)) };
/// The thread that answers load balancers.
pub const HEALTH: WatchedTask = WatchedTask {
    name: "the health endpoint's thread",
    bound: Duration::from_secs(5),
    hope: Some(Duration::from_secs(20)),
};
/// The thread that answers load balancers over HTTP/2 and TLS.
pub const HEALTH_HTTP2: WatchedTask = WatchedTask {
    name: "the health endpoint's thread for HTTP/2 and TLS",
    bound: Duration::from_secs(5),
    hope: Some(Duration::from_secs(20)),
};
/// The threads that components run on.
pub const GUESTS: WatchedTask = WatchedTask {
    name: "the threads that components run on",
    bound: Duration::from_secs(10),
    hope: Some(Duration::from_secs(60)),
};
/// The task that scans the operator's folders. It may hang with a network file system.
pub const RELOAD: WatchedTask =
    WatchedTask { name: "the task that scans the folders", bound: Duration::from_secs(30), hope: None };
/// The task that looks for applications that run differently from what the files say.
pub const UNCLAIMED: WatchedTask = WatchedTask {
    name: "the task that looks for unclaimed applications",
    bound: Duration::from_secs(30),
    hope: None,
};
/// The task that informs the core of probe intervals.
pub const PROBERS: WatchedTask =
    WatchedTask { name: "the task that counts probes", bound: Duration::from_secs(30), hope: None };
/// The task that notifies load balancers that do not probe.
pub const ANNOUNCER: WatchedTask =
    WatchedTask { name: "the task that notifies load balancers", bound: Duration::from_secs(30), hope: None };
/// The task that checks for missing addresses.
pub const ADDRESSES: WatchedTask = WatchedTask {
    name: "the task that looks for missing addresses",
    bound: Duration::from_secs(30),
    hope: None,
};
/// The task that scans what applications start, where there are no control groups.
pub const DESCENDANTS: WatchedTask = WatchedTask {
    name: "the task that looks for descendants of applications",
    bound: Duration::from_secs(30),
    hope: None,
};
/// The task that looks at the farm.
pub const FARM: WatchedTask =
    WatchedTask { name: "the task that looks at the farm", bound: Duration::from_secs(30), hope: None };
/// The task that reaps orphans.
pub const ORPHANS: WatchedTask =
    WatchedTask { name: "the task that reaps orphans", bound: Duration::from_secs(30), hope: None };
/// The thread that writes the journal. It hangs with its disk, and is idle when there is nothing to write.
pub const JOURNAL: WatchedTask =
    WatchedTask { name: "the journal", bound: Duration::from_secs(30), hope: None };

/// A watched task and its heartbeat.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The task, with its limits.
    pub task: WatchedTask,
    /// The heartbeat of the task.
    pub heartbeat: Heartbeat,
}

/// The dependencies of the watchdog.
#[derive(Debug)]
pub struct Settings {
    /// Tasks that beat by themselves.
    pub watched: Vec<Watched>,
    /// Its threads are asked for a heartbeat.
    pub sandbox: Arc<Sandbox>,
    /// The daemon's time line.
    pub clock: Clock,
    /// For systemd's status line.
    pub published: Published,
    /// For problems shown in `status`.
    pub problems: Diagnostics,
    /// For records in the journal.
    pub events: mpsc::Sender<Message>,
    /// The service manager that restarts the daemon.
    pub service: ServiceManager,
}

/// The running thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Checks from now on.
pub fn start(settings: Settings) -> io::Result<Running> {
    let ending = Arc::new(AtomicBool::new(false));
    let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn({
        let ending = Arc::clone(&ending);
        move || watch(settings, &ending)
    })?;
    Ok(Running { ending, thread: Some(thread) })
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the watchdog had panicked");
            }
        }
    }
}

fn watch(mut settings: Settings, ending: &AtomicBool) {
    let guests = Heartbeat::default();
    settings.watched.push(Watched { task: GUESTS, heartbeat: guests.clone() });
    let tasks: Vec<WatchedTask> = settings.watched.iter().map(|watched| watched.task).collect();
    let mut dog = Watchdog::new(&tasks, LOOK, settings.clock.awake());
    let mut status = String::new();
    while !ending.load(Ordering::Acquire) {
        settings.sandbox.ask(&guests, settings.clock);
        let beats: Vec<Moment> = settings.watched.iter().map(|watched| watched.heartbeat.last()).collect();
        for change in dog.judge(&beats, settings.clock.awake()) {
            settings.tell(change);
        }
        settings.problems.set("watchdog", &dog.problems());
        if dog.vital() {
            settings.service.alive();
        }
        let line = dog.problems().pop().unwrap_or_else(|| status_line(&settings.published.snapshot.load()));
        if line != status {
            settings.service.status(&line);
            status = line;
        }
        std::thread::park_timeout(LOOK);
    }
}

impl Settings {
    fn tell(&self, change: HeartbeatChange) {
        let message = change.sentence();
        match change {
            HeartbeatChange::Recovered(..) => tracing::info!("{message}"),
            HeartbeatChange::Stalled(..) => tracing::error!("{message}"),
            HeartbeatChange::Lost(..) => {
                tracing::error!("{message}");
                self.service.status(&message);
                // The log is written by another thread, which cannot be waited for: it may be the one that hangs.
                std::thread::sleep(LAST_WORDS);
                std::process::exit(EXIT_LOST);
            }
        }
        // A stalled core receives it when it continues, if there is room.
        if !Recorder::new(self.events.clone()).try_say(message) {
            tracing::warn!("the core is too busy to write that down");
        }
    }
}
