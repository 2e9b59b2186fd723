//! The API's view of the snapshot, the records and the answers, as JSON.
//!
//! Moments are RFC 3339 in UTC, durations are in the unit that their name says. Fields are added, but never
//! renamed: operators' scripts rely on them.

use std::collections::BTreeMap;

use bellwether_core::attention::Attention;
use bellwether_core::command::CommandOutcome;
use bellwether_core::drain::needed_instead;
use bellwether_core::headline::NodeCounts;
use bellwether_core::id::{CheckerName, ModuleName, NodeName};
use bellwether_core::moment::{Moment, plain};
use bellwether_core::observation::{Measurement, Observation, ProcessFact, Status};
use bellwether_core::plan::PastObservation;
use bellwether_core::policy::{CheckerKind, OnDown};
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::{CheckerView, ModuleView, PlanView, Snapshot};
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;
use bellwether_core::why;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use bellwether_bus::Entry;
use bellwether_os::clock::Clock;

pub mod accounts;
mod components;
pub mod configuration;
pub mod farm;
mod measurements;
pub mod notifications;
mod parts;
mod problem;
pub mod shapes;
pub mod time_format;

pub use self::accounts::{MeAnswer, OneTimeAnswer, TokenAnswer, TokenLine, UserLine};
pub use self::components::{
    ApprovalAnswer, AskLine, ComponentDetail, ComponentKind, ComponentStatus, CostStatus, Origin,
    QuarantineStatus, UseLine, WaitingStatus,
};
pub use self::configuration::{ConfigurationAnswer, FileStatus};
pub use self::measurements::{MeasurementsAnswer, PointStatus, SeriesStatus};
pub use self::notifications::{NotifyStatus, TestAnswer};
pub use self::parts::{LogAnswer, PlanAnswer};
pub use self::problem::{Problem, UNCONFIRMED};

/// Everything about a node: `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// The name of the node.
    #[schemars(with = "String")]
    pub node: NodeName,
    /// Increases with every change.
    pub generation: u64,
    /// The time of the snapshot.
    pub at: String,
    /// Its worst problem, in one sentence.
    #[serde(default)]
    pub headline: String,
    /// All modules, ordered by name.
    pub modules: Vec<ModuleStatus>,
    /// Checkers and restart scripts, including those that could not be loaded.
    pub components: Vec<ComponentStatus>,
    /// Rejected files, and other problems of the daemon.
    pub problems: Vec<String>,
    /// The notification targets, and the state of delivery.
    #[serde(default)]
    pub notifications: Vec<NotifyStatus>,
    /// The address and certificate of the console, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<ConsoleStatus>,
}

/// The address and certificate of the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsoleStatus {
    /// The address of the console: `https://node-1:9013/`.
    pub url: String,
    /// The SHA-256 fingerprint of its certificate, if it has one: `AB:CD:…`.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// When the certificate expires.
    #[serde(default)]
    pub certificate_ends: Option<String>,
}

/// The status of one module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleStatus {
    /// The name of the module.
    #[schemars(with = "String")]
    pub name: ModuleName,
    /// The generation in which a relevant fact for an operator's decision last changed. A command that carries an
    /// earlier one is rejected.
    #[serde(default)]
    pub changed: u64,
    /// How much attention it needs.
    #[serde(default)]
    #[schemars(with = "shapes::Attention")]
    pub attention: Attention,
    /// The state of the module.
    #[schemars(with = "shapes::State")]
    pub state: StateName,
    /// The answer to the health check.
    pub ready: bool,
    /// Since when it is in this state.
    pub since: String,
    /// Since when the health check has this answer, as far as this daemon knows.
    #[serde(default)]
    pub ready_since: String,
    /// Why it is in this state, and why it is not ready if it is not.
    pub reason: String,
    /// No automatic action is taken (maintenance).
    pub suspended: bool,
    /// The end of the suspension, if it has a duration.
    #[serde(default)]
    pub suspended_until: Option<String>,
    /// The desired state of the application.
    pub wanted: Wanted,
    /// The time of the next automatic step.
    pub next: Option<String>,
    /// Automatic restarts within the budget's window.
    pub restarts: u32,
    /// The limit of automatic restarts.
    pub budget: BudgetStatus,
    /// How long the health check fails before the application is stopped, in seconds.
    #[serde(default)]
    pub drain_s: f64,
    /// The probe interval of the slowest load balancer that probes regularly, in seconds.
    #[serde(default)]
    pub probed_every_s: Option<f64>,
    /// The drain that this interval needs, in seconds, if the module's file sets a shorter one.
    #[serde(default)]
    pub drain_needed_s: Option<f64>,
    /// The plan in progress.
    #[schemars(with = "Option<shapes::Plan>")]
    pub plan: Option<PlanView>,
    /// The processes that its process checkers find.
    #[schemars(with = "Vec<shapes::Process>")]
    pub processes: Vec<ProcessFact>,
    /// All checkers, ordered by name.
    pub checkers: Vec<CheckerStatus>,
}

