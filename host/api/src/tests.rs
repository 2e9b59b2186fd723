use std::time::Duration;

use bellwether_core::command::{Command, DeniedReason};
use bellwether_core::event::DesiredState;
use bellwether_core::plan::Incident;
use bellwether_core::record::{FarmEvent, Record};

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
        desired: DesiredState::default(),
        next: Some(at + Duration::from_secs(2)),
        restarts: 1,
        restarts_allowed: 3,
        restarts_within: Duration::from_hours(24),
        processes: vec![ProcessFact { pid: 42, name: "nginx".into() }],
        checkers: [CheckerView {
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
        }]
        .into_iter()
        .collect(),
        ..ModuleView::empty(ModuleName::new("web").unwrap(), StateName::Backoff)
    }
}

/// The parts that do not differ between runs: the wall clock may be adjusted by microseconds while the test runs,
/// so moments are cut to the minute.
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
    let incident =
        Incident { at, checker: CheckerName::new("home").unwrap(), summary: "refused".into(), observations };
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
        RecordKind::Farm {
            event: FarmEvent::NotHeard,
            peer: NodeName::new("n2").ok(),
            message: "n2 is not heard any more".into(),
            by: None,
        },
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
