//! Common errors of users, and their messages: the problem, the remedy, and a separate exit code for each.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::Path;

use bellwether_tests::answers::{Broken, Validation, read};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::guest;
use bellwether_tests::invocation::{Ended, bellwether_ends};
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

/// The exit codes, as in `bellwether --help`.
const CODES: [(i32, &str); 10] = [
    (0, "done"),
    (1, "error"),
    (2, "invalid command line"),
    (3, "denied or failed: a refused command, a failing check"),
    (4, "no daemon runs on this root"),
    (5, "configuration errors"),
    (6, "a port is in use"),
    (7, "the root is not writable"),
    (8, "another daemon runs on this root"),
    (9, "a program that a module declares is missing"),
];

fn on(root: &Path, arguments: &[&str]) -> Ended {
    let end = [OsStr::new("--root"), root.as_os_str()];
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).chain(end).collect();
    bellwether_ends(&arguments)
}

/// Asserts that it exited with this code, printed all of this, and the next step.
fn told(ended: &Ended, code: i32, said: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for said in said {
        assert!(ended.error.contains(said), "`{said}` is not said:\n{}", ended.error);
    }
    assert!(ended.error.contains("error: ") && ended.error.contains("\n  next: "), "{}", ended.error);
}

/// Three errors and a word that is similar to a valid one.
const WRONG: &str = r#"[restart]
budgett = { restarts = 3, within = "24h" }

[commands]
start = { run = ["/bin/sleep", "1000"], keep = true, timeout = "soon" }

[[checker]]
name = "process"
process = { kept = "strat", at-least = 1 }
on-down = "restrat"
"#;
const SHOWN: [[&str; 3]; 4] = [
    ["modules/web.toml:2:1", "`[restart]` has no key `budgett`", "did you mean `budget`?"],
    ["modules/web.toml:5:64", "`soon` is not a duration", "expected a duration such as \"2s\""],
    ["modules/web.toml:9:20", "`[commands]` has no `strat`", "did you mean `start`?"],
    ["modules/web.toml:10:11", "`restrat` is not a valid value for `on-down`", "did you mean `restart`?"],
];

#[test]
fn the_help_documents_every_exit_code() {
    let help = bellwether_ends(&["--help"]);
    assert_eq!(help.code, Some(0));
    for (code, meaning) in CODES {
        assert!(help.out.contains(&format!("\n  {code}  {meaning}")), "{code}: {}", help.out);
    }
}

#[test]
fn every_mistake_of_a_module_is_shown_with_its_line_and_underlined() {
    let root = Root::default();
    root.write("modules/web.toml", WRONG);
    let run = on(root.path(), &["run"]);
    told(&run, 5, &["the files have errors", "bellwether validate"]);
    let validate = on(root.path(), &["validate"]);
    assert_eq!(validate.code, Some(5), "{validate:?}");
    assert!(validate.out.contains("4 errors in 1 file"), "{}", validate.out);
    for text in [&run.error, &validate.out] {
        for part in SHOWN.as_flattened() {
            assert!(text.contains(part), "`{part}` is not said:\n{text}");
        }
        // The line as it is in the file, and right below it the underline of the word.
        let lines: Vec<&str> = text.lines().collect();
        let at =
            lines.iter().position(|line| line.contains("on-down = \"restrat\"")).expect("the line is shown");
        let (shown, below) =
            (lines.get(at).copied().unwrap_or_default(), lines.get(at + 1).copied().unwrap_or_default());
        let column = |line: &str, what: &str| line.find(what).map(|byte| line[..byte].chars().count());
        assert_eq!(column(below, "────┬────"), column(shown, "\"restrat\""), "{text}");
    }
    let json = on(root.path(), &["validate", "--json"]);
    let report: Validation = read(&json.out);
    assert_eq!((json.code, report.ok), (Some(5), false), "{report:?}");
    let places: Vec<(u64, u64)> =
        report.mistakes.iter().map(|mistake| (mistake.line, mistake.column)).collect();
    assert_eq!(places, [(2, 1), (5, 64), (9, 20), (10, 11)]);
}

#[test]
fn a_component_that_cannot_be_used_is_no_file_that_is_right() {
    let root = Root::default();
    root.write("checkers/half.wasm", &guest::HOSTILE[..5000]);
    root.write("modules/web.toml", "[[checker]]\nname = \"half\"\ncomponent = \"half\"\n");
    let validate = on(root.path(), &["validate"]);
    assert_eq!(validate.code, Some(5), "{validate:?}");
    let said = "✗ checkers/half.wasm cannot be used: not a component: ";
    assert!(validate.out.contains(said), "{}", validate.out);
    let json = on(root.path(), &["validate", "--json"]);
    let report: Validation = read(&json.out);
    let half = Broken { file: "checkers/half.wasm".to_owned() };
    assert_eq!((report.ok, report.broken), (false, vec![half]));
}

