use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::{CheckerName, ModuleName, NodeName};
use crate::observation::{Measurement, Observation, Status};
use crate::policy::{CheckerKind, OnDown};
use crate::snapshot::CheckerView;
use crate::verdict::Verdict;

const STATES: [StateName; 9] = [
    StateName::Stopped,
    StateName::Starting,
    StateName::Up,
    StateName::Restarting,
    StateName::Backoff,
    StateName::Failed,
    StateName::Draining,
    StateName::Stopping,
    StateName::Waiting,
];

fn name(text: &str) -> ModuleName {
    ModuleName::new(text).unwrap()
}

fn module(of: &str, state: StateName, ready: bool) -> ModuleView {
    ModuleView { ready, reason: format!("because of {of}"), ..ModuleView::empty(name(of), state) }
}

fn checker(name: &str, verdict: Verdict, status: Status) -> CheckerView {
    let mut last = Observation::new(status, format!("{name} says\nso"), Moment::from_micros(7));
    last.measurements = vec![
        Measurement { name: "response-time".into(), value: 12.5, unit: "ms".into() },
        Measurement { name: "sessions".into(), value: 3.0, unit: String::new() },
        Measurement { name: "odd".into(), value: f64::NAN, unit: String::new() },
    ];
    CheckerView {
        name: CheckerName::new(name).unwrap(),
        kind: CheckerKind::Component,
        on_down: OnDown::Restart,
        verdict,
        since: Moment::default(),
        watched: true,
        on_probation: false,
        definition: 1,
        interval: Duration::from_secs(5),
        next: None,
        last: Some(Arc::new(last)),
    }
}

fn snapshot(modules: Vec<ModuleView>) -> Snapshot {
    Snapshot {
        modules: modules.into_iter().map(Arc::new).collect(),
        ..Snapshot::empty(NodeName::new("node-1").unwrap(), Moment::default())
    }
}

fn core(alive: bool) -> Core {
    if alive { Core::Turns } else { Core::Stalled }
}

fn line_of(snapshot: &Snapshot, alive: bool, module: Option<&str>) -> String {
    agent_line(snapshot, core(alive), &Agent { module: module.map(name), owns: false }, Moment::default())
}

/// The same for an agent that owns the administrative state.
fn owners_line_of(snapshot: &Snapshot, module: Option<&str>) -> String {
    agent_line(snapshot, Core::Turns, &Agent { module: module.map(name), owns: true }, Moment::default())
}

fn ask(snapshot: &Snapshot, alive: bool, target: &str) -> (Code, String) {
    let answer = answer(snapshot, core(alive), Question::new(target, false), |_| String::new());
    match answer.body {
        Body::Plain(text) => (answer.code, text.into_owned()),
        Body::Report(report) => panic!("no report was requested: {report:?}"),
    }
}

fn ask_report(snapshot: &Snapshot, alive: bool, target: &str) -> (Code, Report) {
    let answer =
        answer(snapshot, core(alive), Question::new(target, true), |m| format!("at {}", m.as_micros()));
    match answer.body {
        Body::Plain(text) => panic!("a report was asked for: {text}"),
        Body::Report(report) => (answer.code, *report),
    }
}

#[test]
fn who_disables_on_404_gets_it_while_all_that_does_not_serve_drains() {
    use Code::{NotFound, Ok, Unavailable};
    for state in STATES {
        let snapshot = snapshot(vec![module("web", state, state == StateName::Up)]);
        let code = match state {
            StateName::Up => Ok,
            StateName::Draining => NotFound,
            _ => Unavailable,
        };
        assert_eq!(ask(&snapshot, true, "/haproxy/web").0, code, "{state:?}");
        assert_eq!(ask(&snapshot, true, "/haproxy").0, code, "{state:?}");
        assert_eq!(ask(&snapshot, false, "/haproxy/web").0, Unavailable, "{state:?}");
        assert_eq!(ask(&snapshot, true, "/haproxy/mail").0, Unavailable);
    }
    let draining = module("web", StateName::Draining, false);
    let both = snapshot(vec![draining.clone(), module("mail", StateName::Up, true)]);
    assert_eq!(ask(&both, true, "/haproxy").0, NotFound);
    let worse = snapshot(vec![draining, module("mail", StateName::Failed, false)]);
    assert_eq!(ask(&worse, true, "/haproxy").0, Unavailable);
    assert_eq!(ask(&worse, true, "/haproxy/").0, Unavailable);
    assert_eq!(ask(&worse, true, "/haproxy/web/x").0, NotFound);
}

