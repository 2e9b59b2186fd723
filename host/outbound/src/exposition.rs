//! The page for Prometheus: `OpenMetrics` text, version 1.0.
//!
//! Labels are few and have few values: modules, checkers, states and results. Prometheus adds the node's address
//! itself.

mod family;
mod page;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_core::snapshot::{ModuleView, Snapshot};
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::mpsc;

pub use self::family::{Family, Kind, Value};
use self::page::{Labels, Page, SECONDS};
use crate::notify::Board;
use bellwether_bus::Message;
use bellwether_bus::component_counts::{ComponentCounts, PublishedComponentCounts};
use bellwether_bus::farm_counts::{FarmCounts, PublishedFarmCounts};
use bellwether_bus::metrics::{
    COMMAND_RESULTS, CheckerCounts, Count, Counts, EXPORT_RESULTS, Metrics, PLAN_RESULTS, RELOAD_RESULTS,
    STATUSES, STEP_RESULTS, Signal,
};
use bellwether_journal::{Journal, JournalHealth};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::process::own::OwnUse;

/// The sources of the values.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The counters of the daemon.
    pub metrics: Metrics,
    /// The latest snapshot of all modules.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The heartbeat of the core.
    pub heartbeat: Heartbeat,
    /// The daemon's time line.
    pub clock: Clock,
    /// The queue of the core.
    pub events: mpsc::WeakSender<Message>,
    /// How many components there are.
    pub components: PublishedComponentCounts,
    /// The nodes of the farm.
    pub farm: PublishedFarmCounts,
    /// The state of the notification targets.
    pub board: Board,
    /// The state of the journal.
    pub journal: Journal,
}

/// Renders the page for Prometheus.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    pub fn new(sources: Sources) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(sources));
        Self(registry)
    }

    /// The page. An error means that the text could not be written.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.0)?;
        Ok(page)
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.write(Page::text(encoder))
    }
}

impl Sources {
    /// The same values, for other formats.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        // Only writing text can fail.
        let _ = self.write(Page::list(&mut families));
        families
    }

    fn write(&self, mut page: Page<'_>) -> fmt::Result {
        let snapshot = self.snapshot.load_full();
        self.metrics.forget_all_but(&snapshot);
        let counts = self.metrics.counts();
        page.modules(&snapshot)?;
        page.module_counts(counts)?;
        page.checkers(&snapshot)?;
        page.checks(counts)?;
        self.core(counts, &mut page)?;
        page.journal(counts, &self.journal.health())?;
        page.files(counts, self.components.get())?;
        page.farm(&self.farm.get())?;
        page.health(counts)?;
        page.notifications(&self.board)?;
        page.exports(counts)?;
        page.process(&OwnUse::now())
    }

    fn core(&self, counts: &Counts, page: &mut Page<'_>) -> fmt::Result {
        let alive = self.heartbeat.alive(self.clock);
        let queue = self.events.upgrade().map_or(0, |events| events.max_capacity() - events.capacity());
        page.gauge("bellwether_core_alive", "1 while the core is running", None, [(NONE, yes(alive))])?;
        page.gauge(
            "bellwether_core_queue_length",
            "Events and commands that wait for the core",
            None,
            [(NONE, number(queue as u64))],
        )?;
        let events = number(counts.core.events.get());
        page.counter("bellwether_core_events", "Events that the core has handled", None, [(NONE, events)])?;
        let busy = counts.core.busy.seconds();
        let help = "Time that the core and its loop spent on events";
        page.counter("bellwether_core_busy_seconds", help, SECONDS, [(NONE, busy)])?;
        let lag = counts.core.lag.read();
        let help = "Delay of the timers of the core's loop";
        page.histogram("bellwether_core_lag_seconds", help, [(NONE, lag)])
    }
}

const NONE: Labels = Vec::new();
const BYTES: Option<&Unit> = Some(&Unit::Bytes);

