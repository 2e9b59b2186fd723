//! What clients of the API see: the snapshot, the records and the answers as JSON.
//!
//! Moments are RFC 3339 in UTC, durations are in the unit that their name says.
//! Fields are added, never renamed: scripts of operators rely on them.

use std::collections::BTreeMap;

use bellwether_core::attention::Attention;
use bellwether_core::command::{Command, CommandOutcome};
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
mod measurements;
pub mod notifications;
mod parts;
mod problem_response;
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

/// Everything about a node: `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// The node.
    #[schemars(with = "String")]
    pub node: NodeName,
    /// Grows with every change.
    pub generation: u64,
    /// When this was true.
    pub at: String,
    /// Its worst problem, in one sentence.
    #[serde(default)]
    pub headline: String,
    /// By name.
    pub modules: Vec<ModuleStatus>,
    /// Checkers and restart scripts that are loaded, or cannot be.
    pub components: Vec<ComponentStatus>,
    /// Refused files, and the reasons.
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
    /// Its address: `https://node-1:9013/`.
    pub url: String,
    /// The SHA-256 fingerprint of its certificate, if it has one: `AB:CD:…`.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// When the certificate expires.
    #[serde(default)]
    pub certificate_ends: Option<String>,
}

/// One module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleStatus {
    /// Its name.
    #[schemars(with = "String")]
    pub name: ModuleName,
    /// The generation in which last changed what a person decides by. A command that carries
    /// an earlier one is refused.
    #[serde(default)]
    pub changed: u64,
    /// How much attention it needs.
    #[serde(default)]
    #[schemars(with = "shapes::Attention")]
    pub attention: Attention,
    /// Its state.
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
    /// Until then, if it is suspended for a time.
    #[serde(default)]
    pub suspended_until: Option<String>,
    /// The desired state.
    pub wanted: Wanted,
    /// The time of the next automatic step.
    pub next: Option<String>,
    /// Automatic restarts within the budget's window.
    pub restarts: u32,
    /// The restart budget.
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
    /// By name.
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

/// The restart budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetStatus {
    /// The number of automatic restarts.
    pub restarts: u32,
    /// The sliding time window, for people: `1d`.
    pub within: String,
    /// The same in seconds.
    pub within_s: u64,
}

/// One checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckerStatus {
    /// Its name.
    #[schemars(with = "String")]
    pub name: CheckerName,
    /// Native or component.
    #[schemars(with = "shapes::Kind")]
    pub kind: CheckerKind,
    /// The action when it goes down.
    #[schemars(with = "shapes::OnDown")]
    pub on_down: OnDown,
    /// Its verdict.
    #[schemars(with = "shapes::Verdict")]
    pub verdict: Verdict,
    /// Since when.
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
    /// Its last observation.
    pub last: Option<ObservationStatus>,
}

/// The observation of one run of a checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObservationStatus {
    /// The outcome.
    #[schemars(with = "shapes::Status")]
    pub status: Status,
    /// One sentence.
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
    /// The time.
    pub at: String,
    /// The node.
    #[schemars(with = "String")]
    pub node: NodeName,
    /// The module, if it concerns one.
    #[schemars(with = "Option<String>")]
    pub module: Option<ModuleName>,
    /// The kind of record: `verdict`, `state`, …
    pub kind: String,
    /// The record in one sentence.
    pub text: String,
    /// What else is known of it, by its kind.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandAnswer {
    /// Whether anything will be done.
    pub outcome: CommandWord,
    /// What will be done, or why nothing will be.
    pub detail: String,
}

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandWord {
    /// It will be done.
    Accepted,
    /// There is nothing to do.
    AlreadySo,
    /// It will not be done.
    Denied,
}

/// The answer to why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyAnswer {
    /// The module.
    #[schemars(with = "String")]
    pub module: ModuleName,
    /// Its state in one sentence.
    pub headline: String,
    /// Since when.
    pub since: String,
    /// The events that led to it, the latest last.
    pub chain: Vec<WhyLink>,
    /// The next automatic step, or what an operator can do.
    pub next: String,
    /// The arguments of `bellwether` for that.
    pub command: Option<String>,
}