#[test]
fn a_target_asks_one_question() {
    use Question::{Elsewhere, Health, ReadyFile};
    use Subject::{All, Module};
    for (target, question) in [
        ("/", Health(All)),
        ("*", Health(All)),
        ("/health", Health(All)),
        ("/health/", Health(All)),
        ("/health?from=lb", Health(All)),
        ("/health/web", Health(Module("web"))),
        ("/health/web/?x=/y", Health(Module("web"))),
        ("http://10.0.0.1:9010/health/web", Health(Module("web"))),
        ("http://10.0.0.1:9010", Health(All)),
        ("/health/web/x", Elsewhere),
        ("/healthy", Elsewhere),
        ("//health", Elsewhere),
        ("/var/modules/web/ready.txt", ReadyFile("web")),
        ("/var/modules/web/ready.txt/?x", ReadyFile("web")),
        ("/var/modules//ready.txt", Elsewhere),
        ("/var/modules/a/b/ready.txt", Elsewhere),
        ("/var/modules/ready.txt", Elsewhere),
    ] {
        assert_eq!(Question::new(target, false), question, "{target}");
    }
    assert_eq!(Question::new("/health/web", true), Question::Report(Module("web")));
    assert_eq!(Question::new("/var/modules/web/ready.txt", true), ReadyFile("web"));
}

#[test]
fn a_report_is_asked_for_by_its_name_alone() {
    for accept in ["application/health+json", "text/html, Application/Health+JSON;q=0.5"] {
        assert!(asks_for_report(accept), "{accept}");
    }
    for accept in ["", "*/*", "application/json", "application/health+json;q=0", "application/*"] {
        assert!(!asks_for_report(accept), "{accept}");
    }
}

#[test]
fn the_answer_is_yes_only_when_ready_in_up() {
    for state in STATES {
        for ready in [false, true] {
            let snapshot = snapshot(vec![module("web", state, ready)]);
            let yes = ready && state == StateName::Up;
            let no = format!("not ready: {state}: because of web\n");
            let expected = |no_code| if yes { (Code::Ok, "ok\n".to_owned()) } else { (no_code, no.clone()) };
            assert_eq!(ask(&snapshot, true, "/health/web"), expected(Code::Unavailable), "{state} {ready}");
            assert_eq!(ask(&snapshot, true, "/var/modules/web/ready.txt"), expected(Code::NotFound));
            assert_eq!(ask(&snapshot, true, "/health").0 == Code::Ok, yes);
            let (code, report) = ask_report(&snapshot, true, "/health/web");
            assert_eq!((code == Code::Ok, report.status != Level::Fail), (yes, yes));
        }
    }
}

#[test]
fn a_stalled_core_makes_every_answer_no() {
    let snapshot = snapshot(vec![module("web", StateName::Up, true)]);
    let no = "not ready: the daemon's core has stalled\n".to_owned();
    assert_eq!(ask(&snapshot, false, "/health"), (Code::Unavailable, no.clone()));
    assert_eq!(ask(&snapshot, false, "/health/web"), (Code::Unavailable, no.clone()));
    assert_eq!(ask(&snapshot, false, "/health/other"), (Code::Unavailable, no.clone()));
    assert_eq!(ask(&snapshot, false, "/var/modules/web/ready.txt"), (Code::NotFound, no));
    assert_eq!(line_of(&snapshot, false, None), "down # the daemon's core has stalled\n");
    let (code, report) = ask_report(&snapshot, false, "/health");
    assert_eq!((code, report.status, report.checks.len()), (Code::Unavailable, Level::Fail, 0));
}

#[test]
fn grpc_is_told_the_same_as_http_and_which_services_do_not_exist() {
    let all = [module("db", StateName::Restarting, false), module("web", StateName::Up, true)];
    let snapshot = snapshot(all.to_vec());
    for (service, turning, stalled) in [
        ("web", ServingStatus::Serving, ServingStatus::NotServing),
        ("db", ServingStatus::NotServing, ServingStatus::NotServing),
        ("", ServingStatus::NotServing, ServingStatus::NotServing),
        ("nothing", ServingStatus::ServiceUnknown, ServingStatus::NotServing),
    ] {
        let subject = Subject::of_service(service);
        assert_eq!(serving_status(&snapshot, Core::Turns, subject), turning, "{service}");
        assert_eq!(serving_status(&snapshot, Core::Stalled, subject), stalled, "{service}");
        assert_ne!(serving_status(&snapshot, Core::Begins, subject), ServingStatus::ServiceUnknown);
        let yes =
            answer(&snapshot, Core::Turns, Question::Health(subject), |_| String::new()).code == Code::Ok;
        assert_eq!(yes, turning == ServingStatus::Serving, "{service}");
    }
}

