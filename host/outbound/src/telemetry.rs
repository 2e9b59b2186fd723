//! Exports metrics and records to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! ```text
//!   metrics ──every interval──────────▶ collector; what is not taken is in the next ones
//!   journal ──batches, by number──────▶ collector
//!      ▲ taken: the next batch     not taken: the same again, later and later
//!      └── state/telemetry.json: the last record that was taken
//! ```
//! Separate tasks, which nothing waits for. The journal itself is the queue: nothing accumulates here while the
//! collector is unavailable, and the next daemon continues after the last record that was accepted.

mod collector;
mod messages;
mod otlp;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_core::id::NodeName;
use bellwether_core::moment::plain;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

use self::collector::{Collector, NotTaken};
use self::messages::Window;
use self::otlp::{ExportLogsServiceResponse, ExportMetricsServiceResponse};
use crate::exposition::Sources;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::metrics::Signal;
use bellwether_config::spec::{HttpSpec, TelemetrySpec};
use bellwether_journal::{Journal, RecordQuery};
use bellwether_os::atomic_file;
use bellwether_os::clock::Clock;

/// The number of records in one request.
const BATCH: usize = 512;
/// Records that follow within this time are included.
const LINGER: Duration = Duration::from_secs(1);
/// The longest time between two reads of the journal.
const LOOK: Duration = Duration::from_secs(30);
/// The delay before the first retry, and the maximum for later ones.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// The path of the state, relative to the root.
const FILE: &str = "state/telemetry.json";

/// The dependencies of the export.
#[derive(Debug)]
pub struct Settings {
    /// The folder of the daemon.
    pub root: PathBuf,
    /// The name of the node.
    pub node: NodeName,
    /// The endpoint, and the intervals.
    pub spec: TelemetrySpec,
    /// The daemon's time line.
    pub clock: Clock,
    /// How requests are made: with which proxy, and which authorities.
    pub http: HttpSpec,
    /// The journal, which this daemon has not written to yet.
    pub journal: Journal,
    /// The sources of the values.
    pub sources: Sources,
    /// Shows problems of the export.
    pub problems: Diagnostics,
}

/// The tasks that export metrics and records.
#[derive(Debug)]
pub struct Telemetry {
    settings: Settings,
    collector: Collector,
    /// The last record that was accepted.
    sent: u64,
    /// Nanoseconds since the Unix epoch.
    begun: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    sent: u64,
}

impl Telemetry {
    /// Continues after the last record that was accepted; the first time, with the records from now on.
    pub fn open(settings: Settings) -> Self {
        let last = settings.journal.last_seq();
        let path = settings.root.join(FILE);
        // A new journal counts from 1 again.
        let sent = progress(&path).map_or(last, |progress| progress.sent.min(last));
        let collector = Collector::new(settings.root.clone(), &settings.spec, &settings.http);
        let begun = now(settings.clock);
        // Even if nothing is accepted before this daemon is killed.
        keep(&path, sent);
        Self { settings, collector, sent, begun }
    }

    /// Exports until it is dropped.
    pub async fn run(self) {
        tokio::join!(self.metrics(), self.records());
    }

    async fn metrics(&self) {
        let mut ticks = tokio::time::interval(self.settings.spec.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let window = Window { begun: self.begun, now: now(self.settings.clock) };
            let message = messages::metrics(&self.settings.node, self.settings.sources.families(), window);
            let taken = self.collector.take::<ExportMetricsServiceResponse>("v1/metrics", &message).await;
            let part = taken.map(|answer| answer.partial_success.map(|part| part.error_message));
            self.judge(Signal::Metrics, part, self.settings.spec.interval);
        }
    }

    async fn records(&self) {
        let mut news = self.settings.journal.follow();
        let (mut sent, mut pause) = (self.sent, FIRST_RETRY);
        loop {
            match self.batch(sent, pause).await {
                Ok(Some(last)) => {
                    (sent, pause) = (last, FIRST_RETRY);
                    self.keep(sent).await;
                }
                Ok(None) => {
                    if let Ok(Err(RecvError::Closed)) = tokio::time::timeout(LOOK, news.recv()).await {
                        return;
                    }
                    tokio::time::sleep(LINGER).await;
                    // All of them are read from the journal.
                    news = news.resubscribe();
                }
                Err(()) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// The last record of the batch after `sent`, once it has been handled; `None` if there is none.
    async fn batch(&self, sent: u64, pause: Duration) -> Result<Option<u64>, ()> {
        let query = RecordQuery { after: Some(sent), limit: BATCH, ..RecordQuery::default() };
        let entries = match self.settings.journal.records(query).await {
            Ok(entries) => entries,
            Err(error) => {
                let why = NotTaken { why: format!("the journal cannot be read: {error}"), for_good: false };
                self.judge(Signal::Logs, Err(why), pause);
                return Err(());
            }
        };
        let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(None) };
        let message = messages::logs(&self.settings.node, &entries, now(self.settings.clock));
        let taken = self.collector.take::<ExportLogsServiceResponse>("v1/logs", &message).await;
        let refused = match &taken {
            Ok(answer) => answer.partial_success.as_ref().map_or(0, |part| part.rejected),
            Err(not) if not.for_good => i64::try_from(entries.len()).unwrap_or(i64::MAX),
            Err(_) => 0,
        };
        self.settings.sources.metrics.not_exported(u64::try_from(refused).unwrap_or_default());
        let again = taken.as_ref().is_err_and(|not| !not.for_good);
        self.judge(
            Signal::Logs,
            taken.map(|answer| answer.partial_success.map(|part| part.error_message)),
            pause,
        );
        if again { Err(()) } else { Ok(Some(last)) }
    }

    /// Counts it, and shows problems in `status`. An empty error message is ignored.
    fn judge(&self, signal: Signal, taken: Result<Option<String>, NotTaken>, next: Duration) {
        let endpoint = &self.settings.spec.endpoint;
        let (ok, why) = match taken {
            Ok(part) => (true, part.filter(|message| !message.is_empty())),
            Err(not) => (false, Some(not.why)),
        };
        self.settings.sources.metrics.exported(signal, ok);
        let who = match signal {
            Signal::Metrics => "telemetry's metrics",
            Signal::Logs => "telemetry's records",
        };
        let sentence = why.map(|why| {
            let what = signal.word();
            format!("telemetry: {endpoint} does not take the {what}: {why}; tried again in {}", plain(next))
        });
        self.settings.problems.set(who, sentence.as_slice());
    }

    async fn keep(&self, sent: u64) {
        let path = self.settings.root.join(FILE);
        // It reports its own errors; a panic is in the log.
        let _ = tokio::task::spawn_blocking(move || keep(&path, sent)).await;
    }
}

fn keep(path: &Path, sent: u64) {
    let write =
        || -> std::io::Result<()> { atomic_file::replace(path, &serde_json::to_vec(&Progress { sent })?) };
    if let Err(error) = write() {
        // After a restart the collector gets some of them twice.
        tracing::warn!(%error, "{FILE} cannot be written");
    }
}

fn progress(path: &Path) -> Option<Progress> {
    let progress = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    atomic_file::remember(path);
    Some(progress)
}

fn now(clock: Clock) -> u64 {
    messages::nanos(clock.wall_micros(clock.now()))
}