/// One entry of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyLink {
    /// The time.
    pub at: String,
    /// Its role in the chain.
    #[schemars(with = "shapes::Link")]
    pub role: why::Role,
    /// The event in plain words.
    pub text: String,
}

/// The status of [`Problem::unconfirmed`], and of nothing else: Precondition Required (RFC 6585).
pub const UNCONFIRMED: u16 = 428;

/// An error, as RFC 9457 has it, with what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The kind of error, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The details of this error.
    pub detail: String,
    /// What to do next.
    pub next: String,
}

impl NodeStatus {
    /// The snapshot, with what only the daemon knows beside it.
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
    /// Since when it is what its word says: see [`ModuleView::shown_since`].
    pub fn shown_since(&self) -> &str {
        // Moments in UTC, all of one form: their texts are in their order.
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
            suspended: view.wish.suspended,
            suspended_until: view.wish.suspended_until.map(|until| clock.timestamp(until)),
            wanted: if view.wish.started { Wanted::Started } else { Wanted::Stopped },
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

/// What the kind knows, as an object. Written out, because the core's own form has
/// moments in microseconds and may change with the core.
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
    /// The core's explanation of `module`, from these records. What happened is shown
    /// as the wall clock had it then.
    pub fn new(module: ModuleName, why: why::Why, entries: &[Entry], clock: Clock) -> Self {
        let by_moment: BTreeMap<Moment, &Entry> = entries.iter().map(|entry| (entry.at, entry)).collect();
        // What a checker saw is told by a record shortly behind it.
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
            next: why.next.sentence,
            command: why.next.command,
        }
    }
}

impl Problem {
    /// No module of that name.
    pub fn no_such_module(name: &str) -> Self {
        Self {
            title: "no such module".into(),
            status: 404,
            detail: format!("there is no module `{name}` on this node"),
            next: "see `bellwether status` for the modules that there are, or add a file to `modules/`"
                .into(),
        }
    }

    /// A command that is not carried out.
    pub fn denied(module: &ModuleName, command: Command, reason: &str) -> Self {
        Self {
            title: "denied".into(),
            status: 409,
            detail: format!("`{command} {module}` is not carried out: {reason}"),
            next: format!("see `bellwether why {module}`"),
        }
    }

    /// A command that has to be confirmed first.
    pub fn unconfirmed(module: &ModuleName, command: Command) -> Self {
        Self {
            title: "not confirmed".into(),
            status: UNCONFIRMED,
            detail: format!("`{command} {module}` is not confirmed: no other node serves `{module}`"),
            next: format!(
                "to {command} it nevertheless, send the same request with `confirm={module}`; the command line takes --yes"
            ),
        }
    }

    /// The request makes no sense.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self {
            title: "bad request".into(),
            status: 400,
            detail: detail.into(),
            next: "correct the request; `bellwether help` lists what can be asked".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::command::DeniedReason;
    use bellwether_core::event::Wish;
    use bellwether_core::plan::Incident;
    use bellwether_core::record::Record;

    use super::*;

    const AT: i64 = 1_774_000_000_123_456;

    fn entry(kind: RecordKind) -> Entry {
        let (at, node, module) =
            (Moment::from_micros(AT), NodeName::new("n1").unwrap(), ModuleName::new("web").ok());
        Entry { record: Record { seq: 7, at, node, module, kind }, wall: AT }
    }

    fn module() -> ModuleView {
        let at = Moment::from_micros(AT);
        let mut observation = Observation::new(Status::Warn, "slow", at);
        observation.took = Duration::from_micros(1500);
        ModuleView {
            since: at,
            ready_since: at,
            reason: "it ended at once".into(),
            wish: Wish::default(),
            next: Some(at + Duration::from_secs(2)),
            restarts: 1,
            restarts_allowed: 3,
            restarts_within: Duration::from_hours(24),
            processes: vec![ProcessFact { pid: 42, name: "nginx".into() }],
            checkers: vec![CheckerView {
                name: CheckerName::new("home").unwrap(),
                kind: CheckerKind::Component,
                on_down: OnDown::Restart,
                verdict: Verdict::Down,
                since: at,
                watched: true,
                on_probation: false,
                definition: 0xab,
                interval: Duration::from_secs(5),
                next: None,
                last: Some(std::sync::Arc::new(observation)),
            }],
            ..ModuleView::empty(ModuleName::new("web").unwrap(), StateName::Backoff)
        }
    }

