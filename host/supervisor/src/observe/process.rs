//! Monitors the processes of one process checker.
//!
//! ```text
//!            ┌──── enough of them ───▶ Held ──── one ends ─────────┐
//!   look ────┤                          │ ▲── the interval is over ┤──▶ look
//!     ▲      └──── too few ──▶ Missing  └───────────────────────── ┘
//!     └──── something may have started ───┘
//! ```
//! While there are enough, nothing is polled: the kernel reports when one ends. While some are missing, a cheap
//! check (has any process started?) is made often, and a scan only if so. A kept process needs no check: its table
//! reports when it starts and ends.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use bellwether_core::id::ModuleName;
use bellwether_core::moment::Moment;
use bellwether_core::observation::{Observation, Status};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use bellwether_config::spec::ProcessSpec;
use bellwether_os::clock::Clock;
use bellwether_os::process::find::Find;
use bellwether_os::process::find::{Finder, Found};
use bellwether_os::process::kept_table::{KeptState, KeptTable};
use bellwether_os::process::notified::Notified;
use bellwether_os::process::stat::Stat;
use bellwether_os::process::table::{ProcessTable, newest_pid};
use bellwether_os::process::usage::{Usage, UsageMeter};
pub(crate) use judgement::label;
use judgement::{Sight, judge};

use wake::unless_one_ends;

mod judgement;
mod said;
mod wake;

/// The age that a table may have for a scan without an urgent reason, so that checkers which scan at about the same
/// time share it.
const SHARED: Duration = Duration::from_millis(20);

/// The data that every process checker of a module needs.
#[derive(Debug, Clone)]
pub struct ProcessContext {
    /// The daemon's time line.
    pub clock: Clock,
    /// The processes of this node.
    pub table: ProcessTable,
    /// The processes that the host keeps.
    pub kept: KeptTable,
    /// The module that the checker belongs to.
    pub module: ModuleName,
}

/// Monitors until it is dropped, or the receiver is closed. Observes immediately, then at each `interval`, and
/// whenever the processes found change. `eager` checks more often for missing processes.
pub async fn watch_processes(
    spec: ProcessSpec,
    interval: Duration,
    eager: bool,
    context: ProcessContext,
    out: mpsc::Sender<Observation>,
) {
    let mut watcher = Watcher::new(spec, eager, context);
    let mut news = News::Due;
    let mut due = Instant::now();
    loop {
        let sight = watcher.look(news).await;
        let changed = watcher.changed(&sight);
        if news == News::Due || changed {
            let observation = watcher.observe(&sight);
            if out.send(observation).await.is_err() {
                return;
            }
        }
        if news == News::Due {
            due = Instant::now() + interval;
        }
        watcher.remember(sight);
        news = watcher.wait(due).await;
    }
}

/// The time from the end of a kept process until it is published how it ended. It takes a millisecond; an
/// overloaded machine gets more time.
const TOLD_WITHIN: Duration = Duration::from_millis(200);

/// Why the processes are scanned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// The interval is over.
    Due,
    /// A process has ended: scan immediately.
    Ended,
    /// A process may have started.
    MayHaveStarted,
}

struct Watcher {
    spec: ProcessSpec,
    eager: bool,
    clock: Clock,
    finder: Finder,
    meter: UsageMeter,
    /// A measurement in progress.
    measuring: Option<JoinHandle<(Option<Usage>, UsageMeter)>>,
    kept: Option<watch::Receiver<KeptState>>,
    /// The reported state of the process, if it is a kept one with a notification socket.
    notified: Option<watch::Receiver<Notified>>,
    newest: Newest,
    /// The result of the last scan; `None` before the first.
    last: Option<Last>,
    began: Moment,
}

/// The process that was started last on this node.
struct Newest {
    pid: Option<u32>,
    /// When it was seen that it is the last.
    since: Instant,
}

/// What is remembered of a scan.
struct Last {
    processes: Vec<Stat>,
    absence: Option<String>,
    remark: Option<String>,
    notified: Option<Notified>,
    could_look: bool,
}

impl Watcher {
    fn new(spec: ProcessSpec, eager: bool, context: ProcessContext) -> Self {
        let ProcessContext { clock, table, kept, module } = context;
        let subscription = match &spec.find {
            Find::Kept(command) => Some(kept.subscribe(&module, command)),
            _ => None,
        };
        let (find, containers, of) = (spec.find.clone(), spec.containers, spec.of);
        let finder = Finder { find, containers, of, known: None, module, table, kept };
        Self {
            spec,
            eager,
            finder,
            meter: UsageMeter::default(),
            measuring: None,
            kept: subscription,
            notified: None,
            newest: Newest { pid: None, since: Instant::now() },
            last: None,
            began: clock.now(),
            clock,
        }
    }

