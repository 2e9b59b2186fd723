//! Interfaces that need a grant, beyond WASI: secrets, commands, facts about processes, ping. Without the grant,
//! the only result is the name of the missing one.

use std::path::Path;

use bellwether_tests::answers::{
    ComponentDetail, Inspection, Measurement, Note, Observation, Outcome, Unasked, Use, Validation, read,
};
use bellwether_tests::api;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::guest;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

const SECRET: &str = "correct horse battery staple";

fn checker(name: &str, config: &str, grant: &str) -> String {
    format!(
        r#"
[[checker]]
name = "{name}"
component = "granted"
interval = "300ms"
timeout = "30s"
on-down = "notify"
config = {{ {config} }}
grant = {{ {grant} }}
"#
    )
}

/// The last observation of a checker, once there is one.
fn seen(daemon: &Daemon, checker: &str) -> Observation {
    eventually(&format!("{checker} is run"), || daemon.last("web", checker))
}

/// The application, two components, and their grants.
fn lay_out(root: &Root) -> Web {
    root.write("checkers/granted.wasm", guest::GRANTED);
    root.write("checkers/reach.wasm", guest::REACH);
    root.write("data/file", "content");
    root.write("data/inner/file", "content");
    root.write("other/file", "content");
    root.write("probe.secret", format!("{SECRET}\n"));
    Web::lay_out(root)
}

/// The commands that checkers may be granted.
const COMMANDS: &str = r#"
[commands.probe]
run = ["/bin/sh", "-c", 'echo "$0 says $(cat)"; echo quietly >&2']
arguments = "--[a-z]+"
[commands.fails]
run = ["/bin/sh", "-c", "kill -9 $$"]
[commands.hangs]
run = ["/bin/sh", "-c", "sleep 600 & sleep 601"]
timeout = "200ms"
"#;

/// One checker for each kind of grant, and one without it.
fn checkers() -> String {
    let reader = |name: &str, config: &str, grant: &str| {
        checker(name, config, grant).replace("\"granted\"", "\"reach\"")
    };
    [
        checker("secret", "ask = 'secret', name = 'word'", "secrets = { word = 'probe.secret' }"),
        checker("no-secret", "ask = 'secret', name = 'word'", "secrets = { other = 'probe.secret' }"),
        checker(
            "command",
            "ask = 'command', name = 'probe', arguments = ['--lag'], stdin = 'hello'",
            "commands = ['probe']",
        ),
        checker("arguments", "ask = 'command', name = 'probe', arguments = ['; rm']", "commands = ['probe']"),
        checker("fails", "ask = 'command', name = 'fails'", "commands = ['probe', 'fails']"),
        checker("hangs", "ask = 'command', name = 'hangs'", "commands = ['hangs']"),
        checker("no-command", "ask = 'command', name = 'hangs'", "commands = ['probe']"),
        checker("processes", "ask = 'processes'", "processes = true"),
        checker("no-processes", "ask = 'processes'", ""),
        checker("no-ping", "ask = 'ping', name = '127.0.0.1'", "ping = ['10.0.0.0/8']"),
        checker("no-ping-name", "ask = 'ping', name = 'localhost'", "ping = ['127.0.0.0/8']"),
        checker("ping", "ask = 'ping', name = '127.0.0.1'", "ping = ['127.0.0.1']"),
        checker("ping-name", "ask = 'ping', name = 'localhost'", "ping = ['localhost']"),
        reader("reader", "act = 'read', target = 'data/file'", "read = ['data', 'other'], env = ['PATH']"),
        // One directory inside another: it is read with the inner grant.
        reader("inner", "act = 'read', target = 'data/inner/file'", "read = ['data', 'data/inner']"),
    ]
    .concat()
}

/// The expected status of each, and the beginning of its summary.
const SEEN: [(&str, Outcome, &str); 9] = [
    ("command", Outcome::Pass, "exited with 0: --lag says hello / quietly"),
    (
        "arguments",
        Outcome::Unknown,
        "[arguments-refused] cannot run command `probe`: the argument \"; rm\" does not match",
    ),
    ("fails", Outcome::Fail, "was ended by signal 9"),
    ("hangs", Outcome::Fail, "[timeout] command `hangs` did not end within 200ms and was killed"),
    (
        "no-secret",
        Outcome::Unknown,
        "[not-granted] refused: read the secret `word`; to allow it add grant = { secrets = { word",
    ),
    (
        "no-command",
        Outcome::Unknown,
        "[not-granted] refused: run the command `hangs`; to allow it add grant = { commands = [\"hangs\"] }",
    ),
    (
        "no-processes",
        Outcome::Unknown,
        "[not-granted] refused: see the processes of the module; to allow it add grant = { processes = true }",
    ),
    (
        "no-ping",
        Outcome::Unknown,
        "[not-granted] refused: ping 127.0.0.1; to allow it add grant = { ping = [\"127.0.0.1\"] }",
    ),
    (
        "no-ping-name",
        Outcome::Unknown,
        "[not-granted] refused: ping `localhost`; to allow it add grant = { ping = [\"localhost\"] }",
    ),
];

