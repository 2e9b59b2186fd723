//! Notifications are delivered once, whatever happens to the daemon or to the webhook.

use bellwether_tests::answers::{Notification, State};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::hook::{Alert, Hook, Told};
use bellwether_tests::http;
use bellwether_tests::process::signal;
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::web::Web;
use rustix::process::Signal;

/// The notification target in the node's file.
fn notify(hook: &Hook, group_wait: &str) -> String {
    format!(
        "[[notify]]\nname = \"hook\"\non = [\"failed\", \"recovered\"]\ngroup-wait = \"{group_wait}\"\n\
         webhook = {{ url = \"http://{}/alerts\" }}\n",
        hook.address
    )
}

/// A daemon whose module `web` serves and fails at its first fault, and a notification target.
fn serving(group_wait: &str) -> (Root, Hook, Daemon) {
    let hook = Hook::new();
    let root = Root::new("node-1", &notify(&hook, group_wait));
    let web = Web::lay_out(&root);
    root.write("modules/web.toml", web.file("").replace("restarts = 20", "restarts = 0"));
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    (root, hook, daemon)
}

fn fail(daemon: &Daemon) {
    for pid in daemon.processes("web") {
        signal(pid, Signal::KILL);
    }
    daemon.until_state("web", State::Failed);
}

/// The state of the only target.
fn notifications(daemon: &Daemon) -> Notification {
    daemon.status().notifications.into_iter().next().expect("one is to be told")
}

fn until_taken(hook: &Hook, daemon: &Daemon, count: usize) -> Vec<Told> {
    eventually(&format!("{count} are taken; now {:?}\n{}", hook.told(), daemon.log()), || {
        Some(hook.taken()).filter(|taken| taken.len() >= count)
    })
}

/// The alert about the failure, which lasts.
fn failed() -> Alert {
    Alert { kind: "failed".to_owned(), state: "lasts".to_owned() }
}

fn statuses(taken: &[Told]) -> Vec<&str> {
    taken.iter().map(Told::status).collect()
}

#[test]
fn a_failure_is_told_once_its_end_once_and_a_test_shows_that_it_works() {
    let (_root, hook, daemon) = serving("200ms");
    fail(&daemon);
    let taken = until_taken(&hook, &daemon, 1);
    let Told { key, body, .. } = &taken[0];
    assert_eq!((body.module.as_deref(), body.node.as_str(), &body.key), (Some("web"), "node-1", key));
    assert_eq!(body.alerts, [failed()]);
    assert!(body.text.starts_with("[FIRING] web on node-1: "), "{body:?}");

    daemon.tell(&["start", "web", "--wait"]);
    until_taken(&hook, &daemon, 2);
    let said = daemon.tell(&["notify", "test", "hook"]);
    assert!(said.starts_with("hook  ✓ delivered in "), "{said}");
    let taken = hook.taken();
    assert_eq!(statuses(&taken), ["firing", "resolved", "test"], "{taken:#?}");
    assert_eq!(notifications(&daemon).waiting, 0);
    let listed = daemon.tell(&["notify", "list"]);
    assert!(listed.contains("✓ delivered"), "{listed}");
}

#[test]
fn a_webhook_that_is_down_when_the_daemon_is_killed_is_told_once_by_the_next_one() {
    let (_root, hook, mut daemon) = serving("200ms");
    hook.works(false);
    fail(&daemon);
    eventually("it was tried", || (!hook.told().is_empty()).then_some(()));
    let shown =
        eventually("the failure is shown", || Some(notifications(&daemon)).filter(|shown| shown.failing > 0));
    let why = "answered 500 Internal Server Error";
    assert_eq!((shown.waiting, shown.why.as_deref()), (1, Some(why)));
    assert!(daemon.tell(&["status"]).contains("✗ not notified: hook: answered 500"));
    let test = daemon.client(&["notify", "test"]);
    assert_eq!(test.status.code(), Some(3), "{test:?}");
    let key = hook.told()[0].key.clone();

    daemon.kill();
    hook.works(true);
    daemon.run_again();
    daemon.until_state("web", State::Failed);
    until_taken(&hook, &daemon, 1);
    daemon.tell(&["start", "web", "--wait"]);
    let taken = until_taken(&hook, &daemon, 2);
    assert_eq!(statuses(&taken), ["firing", "resolved"], "{taken:#?}");
    assert_eq!(taken[0].key, key, "what is sent again has the key that it had");
    assert_ne!(taken[1].key, key);
}

#[test]
fn what_happened_just_before_the_daemon_was_killed_is_told_by_the_next_one() {
    let (root, hook, mut daemon) = serving("10m");
    fail(&daemon);
    // Events that the daemon shows are not stored yet, those in the journal's file are.
    eventually("the failure is in the journal", || {
        daemon.events().iter().any(|event| event.is_change("state", "failed")).then_some(())
    });
    daemon.kill();
    assert!(hook.told().is_empty(), "it waits for what else happens");
    root.write_node("node-1", &notify(&hook, "200ms"));
    daemon.run_again();
    let taken = until_taken(&hook, &daemon, 1);
    assert_eq!(taken[0].body.alerts, [failed()]);
    daemon.tell(&["notify", "test"]);
    let taken = hook.taken();
    assert_eq!(taken.iter().filter(|told| told.status() != "test").count(), 1, "{taken:#?}");
}

#[test]
fn numbers_are_served_to_prometheus() {
    let metrics = free_address();
    let root = Root::new("node-1", &format!("[metrics]\nlisten = \"{metrics}\"\n"));
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    assert_eq!(daemon.health("web").status, 200);
    let page = http::get(metrics, "/metrics").expect("the page");
    assert!(page.head.contains("application/openmetrics-text"), "{}", page.head);
    for series in [
        "bellwether_module_ready{module=\"web\"} 1",
        "bellwether_module_state{module=\"web\",state=\"up\"} 1",
        "bellwether_checker_verdict{module=\"web\",checker=\"home\",state=\"up\"} 1",
        "bellwether_core_alive 1",
        "bellwether_components{state=\"refused\"} 0",
        "bellwether_plans_total{module=\"web\",result=\"made\"} 1",
        "# EOF",
    ] {
        assert!(page.body.contains(series), "{series}:\n{}", page.body);
    }
    let value = |series: &str| -> f64 {
        let line = page.body.lines().find(|line| line.starts_with(series)).expect(series);
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    for series in [
        "bellwether_check_runs_total{module=\"web\",checker=\"home\",result=\"pass\"}",
        "bellwether_check_cpu_seconds_total{module=\"web\",checker=\"home\"}",
        "bellwether_check_memory_bytes{module=\"web\",checker=\"home\"}",
        "bellwether_health_answers_total{result=\"yes\"}",
        "bellwether_core_events_total",
        "process_resident_memory_bytes",
    ] {
        assert!(value(series) > 0.0, "{series}");
    }
    assert_eq!(http::get(metrics, "/").map(|answer| answer.status), Some(404));
}