impl Page<'_> {
    fn modules(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let each = |value: fn(&ModuleView) -> f64| {
            let series = move |module: &Arc<ModuleView>| (of_module(module.name.as_str()), value(module));
            snapshot.modules.iter().map(series).collect::<Vec<_>>()
        };
        let help = "1 if the health check passes";
        self.gauge("bellwether_module_ready", help, None, each(|module| yes(module.ready)))?;
        let states = snapshot.modules.iter().flat_map(|module| {
            StateName::ALL.iter().map(|state| {
                let labels = vec![("module", module.name.to_string()), ("state", state.to_string())];
                (labels, yes(module.state == *state))
            })
        });
        self.gauge("bellwether_module_state", "1 for the state that the module is in", None, states)?;
        let help = "1 while nothing is acted on (maintenance)";
        self.gauge("bellwether_module_suspended", help, None, each(|module| yes(module.desired.suspended)))?;
        let help = "Automatic restarts that the budget allows within its window";
        let allowed = each(|module| f64::from(module.restarts_allowed));
        self.gauge("bellwether_module_restart_budget", help, None, allowed)?;
        let left = each(|module| f64::from(module.restarts_allowed.saturating_sub(module.restarts)));
        let help = "Automatic restarts that are left within the window";
        self.gauge("bellwether_module_restart_budget_left", help, None, left)
    }

    fn module_counts(&mut self, counts: &Counts) -> fmt::Result {
        let modules = counts.modules.all();
        let restarts =
            modules.iter().map(|(name, module)| (of_module(name.as_str()), number(module.restarts.get())));
        self.counter("bellwether_restarts", "Automatic restarts", None, restarts)?;
        let incidents =
            modules.iter().map(|(name, module)| (of_module(name.as_str()), number(module.incidents.get())));
        let help = "Checkers that went down while the application should be running";
        self.counter("bellwether_incidents", help, None, incidents)?;
        let plans = modules.iter().flat_map(|(name, module)| {
            by_result(Some(name.as_str()), &PLAN_RESULTS, module.plans.iter().map(Count::get))
        });
        self.counter("bellwether_plans", "Answers of restart scripts", None, plans)?;
        let steps = modules.iter().flat_map(|(name, module)| {
            by_result(Some(name.as_str()), &STEP_RESULTS, module.steps.iter().map(Count::get))
        });
        self.counter("bellwether_steps", "Steps of plans that were carried out", None, steps)?;
        let commands = by_result(None, &COMMAND_RESULTS, counts.commands.iter().map(Count::get));
        self.counter("bellwether_commands", "Commands of users", None, commands)
    }

    fn checkers(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let verdicts = snapshot.modules.iter().flat_map(|module| {
            let checkers = module.checkers.iter();
            checkers.flat_map(move |checker| {
                VERDICTS.iter().map(move |verdict| {
                    let mut labels = of_checker(module.name.as_str(), checker.name.as_str());
                    labels.push(("state", verdict.to_string()));
                    (labels, yes(checker.verdict == *verdict))
                })
            })
        });
        let help = "1 for the verdict of the checker";
        self.gauge("bellwether_checker_verdict", help, None, verdicts)
    }

    fn checks(&mut self, counts: &Counts) -> fmt::Result {
        let checkers = counts.checkers.all();
        let each = |value: fn(&CheckerCounts) -> f64| {
            checkers
                .iter()
                .map(|((module, checker), counts)| {
                    (of_checker(module.as_str(), checker.as_str()), value(counts))
                })
                .collect::<Vec<_>>()
        };
        let runs = checkers.iter().flat_map(|((module, checker), counts)| {
            STATUSES.iter().zip(&counts.runs).map(|(status, runs)| {
                let mut labels = of_checker(module.as_str(), checker.as_str());
                labels.push(("result", status.to_string()));
                (labels, number(runs.get()))
            })
        });
        self.counter("bellwether_check_runs", "Runs of checkers, by result", None, runs)?;
        let took = checkers.iter().map(|((module, checker), counts)| {
            (of_checker(module.as_str(), checker.as_str()), counts.took.read())
        });
        self.histogram("bellwether_check_duration_seconds", "Duration of checker runs", took)?;
        let cpu = each(|counts| counts.spent.cpu.seconds());
        self.counter("bellwether_check_cpu_seconds", "CPU time of component checkers", SECONDS, cpu)?;
        let memory = each(|counts| number(counts.spent.memory.load(std::sync::atomic::Ordering::Relaxed)));
        let help = "Peak memory of the last run of a component checker";
        self.gauge("bellwether_check_memory_bytes", help, BYTES, memory)?;
        let refusals = each(|counts| number(counts.spent.refusals.get()));
        let help = "Accesses of component checkers that were not granted";
        self.counter("bellwether_check_refusals", help, None, refusals)
    }

    fn journal(&mut self, counts: &Counts, health: &JournalHealth) -> fmt::Result {
        let records = number(counts.records.get());
        self.counter("bellwether_journal_records", "Records of the journal", None, [(NONE, records)])?;
        let ok = number(u64::from(health.failing.is_none()));
        self.gauge("bellwether_journal_ok", "Whether the journal can be written", None, [(NONE, ok)])?;
        let waiting = number(health.waiting);
        self.gauge("bellwether_journal_waiting", "Records that wait for the disk", None, [(NONE, waiting)])?;
        let help = "Records that could not be kept since the journal was last written";
        self.gauge("bellwether_journal_lost", help, None, [(NONE, number(health.lost))])?;
        let help = "Duration of writing the last batch of records";
        let took = health.last_batch.as_secs_f64();
        self.gauge("bellwether_journal_last_batch_seconds", help, SECONDS, [(NONE, took)])
    }

    fn files(&mut self, counts: &Counts, components: ComponentCounts) -> fmt::Result {
        let reloads = by_result(None, &RELOAD_RESULTS, counts.reloads.iter().map(Count::get));
        self.counter("bellwether_reloads", "Files that were activated or rejected", None, reloads)?;
        let quarantines = number(counts.quarantines.get());
        let help = "Component versions that were quarantined";
        self.counter("bellwether_quarantines", help, None, [(NONE, quarantines)])?;
        let ComponentCounts { active, refused, quarantined, waiting } = components;
        let states =
            [("in-force", active), ("refused", refused), ("quarantined", quarantined), ("waiting", waiting)];
        let states = states.map(|(state, count)| (vec![("state", state.to_owned())], number(count)));
        let help = "Active components, and component files that are not active";
        self.gauge("bellwether_components", help, None, states)
    }

    fn farm(&mut self, counts: &FarmCounts) -> fmt::Result {
        let FarmCounts { nodes, certificates } = counts;
        let series = |label: &'static str, values: &[(&'static str, u64)]| {
            let value = |(of, value): &(&'static str, u64)| (vec![(label, (*of).to_owned())], number(*value));
            values.iter().map(value).collect::<Vec<_>>()
        };
        let help = "Nodes of the farm, as this node sees them";
        self.gauge("bellwether_farm_nodes", help, None, series("state", nodes))?;
        let help =
            "When this node's certificate and the farm's authority expire, in seconds since the Unix epoch";
        let certificates = series("certificate", certificates);
        self.gauge("bellwether_farm_certificate_expiry_time_seconds", help, SECONDS, certificates)
    }

    fn health(&mut self, counts: &Counts) -> fmt::Result {
        let answers = [("yes", &counts.health.yes), ("no", &counts.health.no)];
        let answers =
            answers.map(|(result, count)| (vec![("result", result.to_owned())], number(count.get())));
        self.counter("bellwether_health_answers", "Answers to load balancers", None, answers)
    }

    fn notifications(&mut self, board: &Board) -> fmt::Result {
        let targets = board.targets();
        let labels = |target: &bellwether_core::id::TargetName| vec![("target", target.to_string())];
        let load =
            |count: &std::sync::atomic::AtomicU64| number(count.load(std::sync::atomic::Ordering::Relaxed));
        let tries = targets.iter().flat_map(|(target, _, counts)| {
            [("delivered", &counts.delivered), ("failed", &counts.failed)].map(|(result, count)| {
                (vec![("target", target.to_string()), ("result", result.to_owned())], load(count))
            })
        });
        self.counter("bellwether_notification_tries", "Attempts to deliver notifications", None, tries)?;
        let given_up = targets.iter().map(|(target, _, counts)| (labels(target), load(&counts.given_up)));
        let help = "Notifications that could not be delivered";
        self.counter("bellwether_notifications_given_up", help, None, given_up)?;
        let waiting =
            targets.iter().map(|(target, standing, _)| (labels(target), number(standing.waiting as u64)));
        self.gauge("bellwether_notifications_waiting", "Notifications to be delivered", None, waiting)
    }

    fn exports(&mut self, counts: &Counts) -> fmt::Result {
        let tries = Signal::ALL.iter().zip(&counts.exports).flat_map(|(signal, results)| {
            let results = EXPORT_RESULTS.iter().zip(results);
            results.map(|(result, count)| {
                let labels = vec![("signal", signal.word().to_owned()), ("result", (*result).to_owned())];
                (labels, number(count.get()))
            })
        });
        self.counter("bellwether_telemetry_exports", "Requests to the collector", None, tries)?;
        let lost = number(counts.not_exported.get());
        let help = "Records that the collector rejected";
        self.counter("bellwether_telemetry_records_refused", help, None, [(NONE, lost)])
    }

    /// The names are those of every client library.
    fn process(&mut self, own: &OwnUse) -> fmt::Result {
        let info = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        self.gauge("bellwether_build_info", "The daemon's version", None, [(info, 1.0)])?;
        let one = |value: Option<f64>| value.map(|value| (NONE, value));
        self.gauge("process_resident_memory_bytes", "Resident memory", BYTES, one(own.memory))?;
        self.gauge("process_open_fds", "Open file descriptors", None, one(own.open_files))?;
        self.gauge("process_max_fds", "Maximum number of file descriptors", None, one(own.max_open_files))?;
        self.gauge("process_threads", "Threads", None, one(own.threads))?;
        let help = "Start of the process, in seconds after the Unix epoch";
        self.gauge("process_start_time_seconds", help, SECONDS, one(own.started))?;
        self.counter("process_cpu_seconds", "CPU time, user and system", SECONDS, one(own.cpu))
    }
}

fn of_module(module: &str) -> Labels {
    vec![("module", module.to_owned())]
}

fn of_checker(module: &str, checker: &str) -> Labels {
    vec![("module", module.to_owned()), ("checker", checker.to_owned())]
}

fn by_result(
    module: Option<&str>,
    results: &[&'static str],
    counts: impl Iterator<Item = u64>,
) -> Vec<(Labels, f64)> {
    let series = results.iter().zip(counts).map(|(result, count)| {
        let mut labels = module.map(of_module).unwrap_or_default();
        labels.push(("result", (*result).to_owned()));
        (labels, number(count))
    });
    series.collect()
}

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Exact up to 2^53, which no value here ever reaches.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
fn number(count: u64) -> f64 {
    count as f64
}

const VERDICTS: [Verdict; 3] = [Verdict::Up, Verdict::Down, Verdict::Undecided];