/// The desired state of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The application should run.
    Started,
    /// It should not run.
    Stopped,
}

/// The limit of automatic restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetStatus {
    /// The number of automatic restarts.
    pub restarts: u32,
    /// The sliding time window in a readable form: `1d`.
    pub within: String,
    /// The same in seconds.
    pub within_s: u64,
}

/// The status of one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckerStatus {
    /// The name of the checker.
    #[schemars(with = "String")]
    pub name: CheckerName,
    /// Native, or a component.
    #[schemars(with = "shapes::Kind")]
    pub kind: CheckerKind,
    /// The action when it goes down.
    #[schemars(with = "shapes::OnDown")]
    pub on_down: OnDown,
    /// The verdict of the checker.
    #[schemars(with = "shapes::Verdict")]
    pub verdict: Verdict,
    /// Since when it has this verdict.
    pub since: String,
    /// Whether it is currently being run.
    pub watched: bool,
    /// It was added or changed while the application was up, and has not been up since: until then its
    /// results have no effect, unless an operator confirms it.
    #[serde(default)]
    pub on_probation: bool,
    /// A hexadecimal digest of what it observes and how often; it changes when they do.
    #[serde(default)]
    pub definition: String,
    /// The usual time from the start of one run to the start of the next, in seconds.
    #[serde(default)]
    pub interval_s: f64,
    /// The approximate time of the next run; absent if it is not being run, or has not been run yet.
    #[serde(default)]
    pub next: Option<String>,
    /// The observation of its last run.
    pub last: Option<ObservationStatus>,
}

/// The observation of one run of a checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObservationStatus {
    /// The status of the observation.
    #[schemars(with = "shapes::Status")]
    pub status: Status,
    /// The result in one sentence.
    pub summary: String,
    /// When the run ended.
    pub at: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The measurements of the run.
    #[schemars(with = "Vec<shapes::Measurement>")]
    pub measurements: Vec<Measurement>,
}

/// One record: `GET /api/v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventLine {
    /// The number of the record on this node, from 1.
    pub seq: u64,
    /// The time of the record.
    pub at: String,
    /// The name of the node.
    #[schemars(with = "String")]
    pub node: NodeName,
    /// The module, if it concerns one.
    #[schemars(with = "Option<String>")]
    pub module: Option<ModuleName>,
    /// The kind of record: `verdict`, `state`, …
    pub kind: String,
    /// The record in one sentence.
    pub text: String,
    /// Further fields, which depend on the kind.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandAnswer {
    /// Whether the command will be carried out.
    pub outcome: CommandWord,
    /// What will be done, or why nothing will be done.
    pub detail: String,
}

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandWord {
    /// It will be carried out.
    Accepted,
    /// There is nothing to do.
    AlreadySo,
    /// It will not be carried out.
    Denied,
}