#[test]
fn a_module_that_is_not_there_is_not_ready() {
    let snapshot = snapshot(vec![module("web", StateName::Up, true)]);
    let body = "no module of that name\n".to_owned();
    assert_eq!(ask(&snapshot, true, "/health/shop"), (Code::Unavailable, body.clone()));
    assert_eq!(ask(&snapshot, true, "/var/modules/shop/ready.txt"), (Code::NotFound, body));
    assert_eq!(line_of(&snapshot, true, Some("shop")), "down # no module of that name\n");
    assert_eq!(ask(&snapshot, true, "/metrics"), (Code::NotFound, "not found\n".to_owned()));
}

#[test]
fn all_modules_together_are_ready_when_each_is_and_there_is_one() {
    let up = || module("a", StateName::Up, true);
    assert_eq!(ask(&snapshot(vec![]), true, "/health").1, "not ready: no module is loaded\n");
    assert_eq!(line_of(&snapshot(vec![]), true, None), "down # no module is loaded\n");
    assert_eq!(ask(&snapshot(vec![up()]), true, "/health").0, Code::Ok);
    let mixed = snapshot(vec![
        up(),
        module("b", StateName::Draining, false),
        module("c", StateName::Failed, false),
        module("d", StateName::Backoff, false),
    ]);
    let expected = "not ready: c: failed: because of c (and 2 more not ready)\n";
    assert_eq!(ask(&mixed, true, "/health"), (Code::Unavailable, expected.to_owned()));
}

#[test]
fn haproxy_is_told_the_health_of_every_state_and_what_a_person_set_there_is_left_alone() {
    for (state, line, owners) in [
        (
            StateName::Stopped,
            "stopped # stopped: because of web\n",
            "stopped ready # stopped: because of web\n",
        ),
        (StateName::Starting, "down # starting: because of web\n", "down ready # starting: because of web\n"),
        (StateName::Up, "down # up: because of web\n", "down ready # up: because of web\n"),
        (
            StateName::Restarting,
            "down # restarting: because of web\n",
            "down drain # restarting: because of web\n",
        ),
        (StateName::Backoff, "down # backoff: because of web\n", "down ready # backoff: because of web\n"),
        (StateName::Failed, "down # failed: because of web\n", "down ready # failed: because of web\n"),
        (StateName::Draining, "up drain\n", "up drain\n"),
        (StateName::Stopping, "down # stopping: because of web\n", "down drain # stopping: because of web\n"),
        (StateName::Waiting, "down # waiting: because of web\n", "down ready # waiting: because of web\n"),
    ] {
        let not_ready = snapshot(vec![module("web", state, false)]);
        assert_eq!(line_of(&not_ready, true, Some("web")), line);
        assert_eq!(owners_line_of(&not_ready, Some("web")), owners);
        // Ready outside Up is a contradiction: the state counts.
        let ready = snapshot(vec![module("web", state, true)]);
        let up = state == StateName::Up;
        assert_eq!(line_of(&ready, true, Some("web")), if up { "up\n" } else { line });
        assert_eq!(owners_line_of(&ready, Some("web")), if up { "up ready 100%\n" } else { owners });
    }
}

#[test]
fn haproxy_is_told_ready_only_until_our_own_drain_is_taken_back() {
    let at = |seconds: i64| Moment::from_micros(seconds * 1_000_000);
    let mut web = module("web", StateName::Up, true);
    web.readmit_until = Some(at(60));
    let mut together = snapshot(vec![web, module("db", StateName::Up, true)]);
    together.modules.sort_by(|a, b| a.name.cmp(&b.name));
    together.readmit_until = Some(at(90));
    for (of, now, line) in [
        (Some("web"), at(0), "up ready 100%\n"),
        (Some("web"), at(59), "up ready 100%\n"),
        (Some("web"), at(60), "up\n"),
        (Some("db"), at(0), "up\n"),
        (None, at(89), "up ready 100%\n"),
        (None, at(90), "up\n"),
    ] {
        let agent = Agent { module: of.map(name), owns: false };
        assert_eq!(agent_line(&together, Core::Turns, &agent, now), line, "{of:?} at {now:?}");
    }
}

