//! Checkers that loop, use up memory, panic, hang and flood the log. None of them passes, none of them harms
//! anything, and each gets a clear message.

use std::net::TcpListener;

use bellwether_tests::answers::{Event, Inspection, Module, Observation, Outcome, State, Verdict, read};
use bellwether_tests::control;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::guest;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::probe::Probe;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

/// The act of each, and the expected message. (WASI 0.2 reports only whether an exit was successful: every other
/// code is 1.)
const ACTS: [(&str, &str); 7] = [
    ("spin", "it was still computing"),
    ("eat-memory", "wanted more than 64 MiB of memory"),
    ("panic", "panicked: the wolf is here"),
    ("sleep", "it was still waiting"),
    ("shout", "said more than 1 MiB in one run"),
    ("exit", "called exit(1) instead of returning an answer"),
    ("recurse", "calls that went too deep"),
];

/// Short for those that never end, once they have begun; the others need some time for the act that they are ended
/// for.
fn timeout(act: &str) -> &'static str {
    match act {
        "spin" => "300ms",
        "sleep" => "2s",
        _ => "30s",
    }
}

fn hostile(act: &str) -> String {
    let timeout = timeout(act);
    format!(
        r#"
[[checker]]
name = "{act}"
component = "hostile"
interval = "500ms"
timeout = "{timeout}"
rise = 1
fall = 1
grace = "0s"
config = {{ act = "{act}" }}
"#
    )
}

/// Waits until a checker has run this many more times.
fn runs_on(daemon: &Daemon, module: &str, checker: &str, times: usize) {
    let mut before = None;
    for _ in 0..=times {
        before = eventually(&format!("checker {checker} runs again"), || {
            let at = daemon.last(module, checker).map(|last| last.at);
            (at.is_some() && at != before).then_some(at)
        });
    }
}

#[test]
fn hostile_checkers_cannot_tell_and_disturb_neither_the_module_nor_the_health_endpoint() {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    let ready = daemon.until_ready("web");

    root.write("checkers/hostile.wasm", guest::HOSTILE);
    let probe = Probe::begin(root.health, "/health/web", 200);
    // Delays of a machine that is busy with something else do not count against the daemon.
    let control = Probe::begin(control::server(), "/", 200);
    web.write(&root, &ACTS.map(|(act, _)| hostile(act)).concat());
    for (act, word) in ACTS {
        let seen = eventually(&format!("{act} is told by its word"), || {
            daemon.last("web", act).filter(|last| last.summary.contains(word))
        });
        assert_eq!(seen.status, Outcome::Unknown, "{seen:?}");
    }
    // Repeatedly, with the good one running among them all the time.
    for (act, _) in ACTS {
        runs_on(&daemon, "web", act, 1);
    }
    runs_on(&daemon, "web", "home", 5);
    let answers = probe.finish();
    let control = control.finish();
    let (median, p99) = (answers.percentile(50), answers.percentile(99));
    println!(
        "{} answers, median {median:?}, p99 {p99:?}; p99 of the control {:?}",
        answers.count(),
        control.percentile(99)
    );
    assert_eq!(answers.statuses.keys().collect::<Vec<_>>(), [&200], "{:?}", answers.statuses);
    assert!(answers.count() >= 200, "{}", answers.count());
    answers.were_as_fast_as(&control);

    let now = daemon.module("web");
    assert_eq!((now.state, now.ready, now.restarts), (State::Up, true, 0), "{now:?}");
    assert_eq!((&now.since, now.pids()), (&ready.since, ready.pids()), "{now:?}");
    assert_eq!(daemon.checker("web", "home").verdict, Verdict::Up);
    for (act, _) in ACTS {
        assert_eq!(daemon.checker("web", act).verdict, Verdict::Undecided, "{act}");
    }
    let events = daemon.events();
    assert!(!events.iter().any(Event::is_down), "{events:#?}");
}

#[test]
fn a_module_whose_only_checker_hangs_is_never_ready_and_never_restarted() {
    let root = Root::default();
    root.write("checkers/hostile.wasm", guest::HOSTILE);
    // The host would monitor a kept command as well.
    let file = r#"
restart.start-within = "1s"
commands.start = { run = ["/bin/sh", "-c", "echo started >> starts"] }
"#;
    root.write("modules/dark.toml", file.to_owned() + &hostile("spin"));
    let daemon = Daemon::run(root.path(), root.health);
    let as_before = |module: &Module| {
        assert_eq!(daemon.health("dark").status, 503);
        let seen = (module.state, module.ready, module.restarts);
        assert_eq!(seen, (State::Starting, false, 0), "{module:?}");
    };
    eventually("the time to come up is over", || {
        let module = daemon.module("dark");
        as_before(&module);
        module.reason.contains("checker `spin` cannot tell: ended after 300ms").then_some(())
    });
    runs_on(&daemon, "dark", "spin", 3);
    as_before(&daemon.module("dark"));
    let starts = std::fs::read_to_string(root.path().join("starts")).expect("it was started");
    assert_eq!(starts, "started\n");
    let why = daemon.tell(&["why", "dark"]);
    assert!(why.contains("it was still computing"), "{why}");
}