#[test]
fn a_wrong_module_does_not_keep_a_good_one_from_running() {
    let root = Root::default();
    Web::lay_out(&root);
    root.write("modules/wrong.toml", WRONG);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    for command in ["status", "why", "start"] {
        let said = ["module `wrong` has not been loaded: modules/wrong.toml:2:1", "bellwether validate"];
        told(&on(root.path(), &[command, "wrong"]), 11, &said);
    }
    let problems = daemon.status().problems;
    for [place, what, _] in SHOWN {
        let place = place.replace("web.toml", "wrong.toml");
        assert!(
            problems.iter().any(|problem| problem.contains(&place) && problem.contains(what)),
            "{problems:#?}"
        );
    }
    assert_eq!(daemon.health("web").status, 200);
    assert_eq!(daemon.health("wrong").status, 503);
}

#[test]
fn a_wrong_node_file_is_answered_with_its_lines() {
    let root = Root::default();
    root.write("bellwether.toml", "nam = \"x\"\n[health]\nlisten = \"127.0.0.1:99999\"\n");
    let run = on(root.path(), &["run"]);
    let said = [
        "bellwether.toml:1:1",
        "has no key `nam`",
        "did you mean `name`?",
        "bellwether.toml:3:10",
        "`127.0.0.1:99999` is not an address with a port",
    ];
    told(&run, 5, &said);
    root.write("bellwether.toml", "name = \"unfinished\n");
    told(&on(root.path(), &["run"]), 5, &["bellwether.toml:1:"]);
}

#[test]
fn a_missing_program_is_named() {
    let root = Root::default();
    root.write("modules/web.toml", "[commands]\nstart = { run = [\"/no/such/program\"], keep = true }\n");
    let run = on(root.path(), &["run"]);
    told(
        &run,
        9,
        &[
            "a program that a module declares is missing",
            "no such program: /no/such/program",
            "modules/web.toml:2:18",
            "install it",
        ],
    );
}

#[test]
fn a_port_in_use_is_named() {
    let root = Root::default();
    let taken = TcpListener::bind(root.health).expect("the port is free");
    let address = root.health;
    told(
        &on(root.path(), &["run"]),
        6,
        &[&format!("{address} is in use by another program"), &format!("sport = :{}", address.port())],
    );
    drop(taken);
}

#[test]
fn a_root_that_cannot_be_written_is_named() {
    let root = Root::default();
    // Even root cannot create folders there.
    let below_a_file = root.write("a-file", "").join("root");
    let demo = on(&below_a_file, &["demo"]);
    told(
        &demo,
        7,
        &[&format!("{} cannot be written: Not a directory", below_a_file.display()), "--root DIR"],
    );
    let proc = on(Path::new("/proc"), &["run"]);
    told(&proc, 7, &["/proc cannot be written", "make /proc writable"]);
    // The existing files in place of the daemon's folder.
    root.write("state", "");
    told(&on(root.path(), &["run"]), 7, &["cannot be written: Not a directory"]);
    // No root at all is another case.
    told(
        &on(&below_a_file, &["run"]),
        1,
        &[&format!("there is no folder {}", below_a_file.display()), "bellwether demo --root"],
    );
}