#[test]
fn a_module_that_asks_for_less_says_so_as_long_as_it_serves() {
    let of = |load| ModuleView { load, ..module("web", StateName::Up, true) };
    let degraded = |snapshot: &Snapshot, target: &str| {
        answer(snapshot, Core::Turns, Question::new(target, false), |_| String::new()).degraded
    };
    for (load, is_degraded, line, owners) in [
        (None, false, "up\n", "up ready 100%\n"),
        (Some(Load::Full), false, "up 100%\n", "up ready 100%\n"),
        (Some(Load::Degraded), true, "up 50%\n", "up ready 50%\n"),
    ] {
        let together = snapshot(vec![module("db", StateName::Up, true), of(load)]);
        for target in ["/health", "/health/web", "/haproxy/web", "/var/modules/web/ready.txt"] {
            assert_eq!(degraded(&together, target), is_degraded, "{load:?} {target}");
        }
        let report = answer(&together, Core::Turns, Question::new("/health/web", true), |_| String::new());
        assert_eq!(report.degraded, is_degraded);
        assert!(!degraded(&together, "/health/db"));
        for about in [Some("web"), None] {
            assert_eq!(line_of(&together, true, about), line);
            assert_eq!(owners_line_of(&together, about), owners);
        }
    }
    let stopped = ModuleView { load: Some(Load::Degraded), ..module("web", StateName::Stopped, false) };
    let stopped = snapshot(vec![stopped]);
    assert!(!degraded(&stopped, "/health/web"), "a no is a no");
    assert_eq!(line_of(&stopped, true, Some("web")), "stopped # stopped: because of web\n");
}

#[test]
fn a_suspended_module_that_serves_is_up_for_haproxy() {
    let mut web = module("web", StateName::Up, true);
    web.desired.suspended = true;
    assert_eq!(line_of(&snapshot(vec![web]), true, None), "up\n");
}

#[test]
fn a_module_that_drains_does_not_hide_from_haproxy_one_that_is_down() {
    let up = module("a", StateName::Up, true);
    let draining = module("b", StateName::Draining, false);
    let down = module("c", StateName::Backoff, false);
    assert_eq!(line_of(&snapshot(vec![up.clone(), draining.clone()]), true, None), "up drain\n");
    let all = snapshot(vec![up, draining, down]);
    assert_eq!(line_of(&all, true, None), "down # c: backoff: because of c (and 1 more not ready)\n");
}

#[test]
fn a_checker_on_probation_warns_and_says_so() {
    let mut web = module("web", StateName::Up, true);
    web.checkers =
        vec![CheckerView { on_probation: true, ..checker("young", Verdict::Undecided, Status::Fail) }].into();
    let (code, report) = ask_report(&snapshot(vec![web]), true, "/health/web");
    assert_eq!((code, report.status), (Code::Ok, Level::Warn));
    let output = report.checks["web:young"][0].output.clone();
    assert_eq!(output.as_deref(), Some("undecided, on probation: has not been up yet: young says so"));
}

#[test]
fn a_report_names_every_checker_with_what_it_saw() {
    let mut web = module("web", StateName::Up, true);
    web.checkers = vec![
        checker("home-page", Verdict::Up, Status::Pass),
        checker("queue", Verdict::Down, Status::Fail),
        CheckerView { last: None, ..checker("young", Verdict::Undecided, Status::Pass) },
    ]
    .into();
    let (code, report) = ask_report(&snapshot(vec![web]), true, "/health/web");
    assert_eq!(code, Code::Ok);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "status": "warn",
            "description": "module web of node node-1",
            "serviceId": "node-1",
            "checks": {
                "web:home-page": [
                    { "status": "pass", "time": "at 7" },
                    { "componentId": "response-time", "observedValue": 12.5, "observedUnit": "ms",
                      "status": "pass", "time": "at 7" },
                    { "componentId": "sessions", "observedValue": 3.0, "status": "pass", "time": "at 7" },
                ],
                "web:queue": [
                    { "status": "fail", "time": "at 7", "output": "down: queue says so" },
                    { "componentId": "response-time", "observedValue": 12.5, "observedUnit": "ms",
                      "status": "fail", "time": "at 7" },
                    { "componentId": "sessions", "observedValue": 3.0, "status": "fail", "time": "at 7" },
                ],
                "web:young": [{ "status": "warn", "output": "undecided: not observed yet" }],
            },
        })
    );
}