#[test]
fn the_daemon_runs_a_hostile_checker_once_and_says_how_it_went() {
    let root = Root::default();
    root.write("checkers/hostile.wasm", guest::HOSTILE);
    let web = Web::lay_out(&root);
    web.write(&root, &ACTS.map(|(act, _)| hostile(act)).concat());
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    for (act, word) in ACTS {
        let output = daemon.client(&["check", "web", act]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("unknown") && said.contains(word), "{act}: {said}");
        assert_eq!(output.status.code(), Some(3), "{act}");
    }
    let home = daemon.client(&["check", "web", "home"]);
    assert_eq!(home.status.code(), Some(0), "{home:?}");
    let nobody = daemon.client(&["check", "web", "nobody"]);
    assert_eq!(nobody.status.code(), Some(11), "{nobody:?}");
}

#[test]
fn an_author_sees_at_once_what_becomes_of_a_component() {
    let root = Root::default();
    let file = root.write("hostile.wasm", guest::HOSTILE).display().to_string();
    for (act, word) in ACTS {
        let config = format!(r#"{{"act":"{act}"}}"#);
        let timeout = timeout(act);
        let ended =
            bellwether_ends(&["check", "--component", &file, "--config", &config, "--timeout", timeout]);
        assert!(ended.out.contains("unknown") && ended.out.contains(word), "{act}: {ended:?}");
        assert_eq!(ended.code, Some(3), "{act}");
    }
    let well = bellwether_ends(&["check", "--component", &file, "--config", r#"{"act":"pass"}"#, "--json"]);
    let observation: Observation = read(&well.out);
    assert_eq!((well.code, observation.summary.as_str()), (Some(0), "behaved"));
    let wrong = bellwether_ends(&["check", "--component", &file, "--config", "act = pass"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.error.contains("--config is not JSON"), "{wrong:?}");
    let unsuitable = bellwether_ends(&["check", "--component", &file, "--config", r#"{"act":"dance"}"#]);
    assert_eq!(unsuitable.code, Some(2), "{unsuitable:?}");
    let said = ["cannot take the text `dance` as `config.act`", "bellwether inspect "];
    assert!(said.iter().all(|said| unsuitable.error.contains(said)), "{unsuitable:?}");
}

#[test]
fn a_component_reaches_only_what_it_was_granted() {
    let root = Root::default();
    let file = root.write("tcp.wasm", guest::TCP).display().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let (config, grant) =
        (format!(r#"{{"address":"{address}","expect-accept":false}}"#), format!("connect={address}"));
    let check = ["check", "--component", &file, "--config", &config];
    let granted = bellwether_ends(&[&check[..], &["--grant", &grant]].concat());
    assert_eq!(granted.code, Some(0), "{granted:?}");
    assert!(granted.out.contains("connected to"), "{granted:?}");
    let refused = bellwether_ends(&check);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(
        refused.out.contains(&format!("add `connect = [\"{address}\"]` to the checker's `grant`")),
        "{refused:?}"
    );
    listener.set_nonblocking(true).expect("it can be told not to wait");
    listener.accept().expect("the one that was granted has come");
    assert!(listener.accept().is_err(), "the one that was not granted has come as well");
    let wrong = bellwether_ends(&[&check[..], &["--grant", "everything"]].concat());
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn inspect_tells_what_a_component_is_and_why_another_file_is_none() {
    let root = Root::default();
    let good = root.write("hostile.wasm", guest::HOSTILE).display().to_string();
    let shown = bellwether_ends(&["inspect", &good, "--json"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let shown: Inspection = read(&shown.out);
    assert_eq!((shown.kind.as_str(), shown.name.as_str()), ("checker", "hostile"), "{shown:?}");
    assert_eq!(shown.config_schema["required"], serde_json::json!(["act"]), "{shown:?}");
    let people = bellwether_ends(&["inspect", &good]);
    assert!(people.out.contains("It runs here"), "{people:?}");

    let core_module = wat::parse_str("(module)").expect("a module without anything");
    let alien = wat::parse_str("(component)").expect("a component without anything");
    let half = &guest::HOSTILE[..guest::HOSTILE.len() / 2];
    let bad: [(&str, &[u8]); 5] = [
        ("text.wasm", b"not a component"),
        ("empty.wasm", b""),
        ("core.wasm", &core_module),
        ("alien.wasm", &alien),
        ("half.wasm", half),
    ];
    for (name, bytes) in bad {
        let ended = bellwether_ends(&["inspect", &root.write(name, bytes).display().to_string()]);
        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        assert!(ended.error.contains(&format!("{name} does not run here: ")), "{name}: {ended:?}");
        assert!(ended.error.contains("\n  next: "), "{name}: {ended:?}");
        println!("{}", ended.error);
    }
    let missing = bellwether_ends(&["inspect", "/nowhere.wasm"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.error.contains("/nowhere.wasm cannot be read"), "{missing:?}");
}