/// The explanation of a module's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyAnswer {
    /// The name of the module.
    #[schemars(with = "String")]
    pub module: ModuleName,
    /// Its state in one sentence.
    pub headline: String,
    /// Since when it has this state.
    pub since: String,
    /// The events that led to it, the latest last.
    pub chain: Vec<WhyLink>,
    /// What waits for an operator: files of the module that are not active.
    #[serde(default)]
    pub waits: Vec<String>,
    /// The next automatic step, or what an operator can do.
    pub next: String,
    /// The arguments of `bellwether` for that.
    pub command: Option<String>,
}

/// One entry of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyLink {
    /// The time of the event.
    pub at: String,
    /// Its role in the chain.
    #[schemars(with = "shapes::Link")]
    pub role: why::Role,
    /// The event in plain words.
    pub text: String,
}

impl NodeStatus {
    /// The snapshot, with the data that only the daemon has.
    pub fn new(
        snapshot: &Snapshot,
        components: Vec<ComponentStatus>,
        problems: Vec<String>,
        clock: Clock,
    ) -> Self {
        Self {
            node: snapshot.node.clone(),
            generation: snapshot.generation,
            at: clock.timestamp(snapshot.at),
            headline: NodeCounts::of(snapshot.modules.iter().map(AsRef::as_ref)).headline().sentence,
            modules: snapshot.modules.iter().map(|m| ModuleStatus::new(m, clock)).collect(),
            components,
            problems,
            notifications: Vec::new(),
            console: None,
        }
    }
}

impl ModuleStatus {
    /// Since when its displayed state is the same: see [`ModuleView::shown_since`].
    pub fn shown_since(&self) -> &str {
        // Moments in UTC have a fixed form, so their texts have the same order.
        if self.state == StateName::Up { self.since.as_str().max(&self.ready_since) } else { &self.since }
    }

    /// One module of a snapshot.
    pub fn new(view: &ModuleView, clock: Clock) -> Self {
        Self {
            name: view.name.clone(),
            changed: view.changed,
            attention: Attention::of(view),
            state: view.state,
            ready: view.ready,
            since: clock.timestamp(view.since),
            ready_since: clock.timestamp(view.ready_since),
            reason: view.reason.clone(),
            suspended: view.desired.suspended,
            suspended_until: view.desired.suspended_until.map(|until| clock.timestamp(until)),
            wanted: if view.desired.started { Wanted::Started } else { Wanted::Stopped },
            next: view.next.filter(|next| *next != Moment::NEVER).map(|next| clock.timestamp(next)),
            restarts: view.restarts,
            budget: BudgetStatus {
                restarts: view.restarts_allowed,
                within: plain(view.restarts_within),
                within_s: view.restarts_within.as_secs(),
            },
            drain_s: view.drain.as_secs_f64(),
            probed_every_s: view.probed_every.map(|every| every.as_secs_f64()),
            drain_needed_s: needed_instead(view.drain, view.probed_every).map(|needed| needed.as_secs_f64()),
            plan: view.plan.clone(),
            processes: view.processes.clone(),
            checkers: view.checkers.iter().map(|c| CheckerStatus::new(c, clock)).collect(),
        }
    }
}

impl CheckerStatus {
    fn new(view: &CheckerView, clock: Clock) -> Self {
        Self {
            name: view.name.clone(),
            kind: view.kind,
            on_down: view.on_down,
            verdict: view.verdict,
            since: clock.timestamp(view.since),
            watched: view.watched,
            on_probation: view.on_probation,
            definition: format!("{:016x}", view.definition),
            interval_s: view.interval.as_secs_f64(),
            next: view.next.map(|next| clock.timestamp(next)),
            last: view.last.as_ref().map(|last| ObservationStatus::new(last, clock)),
        }
    }
}

impl ObservationStatus {
    /// One run of a checker.
    pub fn new(observation: &Observation, clock: Clock) -> Self {
        Self {
            status: observation.status,
            summary: observation.summary.clone(),
            at: clock.timestamp(observation.at),
            took_us: u64::try_from(observation.took.as_micros()).unwrap_or(u64::MAX),
            measurements: observation.measurements.clone(),
        }
    }
}