#[test]
fn a_report_of_very_many_checkers_keeps_those_that_are_not_well() {
    let modules = (10..60).map(|m| ModuleView {
        checkers: (10..60).map(|c| checker(&format!("c{c}"), Verdict::Up, Status::Pass)).collect(),
        ..module(&format!("m{m}"), StateName::Up, true)
    });
    let mut modules: Vec<_> = modules.collect();
    modules[49].checkers.put(checker("c59", Verdict::Down, Status::Pass));
    let (_, report) = ask_report(&snapshot(modules), true, "/health");
    assert!(report.checks.contains_key("m59:c59"));
    assert_eq!(report.notes, ["2415 more checkers left out"]);
    assert!(serde_json::to_vec(&report).unwrap().len() < 128 << 10);
}

proptest! {
    #[test]
    fn whatever_the_reason_the_answers_are_one_short_line(reason: String, target: String, many in 1usize..4) {
        let modules = (0..many).map(|m| ModuleView {
            reason: reason.clone(),
            ..module(&format!("m{m}"), StateName::Backoff, false)
        });
        let snapshot = snapshot(modules.collect());
        for target in ["/health", "/health/m0", target.as_str()] {
            let (_, body) = ask(&snapshot, true, target);
            prop_assert!(body.len() <= MAX_PLAIN);
            prop_assert_eq!(body.find(char::is_control), Some(body.len() - 1));
        }
        let line = line_of(&snapshot, true, None);
        prop_assert!(line.is_ascii() && line.len() <= 100);
        prop_assert!(line.starts_with("down # "));
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
    }
}

#[test]
fn while_the_daemon_starts_nothing_is_said_of_what_has_not_been_looked_at() {
    let found = snapshot(vec![module("web", StateName::Up, true)]);
    let mut looking = snapshot(vec![module("web", StateName::Starting, false)]);
    looking.looking = vec![name("web")];
    let empty = snapshot(Vec::new());
    for (snapshot, core, target, can) in [
        (&empty, Core::Begins, "/health", false),
        (&empty, Core::Begins, "/health/web", false),
        (&empty, Core::Begins, "/var/modules/web/ready.txt", false),
        (&empty, Core::Begins, "/console", true),
        (&empty, Core::Turns, "/health", true),
        (&empty, Core::Turns, "/health/web", true),
        (&looking, Core::Begins, "/health/web", false),
        (&looking, Core::Turns, "/health/web", false),
        (&looking, Core::Turns, "/health", false),
        (&looking, Core::Turns, "/health/other", true),
        (&found, Core::Begins, "/health/web", true),
        (&found, Core::Begins, "/health", false),
        (&found, Core::Turns, "/health", true),
    ] {
        for report in [false, true] {
            let question = Question::new(target, report);
            assert_eq!(can_tell(snapshot, core, question), can, "{core:?} {question:?}");
        }
    }
    let agent = Agent { module: Some(name("web")), owns: false };
    assert!(!can_tell(&empty, Core::Begins, agent.question()));
    assert!(can_tell(&found, Core::Begins, agent.question()));
}

#[test]
fn a_daemon_that_has_not_come_far_enough_in_time_says_that_it_is_starting() {
    let (found, empty) = (snapshot(vec![module("web", StateName::Up, true)]), snapshot(Vec::new()));
    let of = |snapshot: &Snapshot, target| {
        let answer = answer(snapshot, Core::Begins, Question::new(target, false), |_| String::new());
        let Body::Plain(text) = answer.body else { panic!("no report was requested") };
        (answer.code, text.into_owned())
    };
    let no =
        "not ready: the daemon is starting: it is not known yet whether the application serves\n".to_owned();
    for target in ["/health", "/health/web"] {
        assert_eq!(of(&empty, target), (Code::Unavailable, no.clone()));
    }
    // Single modules that are known are answered; all of them together are not known.
    assert_eq!(of(&found, "/health/web"), (Code::Ok, "ok\n".to_owned()));
    assert_eq!(of(&found, "/health"), (Code::Unavailable, no));
    let agent = Agent { module: Some(name("web")), owns: true };
    let line = agent_line(&empty, Core::Begins, &agent, Moment::default());
    assert!(line.starts_with("down ready # the daemon is starting"), "{line}");
}