#[test]
fn whoever_asks_where_no_daemon_runs_is_told_how_to_start_one() {
    let root = Root::default();
    let start = format!("start one with: bellwether run --root {}", root.path().display());
    let asked: [&[&str]; 9] = [
        &["status"],
        &["status", "--json"],
        &["stop", "web"],
        &["why", "web"],
        &["events"],
        &["check", "web", "home"],
        &["start", "web"],
        &["suspend", "web"],
        &["reset", "web"],
    ];
    for asked in asked {
        told(&on(root.path(), asked), 4, &["no daemon runs on", &start]);
    }
    // A daemon that was killed leaves its socket behind.
    Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    daemon.kill();
    told(&on(root.path(), &["status"]), 4, &["no daemon runs on", &start]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_answered_with_the_nearest_one() {
    let root = Root::default();
    for (arguments, said) in [
        (["stats", "web"].as_slice(), "'status'"),
        (&["start"], "<MODULE>"),
        (&["start", "web", "extra"], "unexpected argument 'extra'"),
        (&["status", "--jsn"], "'--json'"),
        (&["start", "not a name"], "not a name"),
        (&["check"], "required"),
        (&[], "Usage"),
    ] {
        let ended = on(root.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.error.contains(said), "{arguments:?}: {}", ended.error);
    }
}

#[test]
fn what_a_person_asks_of_a_running_daemon_is_done_already_so_or_refused() {
    let root = Root::default();
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    for (arguments, next) in [
        (&["start", "nobody"][..], "bellwether status"),
        (&["start", "nobody", "--wait"], "bellwether status"),
        (&["why", "nobody"], ""),
        (&["status", "nobody"], "its modules are: web"),
        (&["check", "nobody", "home"], ""),
        (&["check", "web", "nobody"], "its checkers are: "),
        (&["events", "--module", "nobody"], "bellwether status"),
        (&["events", "--checker", "nobody"], "its checkers are: "),
        (&["user", "remove", "nobody"], "bellwether user list"),
        (&["token", "revoke", "nobody"], "bellwether token list"),
        (&["simulate", "nobody", "--scenario", "none"], "its modules are: web"),
        (&["inspect", "http", "--module", "nobody"], "its modules are: web"),
    ] {
        told(&on(root.path(), arguments), 11, &["nobody", next]);
    }
    let again = on(root.path(), &["start", "web"]);
    assert!(again.code == Some(0) && again.out.contains("nothing to do"), "{again:?}");
    daemon.tell(&["stop", "web", "--wait"]);
    told(
        &on(root.path(), &["restart", "web"]),
        3,
        &["the module is stopped, and `start` starts it", "next: bellwether start web"],
    );
}

#[test]
fn a_checker_that_could_never_connect_is_an_error_and_is_told_once() {
    let root = Root::default();
    let validate = |component: &str, config: &str, grant: &str| {
        root.write(
            "modules/web.toml",
            format!(
                "[[checker]]\nname = \"home\"\ncomponent = \"{component}\"\non-down = \"notify\"\n\
                 config = {{ {config} }}\n{grant}"
            ),
        );
        on(root.path(), &["validate"])
    };
    let granted = "grant = { connect = [\"127.0.0.1:9\"] }\n";
    for (component, config, grant, said) in [
        (
            "http",
            "url = \"http://127.0.0.1:9/\"",
            "",
            "add to the checker: grant = { connect = [\"127.0.0.1:9\"] }",
        ),
        ("http", "url = \"http://localhost:9/\"", granted, "add \"localhost:9\" to `connect` in its `grant`"),
        ("tcp", "address = \"127.0.0.1:10\"", granted, "add \"127.0.0.1:10\" to `connect` in its `grant`"),
        ("http", "url = \"127.0.0.1:9/x\"", granted, "cannot take the text `127.0.0.1:9/x` as `config.url`"),
        ("tcp", "address = \"127.0.0.1\"", granted, "cannot take the text `127.0.0.1` as `config.address`"),
    ] {
        let wrong = validate(component, config, grant);
        assert_eq!(wrong.code, Some(5), "{wrong:?}");
        let text = wrong.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(said) && text.contains("modules/web.toml:5:"), "{said}: {}", wrong.out);
        assert!(!wrong.out.contains("HOST:PORT"), "it is told once: {}", wrong.out);
        assert!(wrong.out.trim_end().ends_with("✗ 1 error in 1 file"), "{}", wrong.out);
    }
    let right = validate("http", "url = \"http://127.0.0.1:9/\"", granted);
    assert!(
        right.code == Some(0) && right.out.trim_end().ends_with("✓ the files are valid: web"),
        "{right:?}"
    );
}

#[test]
fn why_names_a_file_that_waits_for_an_operator() {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    assert!(!daemon.tell(&["why", "web"]).contains("Waits for an operator"));
    root.write("modules/web.toml", format!("{}\n[helth]\n", web.file("")));
    eventually("the file is refused", || (!daemon.problems().is_empty()).then_some(()));
    let why = daemon.tell(&["why", "web"]);
    for said in [
        "Waits for an operator:\n  modules/web.toml:",
        "The previous version stays active.",
        "bellwether validate",
    ] {
        assert!(why.contains(said), "{said}: {why}");
    }
    assert!(!why.contains("Nothing to do."), "{why}");
}

#[test]
fn strict_takes_notes_for_mistakes() {
    let root = Root::default();
    Web::lay_out(&root);
    assert_eq!(on(root.path(), &["validate", "--strict"]).code, Some(0));
    let node = std::fs::read_to_string(root.path().join("bellwether.toml")).expect("the node's file");
    root.write("bellwether.toml", format!("{node}\n[[agent-check]]\nlisten = \"127.0.0.1:0\"\n"));
    let lenient = on(root.path(), &["validate"]);
    assert!(lenient.code == Some(0) && lenient.out.contains("note: "), "{lenient:?}");
    let strict = on(root.path(), &["validate", "--strict"]);
    assert!(strict.code == Some(5) && strict.out.contains("1 note (--strict)"), "{strict:?}");
}

#[test]
fn a_module_is_suspended_for_a_time_and_for_a_reason() {
    let root = Root::default();
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let said = daemon.tell(&["suspend", "web", "--for", "10m", "--reason", "new disk"]);
    assert!(said.contains("no automatic action is taken for 10m"), "{said}");
    let why = daemon.tell(&["why", "web"]);
    assert!(why.contains("suspended for another"), "{why}");
    let said = daemon.tell(&["suspend", "web", "--for", "1s"]);
    assert!(said.contains("no automatic action is taken for 1s"), "{said}");
    let resumed = || {
        daemon
            .tell(&["events", "--kind", "decision"])
            .contains("decided to act on checkers again: the time of the suspension is over")
    };
    eventually("it is acted on again by itself", || resumed().then_some(()));
    let events = daemon.tell(&["events", "--kind", "command"]);
    assert!(events.contains("(new disk) said `suspend`"), "{events}");
    let too_long = on(root.path(), &["suspend", "web", "--for", "90d"]);
    assert!(too_long.code == Some(2) && too_long.error.contains("at most 30d"), "{too_long:?}");
}