impl EventLine {
    /// One record of the journal.
    pub fn new(entry: &Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.timestamp(entry.at),
            node: entry.node.clone(),
            module: entry.module.clone(),
            kind: entry.kind.word().to_owned(),
            text: entry.kind.sentence(),
            fields: match fields(entry) {
                Value::Object(fields) => fields,
                _ => Map::new(),
            },
        }
    }
}

/// The fields of the kind, as an object. Written out, because the core's own form has moments in microseconds and
/// may change with the core.
fn fields(entry: &Entry) -> Value {
    match &entry.kind {
        RecordKind::Verdict { checker, from, to, status, summary } => {
            json!({ "checker": checker, "from": from, "to": to, "status": status, "summary": summary })
        }
        RecordKind::Incident { incident } => {
            let past = |o: &PastObservation| json!({ "at": entry.timestamp(o.at), "status": o.status, "summary": o.summary });
            let observations: Vec<Value> = incident.observations.iter().map(past).collect();
            json!({
                "checker": incident.checker, "summary": incident.summary, "observations": observations,
            })
        }
        RecordKind::CannotTell { checker, runs, summary } => {
            json!({ "checker": checker, "runs": runs, "summary": summary })
        }
        RecordKind::Decision { decision, reason } => json!({ "decision": decision, "reason": reason }),
        RecordKind::State { from, to, reason } => json!({ "from": from, "to": to, "reason": reason }),
        RecordKind::Plan { occasion, summary, steps } => {
            json!({ "occasion": occasion, "summary": summary, "steps": steps })
        }
        RecordKind::NoPlan { occasion, reason } => json!({ "occasion": occasion, "reason": reason }),
        RecordKind::Step { step, ok, result } => json!({ "step": step, "ok": ok, "result": result }),
        RecordKind::Command { command, by, outcome } => {
            let CommandAnswer { outcome, detail } = outcome.into();
            json!({ "command": command, "by": by, "outcome": outcome, "detail": detail })
        }
        RecordKind::Reload { what, ok, detail } => json!({ "what": what, "ok": ok, "detail": detail }),
        RecordKind::Quarantine { what, digest, why, tries, next } => json!({
            "what": what, "digest": digest, "why": why, "tries": tries, "next": entry.timestamp(*next),
        }),
        RecordKind::Approval { what, digest, asks, by } => {
            json!({ "what": what, "digest": digest, "asks": asks, "by": by })
        }
        RecordKind::Access { by, what } => json!({ "by": by, "what": what }),
        RecordKind::Farm { event, peer, message, by } => {
            json!({ "event": event, "peer": peer, "message": message, "by": by })
        }
        RecordKind::Daemon { message } => json!({ "message": message }),
    }
}

impl From<&CommandOutcome> for CommandAnswer {
    fn from(outcome: &CommandOutcome) -> Self {
        let (outcome, detail) = match outcome {
            CommandOutcome::Accepted(what) => (CommandWord::Accepted, what.clone()),
            CommandOutcome::AlreadySo(why) => (CommandWord::AlreadySo, why.clone()),
            CommandOutcome::Denied(why) => (CommandWord::Denied, why.to_string()),
        };
        Self { outcome, detail }
    }
}

impl WhyAnswer {
    /// The core's explanation of `module`, from these records. Events have the time of the wall clock at that time.
    pub fn new(module: ModuleName, why: why::Why, entries: &[Entry], clock: Clock) -> Self {
        let by_moment: BTreeMap<Moment, &Entry> = entries.iter().map(|entry| (entry.at, entry)).collect();
        // The observation of a checker is in a record shortly after it.
        let shown = |at: Moment| match by_moment.range(at..).next() {
            Some((_, entry)) => entry.timestamp(at),
            None => clock.timestamp(at),
        };
        let link = |link: why::Link| WhyLink { at: shown(link.at), role: link.role, text: link.text };
        Self {
            module,
            headline: why.headline,
            since: shown(why.since),
            chain: why.chain.into_iter().map(link).collect(),
            waits: why.waits,
            next: why.next.sentence,
            command: why.next.command,
        }
    }
}

#[cfg(test)]
mod tests;