    /// What does not differ from run to run: the wall clock may be adjusted by
    /// microseconds while the test runs, so moments are cut to the minute.
    fn without_seconds(value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with("2026-") => text.truncate("2026-03-20T09:46".len()),
            Value::Array(values) => values.iter_mut().for_each(without_seconds),
            Value::Object(fields) => fields.values_mut().for_each(without_seconds),
            _ => {}
        }
    }

    #[test]
    fn the_status_has_every_field_that_scripts_rely_on() {
        let mut value = serde_json::to_value(ModuleStatus::new(&module(), Clock::start())).unwrap();
        without_seconds(&mut value);
        assert_eq!(
            value,
            json!({
                "name": "web", "changed": 0, "attention": "down", "state": "backoff", "ready": false, "ready_since": "2026-03-20T09:46", "since": "2026-03-20T09:46",
                "reason": "it ended at once", "suspended": false, "suspended_until": null, "wanted": "started",
                "next": "2026-03-20T09:46", "restarts": 1,
                "budget": { "restarts": 3, "within": "1d", "within_s": 86400 },
                "drain_s": 0.0, "probed_every_s": null, "drain_needed_s": null, "plan": null,
                "processes": [{ "pid": 42, "name": "nginx" }],
                "checkers": [{
                    "name": "home", "kind": "component", "on_down": "restart", "verdict": "down",
                    "since": "2026-03-20T09:46", "watched": true, "on_probation": false,
                    "definition": "00000000000000ab", "interval_s": 5.0, "next": null,
                    "last": { "status": "warn", "summary": "slow", "at": "2026-03-20T09:46",
                              "took_us": 1500, "measurements": [] },
                }],
            })
        );
    }

    #[test]
    fn an_event_is_one_flat_object_with_moments_in_utc() {
        let at = Moment::from_micros(AT);
        let observations = vec![PastObservation { at, status: Status::Fail, summary: "refused".into() }];
        let incident = Incident {
            at,
            checker: CheckerName::new("home").unwrap(),
            summary: "refused".into(),
            observations,
        };
        let line = EventLine::new(&entry(RecordKind::Incident { incident }));
        let mut value = serde_json::to_value(&line).unwrap();
        without_seconds(&mut value);
        assert_eq!(
            value,
            json!({
                "seq": 7, "at": "2026-03-20T09:46", "node": "n1", "module": "web", "kind": "incident",
                "text": "incident: checker `home` is down: refused", "checker": "home", "summary": "refused",
                "observations": [{ "at": "2026-03-20T09:46", "status": "fail", "summary": "refused" }],
            })
        );
    }

    #[test]
    fn events_come_back_as_they_went() {
        let by = "root on the local socket".to_owned();
        let outcome = CommandOutcome::Denied(DeniedReason::Waiting("db".into()));
        for kind in [
            RecordKind::Command { command: Command::Start, by, outcome },
            RecordKind::State { from: StateName::Up, to: StateName::Waiting, reason: "db".into() },
            RecordKind::NoPlan { occasion: "stop".into(), reason: "trap".into() },
            RecordKind::CannotTell {
                checker: CheckerName::new("home").unwrap(),
                runs: 3,
                summary: "not granted".into(),
            },
            RecordKind::Step { step: "run `stop`".into(), ok: false, result: "exit 1".into() },
            RecordKind::Daemon { message: "started".into() },
        ] {
            let line = EventLine::new(&entry(kind));
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<EventLine>(&text).unwrap(), line);
        }
    }

    #[test]
    fn an_event_names_its_kind_as_the_journal_does() {
        let kind = RecordKind::NoPlan { occasion: "stop".into(), reason: "trap".into() };
        let journal = serde_json::to_value(&kind).unwrap();
        let line = EventLine::new(&entry(kind));
        assert_eq!(Some(line.kind.as_str()), journal["kind"].as_str());
    }
}