#[test]
fn what_is_granted_is_had_and_what_is_not_is_refused_with_the_grant_to_add() {
    let root = Root::default();
    let web = lay_out(&root);
    web.write(&root, &(checkers() + COMMANDS));
    let mut daemon = Daemon::run(root.path(), root.health);
    let ready = daemon.until_ready("web");
    for (checker, outcome, begins) in SEEN {
        let last = seen(&daemon, checker);
        assert!(last.status == outcome && last.summary.starts_with(begins), "{checker}: {last:?}");
    }
    let kept = *ready.pids().first().expect("the application runs");
    eventually("the application is among its processes", || {
        let last = seen(&daemon, "processes");
        let begins = format!("{kept} start/process ");
        let its = last.summary.split("; ").find(|one| one.starts_with(&begins))?;
        its.ends_with('!').then_some(())
    });
    for checker in ["ping", "ping-name"] {
        let last = seen(&daemon, checker);
        if last.summary.starts_with("[unavailable]") {
            assert!(last.summary.contains("ping_group_range"), "{last:?}");
            eprintln!("skipped: {checker}: {}", last.summary);
        } else {
            assert!(last.status == Outcome::Pass && last.summary.ends_with(" answers"), "{last:?}");
        }
    }
    no_trace_of_the_secret(&root, &daemon);
    what_was_used_is_told(&root);
    // Whatever a command was doing, it ends with the daemon; the application keeps running.
    daemon.end();
    eventually("the commands have ended", || sleepers(root.path()).is_empty().then_some(()));
}

/// The uses of a component, and their results.
fn uses(root: &Root, component: &str) -> Vec<Use> {
    let answer = api::ask(root.path(), "GET", &format!("/components/{component}")).expect("it answers");
    answer.read::<ComponentDetail>().uses
}

/// An admin sees which grants could be removed.
fn what_was_used_is_told(root: &Root) {
    for (checker, used) in [
        ("secret", &["secrets word="][..]),
        ("no-secret", &[]),
        ("command", &["commands probe"]),
        // Of two granted commands, it runs one.
        ("fails", &["commands fails"]),
        ("no-command", &[]),
        ("processes", &["processes true"]),
        ("no-ping", &[]),
        ("reader", &["read data", "env PATH"]),
        ("inner", &["read data/inner"]),
    ] {
        let component =
            if ["reader", "inner"].contains(&checker) { "checkers/reach" } else { "checkers/granted" };
        let of = eventually(&format!("{checker} has run"), || {
            let found = uses(root, component).into_iter().find(|of| of.checker.as_deref() == Some(checker));
            found.filter(|of| of.cost.is_some())
        });
        assert_eq!(of.used.len(), used.len(), "{checker}: {of:?}");
        for (told, expected) in of.used.iter().zip(used) {
            assert!(told.grant.starts_with(expected) && told.at.ends_with('Z'), "{of:?}");
            assert!(of.granted.contains(&told.grant), "{of:?}");
        }
    }
    let script = uses(root, "restart-scripts/command").into_iter().find(|of| of.module == "web");
    let runs = script.and_then(|script| script.cost).map(|cost| cost.runs);
    assert!(runs >= Some(1), "the standard one has started the application: {runs:?}");
}

/// The processes of the command `hangs`.
fn sleepers(root: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    processes
        .map(|process| process.path())
        .filter(|process| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == root))
        .filter_map(|process| std::fs::read_to_string(process.join("cmdline")).ok())
        .filter(|line| line.contains("sleep"))
        .collect()
}