    async fn look(&mut self, news: News) -> io::Result<Sight> {
        self.began = self.clock.now();
        if let Some(kept) = &mut self.kept {
            // Changes from here on are reported.
            kept.borrow_and_update();
        }
        if let Find::Kept(command) = &self.spec.find {
            self.notified = self.finder.kept.notified(&self.finder.module, command);
        }
        let notified = self.notified.as_mut().map(|notified| notified.borrow_and_update().clone());
        if self.finder.scans() {
            let pid = newest_pid().ok();
            if pid != self.newest.pid {
                self.newest = Newest { pid, since: Instant::now() };
            }
        }
        let mut found = self.find(news).await?;
        let mut usage = None;
        if news == News::Due && !found.processes.is_empty() {
            let measured = unless_one_ends(self.measure(&found.processes), &found.processes).await;
            match measured {
                Some(measured) => usage = measured?,
                // Their usage is measured at the next scan.
                None => found = self.find(News::Ended).await?,
            }
        }
        let Found { processes, absence, remark, others, hidden, ended: has_ended } = found;
        let ended = self.ended(&processes);
        Ok(Sight { processes, absence, usage, ended, remark, others, hidden, has_ended, notified })
    }

    async fn find(&mut self, news: News) -> io::Result<Found> {
        let not_older_than = if news == News::Ended { Duration::ZERO } else { SHARED };
        let mut found = self.finder.look(not_older_than).await?;
        if found.absence.is_some() && self.ending_is_told().await {
            found = self.finder.look(not_older_than).await?;
        }
        if let Some(found) = found.processes.first() {
            self.finder.known = Some(found.clone());
        }
        Ok(found)
    }

    /// A process has ended, and how it ended is about to be published: wait for that.
    async fn ending_is_told(&mut self) -> bool {
        let Some(kept) = &mut self.kept else { return false };
        let running = kept.borrow().running().is_some();
        running && tokio::time::timeout(TOLD_WITHIN, kept.changed()).await.is_ok_and(|told| told.is_ok())
    }

    /// On a separate thread: listing the open files of a large process takes a while. A measurement that was
    /// abandoned is completed before the next one begins.
    async fn measure(&mut self, processes: &[Stat]) -> io::Result<Option<Usage>> {
        if let Some(before) = &mut self.measuring {
            let ended = before.await;
            self.measuring = None;
            self.meter = ended.map_err(io::Error::other)?.1;
        }
        let (mut meter, processes) = (std::mem::take(&mut self.meter), processes.to_vec());
        let measure = move || (meter.measure(&processes, Instant::now()), meter);
        let ended = self.measuring.insert(tokio::task::spawn_blocking(measure)).await;
        self.measuring = None;
        let (usage, meter) = ended.map_err(io::Error::other)?;
        self.meter = meter;
        Ok(usage)
    }

    /// The ids of the processes of the last scan that are gone.
    fn ended(&self, processes: &[Stat]) -> Vec<u32> {
        let now = identities(processes);
        let before = self.last.iter().flat_map(|last| &last.processes);
        before.filter(|stat| !now.contains(&(stat.pid, stat.start_time))).map(|stat| stat.pid).collect()
    }

    /// Whether the processes differ from those of the last scan.
    fn changed(&self, sight: &io::Result<Sight>) -> bool {
        let Some(last) = &self.last else { return true };
        match sight {
            Ok(sight) => {
                !last.could_look
                    || last.absence != sight.absence
                    || last.remark != sight.remark
                    || last.notified != sight.notified
                    || identities(&last.processes) != identities(&sight.processes)
            }
            Err(_) => last.could_look,
        }
    }

    fn observe(&self, sight: &io::Result<Sight>) -> Observation {
        let now = self.clock.now();
        let mut observation = match sight {
            Ok(sight) => judge(&self.spec, sight, now),
            // A failed scan is not the application's fault.
            Err(error) => Observation::new(Status::Unknown, format!("could not look: {error}"), now),
        };
        observation.took = now.since(self.began);
        observation
    }

    fn remember(&mut self, sight: io::Result<Sight>) {
        let could_look = sight.is_ok();
        let Sight { processes, absence, remark, notified, .. } = sight.unwrap_or_default();
        self.last = Some(Last { processes, absence, remark, notified, could_look });
    }
}

fn identities(processes: &[Stat]) -> BTreeSet<(u32, u64)> {
    processes.iter().map(|stat| (stat.pid, stat.start_time)).collect()
}

#[cfg(test)]
mod tests;
