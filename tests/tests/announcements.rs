//! Answers to load balancers other than 200 and 503: commands for those that do not probe, PROXY lines in front of
//! checks, and reduced load for a node that asks for less.

use std::fs;

use bellwether_tests::answers::State;
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::haproxy::{self, Haproxy, Server, Watch};
use bellwether_tests::http;
use bellwether_tests::process::signal;
use bellwether_tests::program::is_installed;
use bellwether_tests::root::{Root, free_address};
use rustix::process::Signal;

/// A load balancer's command appends each announcement to a file, unless `broken` exists.
const TOLD: &str = r#"
[commands]
start = { run = ["/bin/sleep", "1002"], keep = true }
join = { run = ["/bin/sh", "-c", "test ! -e broken && echo yes >>told"] }
leave = { run = ["/bin/sh", "-c", "test ! -e broken && echo no >>told || { echo the balancer is away; exit 7; }"] }

[health]
drain = "1s"
on-yes = "join"
on-no = "leave"
"#;

fn told(root: &Root) -> Vec<String> {
    let text = fs::read_to_string(root.path().join("told")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn until_told_last(root: &Root, word: &str) {
    eventually(&format!("the load balancer is told {word}"), || {
        told(root).last().is_some_and(|last| last == word).then_some(())
    });
}

#[test]
fn a_load_balancer_that_never_asks_is_told_by_a_command_when_the_answer_changes() {
    let root = Root::default();
    root.write("modules/app.toml", TOLD);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("app");
    until_told_last(&root, "yes");

    daemon.tell(&["stop", "app"]);
    until_told_last(&root, "no");
    daemon.until_state("app", State::Stopped);
    daemon.tell(&["start", "app"]);
    until_told_last(&root, "yes");
    let step = eventually("it is written down", || {
        daemon.events().into_iter().find(|event| event.text.contains("tell the load balancer no: `leave`"))
    });
    assert!(step.text.contains("done in"), "{step:?}");

    // A failure is announced as well, and the recovery.
    let before = told(&root).len();
    assert!(signal(daemon.processes("app")[0], Signal::KILL));
    eventually("a failure is told", || told(&root)[before..].contains(&"no".to_owned()).then_some(()));
    daemon.until_ready("app");
    until_told_last(&root, "yes");

    // Each answer once, and never the same answer twice in a row except at the start of a daemon.
    let before = told(&root);
    let alternate = before.windows(2).all(|pair| pair[0] != pair[1]);
    assert!(alternate, "{before:?}");
    daemon.end();
    daemon.run_again();
    daemon.until_ready("app");
    eventually("the next daemon says how it is", || (told(&root).len() > before.len()).then_some(()));
    assert_eq!(told(&root)[before.len()..], ["yes"], "the application served all the while");
}

#[test]
fn a_command_that_fails_is_shown_and_run_again_until_it_works() {
    let root = Root::default();
    root.write("modules/app.toml", TOLD);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("app");
    until_told_last(&root, "yes");

    root.write("broken", "");
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
    let problem = eventually("it is shown", || {
        Some(daemon.problems()).filter(|problems| problems.contains("was not told no"))
    });
    for part in ["module `app`", "command `leave`", "exited with 7", "the balancer is away", "tried again"] {
        assert!(problem.contains(part), "{part} in {problem}");
    }
    assert_eq!(told(&root).last().map(String::as_str), Some("yes"));

    root.remove("broken");
    until_told_last(&root, "no");
    eventually("all is well", || (!daemon.problems().contains("was not told")).then_some(()));
}

#[test]
fn commands_that_are_new_are_run_and_a_module_that_is_removed_is_told_as_a_no() {
    let root = Root::default();
    let quiet = TOLD.replace("on-yes = \"join\"\non-no = \"leave\"\n", "");
    assert!(!quiet.contains("on-yes"));
    root.write("modules/app.toml", &quiet);
    root.write(
        "modules/other.toml",
        "[commands]\nstart = { run = [\"/bin/sleep\", \"1004\"], keep = true }\n",
    );
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("app");
    daemon.until_ready("other");
    assert_eq!(told(&root), Vec::<String>::new());
    root.write("modules/app.toml", TOLD);
    until_told_last(&root, "yes");
    root.remove("modules/app.toml");
    until_told_last(&root, "no");
    assert_eq!(told(&root), ["yes", "no"]);
}

#[test]
fn a_proxy_line_in_front_of_a_check_is_read_over() {
    let root = Root::default();
    root.write("modules/app.toml", "[commands]\nstart = { run = [\"/bin/sleep\", \"1003\"], keep = true }\n");
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("app");
    for line in [
        "PROXY TCP4 127.0.0.1 127.0.0.1 40000 9010\r\n",
        "PROXY UNKNOWN\r\n",
        "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ] {
        let request = format!("{line}GET /health/app HTTP/1.0\r\n\r\n");
        let answer = http::request(root.health, &request).expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"), "{line:?}");
    }
    let answer =
        http::request(root.health, "PROXY somewhere\r\nGET /health/app HTTP/1.0\r\n\r\n").expect("an answer");
    assert_eq!(answer.status, 400);
}

fn that_may_degrade(application: std::net::SocketAddr) -> String {
    let program = bellwether().display();
    format!(
        r#"
[commands]
start = {{ run = ["{program}", "demo-app", "--listen", "{application}"], keep = true }}

[health]
degrade = true

[[checker]]
name = "page"
component = "http"
interval = "200ms"
timeout = "20s"
fall = 1
rise = 1
grace = "0s"
on-down = "notify"
config = {{ url = "http://{application}/" }}
grant = {{ connect = ["{application}"] }}
"#
    )
}

#[test]
fn a_node_that_works_less_well_asks_for_less() {
    if !is_installed(haproxy::PROGRAM) {
        return;
    }
    let (application, agent) = (free_address(), free_address());
    let root = Root::default();
    root.write_node_with_tls("node-1", &format!("[[agent-check]]\nlisten = \"{agent}\"\nmodule = \"web\"\n"));
    root.write("modules/web.toml", that_may_degrade(application));
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let server = Server { name: "node-1".to_owned(), application, health: root.health, agent };
    let haproxy = Haproxy::run(&[server]);
    let until_weight = |weight: &str| {
        eventually(&format!("the weight is {weight}"), || {
            (haproxy.weight(Watch::Agent, "node-1") == weight).then_some(())
        });
    };
    let is_degraded = || {
        let answer = http::get(root.health, "/health/web").expect("an answer");
        assert_eq!(answer.status, 200, "it serves all the while: {answer:?}");
        answer.head.to_ascii_lowercase().contains("\r\nx-envoy-degraded: ")
    };
    until_weight("100");
    assert!(!is_degraded());

    http::post(application, "/fail").expect("the application answers");
    eventually("the answer says so", || is_degraded().then_some(()));
    until_weight("50");
    http::post(application, "/heal").expect("the application answers");
    eventually("the answer says so no more", || (!is_degraded()).then_some(()));
    until_weight("100");
}