/// The checker printed it everywhere: in its answer, in the log, and on its standard output.
fn no_trace_of_the_secret(root: &Root, daemon: &Daemon) {
    let last = seen(daemon, "secret");
    assert!(last.status == Outcome::Warn && last.summary == "the secret is ***", "{last:?}");
    // It has 28 letters: the checker received all of it.
    let measured = Measurement { name: "***".to_owned(), value: 28.0, unit: "***".to_owned() };
    assert_eq!(last.measurements, [measured]);
    eventually("the log has what the checker said", || {
        daemon.log().contains("the secret is ***").then_some(())
    });
    let told = [
        daemon.log(),
        daemon.tell(&["status", "--json"]),
        daemon.tell(&["events", "--json"]),
        daemon.tell(&["why", "web"]),
        daemon.tell(&["check", "web", "secret", "--json"]),
    ];
    assert!(!told.concat().contains(SECRET), "{told:#?}");
    let parts = ["journal.db", "journal.db-wal", "checkers.db", "checkers.db-wal"];
    let parts = parts.map(|part| std::fs::read(root.path().join("state").join(part)).unwrap_or_default());
    let journal = String::from_utf8_lossy(&parts.concat()).into_owned();
    assert!(journal.contains("daemon"), "it is the journal that is looked at");
    assert!(!journal.contains(SECRET));
}

#[test]
fn inspect_and_validate_show_what_is_asked_what_is_granted_and_the_difference() {
    let root = Root::default();
    let file = root.write("checkers/granted.wasm", guest::GRANTED).display().to_string();
    let module = r#"
[commands]
probe = { run = ["/bin/true"] }
start = { run = ["/bin/true"] }
stop = { run = ["/bin/true"] }
"#;
    let asks = checker("asks", "ask = 'processes'", "processes = true, commands = ['probe'], env = ['LANG']");
    root.write("modules/some.toml", module.to_owned() + &asks);
    let all = "secrets = { word = 'x' }, commands = ['probe'], processes = true, ping = ['127.0.0.0/8']";
    root.write("modules/all.toml", module.to_owned() + &checker("asks", "ask = 'processes'", all));
    let at = root.path().display().to_string();
    let inspect = ["inspect", &file, "--root", &at];

    let shown = bellwether_ends(&inspect);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for line in [
        "grants   requests secrets (depends on its configuration): to tell everybody",
        "grants   requests ping `127.0.0.1`: to hear it answer",
        "used     modules/all.toml:14: checker `asks`",
        "used     modules/some.toml:14: checker `asks`",
        "  granted  processes `true`\n",
        "  granted  env `LANG`, which it does not request",
        "  missing  secrets (depends on its configuration); to allow it: grant = { secrets = { NAME = \"FILE\" } }",
        "  missing  ping `127.0.0.1`; to allow it: grant = { ping = [\"127.0.0.1\"] }",
    ] {
        assert!(shown.out.contains(line), "{line}\nin\n{}", shown.out);
    }
    assert_eq!(shown.out.matches("  missing  ").count(), 2, "{}", shown.out);

    let json = bellwether_ends(&[&inspect[..], &["--json", "--module", "some"]].concat());
    let inspected: Inspection = read(&json.out);
    let Some([only]) = inspected.uses.as_deref() else { panic!("not one use: {inspected:?}") };
    assert_eq!((only.module.as_str(), only.checker.as_deref()), ("some", Some("asks")));
    assert_eq!(only.unasked, [Unasked { kind: "env".to_owned(), value: "LANG".to_owned() }]);
    let ping = Note { add: "grant = { ping = [\"127.0.0.1\"] }".to_owned() };
    assert_eq!(only.missing.get(1), Some(&ping), "{only:?}");
    let nobody = bellwether_ends(&[&inspect[..], &["--module", "none"]].concat());
    assert_eq!(nobody.code, Some(11), "{nobody:?}");
    assert!(nobody.error.contains("there is no module `none` in this root"), "{nobody:?}");
    root.write("modules/none.toml", "[[checker]]\nname = \"p\"\nprocess = { name = \"none\" }\n");
    let unused = bellwether_ends(&[&inspect[..], &["--module", "none"]].concat());
    assert_eq!(unused.code, Some(1), "{unused:?}");
    assert!(unused.error.contains("module `none` uses no checker `granted`"), "{unused:?}");
    std::fs::remove_file(root.path().join("modules/none.toml")).expect("it is there");

    // Notes are not errors.
    let valid = bellwether_ends(&["validate", "--root", &at]);
    assert_eq!(valid.code, Some(0), "{valid:?}");
    let note = "note: modules/some.toml:14: checker `asks`: `granted` requests ping `127.0.0.1` (to hear it \
                answer), which is not granted; to allow it: grant = { ping = [\"127.0.0.1\"] }";
    assert!(valid.out.contains(note), "{}", valid.out);
    assert_eq!(valid.out.matches("note: ").count(), 2, "{}", valid.out);
    let json = bellwether_ends(&["validate", "--root", &at, "--json"]);
    let validation: Validation = read(&json.out);
    assert!(validation.ok && validation.notes.len() == 2, "{validation:?}");
    assert_eq!(validation.notes.get(1), Some(&ping));
}
