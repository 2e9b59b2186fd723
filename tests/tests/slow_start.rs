//! A start does not fail before it could succeed, and one that cannot succeed yet is retried.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_tests::answers::{Event, Module, Outcome, State, Verdict};
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http;
use bellwether_tests::lateness::Lateness;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::{Root, free_address};
use rustix::process::Signal;

fn run(root: &Root, module: &str) -> Daemon {
    root.write("modules/app.toml", module);
    Daemon::run(root.path(), root.health)
}

/// How often the application recorded that it was started.
fn starts(root: &Path) -> usize {
    fs::read_to_string(root.join("starts")).unwrap_or_default().lines().count()
}

/// It came up with one start, and earlier failures did not count.
fn came_up_with_one_start(root: &Root, daemon: &Daemon) -> Module {
    let module = daemon.until_ready("app");
    assert_eq!((starts(root.path()), module.restarts), (1, 0), "{}", daemon.tell(&["why", "app"]));
    let downs = daemon.events().into_iter().filter(Event::is_down);
    assert_eq!(downs.count(), 0, "{}", daemon.tell(&["events"]));
    module
}

/// Kills the processes that a pid file of the root names.
struct OfPidFile<'r>(&'r Root);

impl Drop for OfPidFile<'_> {
    fn drop(&mut self) {
        let text = fs::read_to_string(self.0.path().join("app.pid")).unwrap_or_default();
        if let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) {
            signal(pid, Signal::KILL);
        }
    }
}

#[test]
fn an_application_that_serves_long_after_its_checks_would_have_failed_is_waited_for() {
    let (root, address) = (Root::default(), free_address());
    let app = bellwether().display();
    let daemon = run(
        &root,
        &format!(
            r#"
[commands]
start = {{ run = ["/bin/sh", "-c", "echo s >> starts; sleep 3; exec {app} demo-app --listen {address}"], keep = true }}
[[checker]]
name = "page"
component = "http"
interval = "100ms"
fall = 2
grace = "0s"
config = {{ url = "http://{address}/" }}
grant = {{ connect = ["{address}"] }}
"#
        ),
    );
    came_up_with_one_start(&root, &daemon);
    // From here on `fall` failures end it.
    http::post(address, "/fail").expect("it takes the request");
    eventually("it is started again", || (starts(root.path()) == 2).then_some(()));
    daemon.until_ready("app");
}

#[test]
fn a_server_that_makes_its_workers_one_by_one_is_not_restarted_for_having_too_few() {
    let root = Root::default();
    let workers = "for worker in 1 2 3; do sleep 1; /bin/sleep 6001 & done; wait";
    let daemon = run(
        &root,
        &format!(
            r#"
[commands]
start = {{ run = ["/bin/sh", "-c", "echo s >> starts; {workers}"], keep = true }}
[[checker]]
name = "workers"
process = {{ arguments = "^/bin/sleep 6001$", at-least = 3 }}
"#
        ),
    );
    came_up_with_one_start(&root, &daemon);
}

#[test]
fn an_application_that_ends_until_its_database_is_there_is_up_soon_after_it_is() {
    let root = Root::default();
    let daemon = run(
        &root,
        r#"
[commands]
start = { run = ["/bin/sh", "-c", "echo s >> starts; [ -e database ] || exit 1; exec sleep 600"], keep = true }
"#,
    );
    eventually("it was tried several times", || (starts(root.path()) >= 4).then_some(()));
    let (began, late) = (Instant::now(), Lateness::begin());
    let waiting = daemon.until_state("app", State::Backoff);
    let reason = &waiting.reason;
    assert!(reason.contains("times in a row, for"), "{reason}");
    assert_eq!(waiting.restarts, 0, "a start is not counted");
    root.write("database", "");
    daemon.until_ready("app");
    assert!(began.elapsed() < Duration::from_secs(40) + late.so_far(), "{:?}", began.elapsed());
    let failed = daemon.events().into_iter().any(|event| event.is_change("state", "failed"));
    assert!(!failed, "{}", daemon.tell(&["events"]));
}

#[test]
fn each_try_counts_where_the_file_says_how_many_there_are() {
    let root = Root::default();
    let daemon = run(
        &root,
        r#"
[restart]
budget = { restarts = 2 }
backoff = { first = "100ms", max = "200ms" }
[commands]
start = { run = ["/bin/sh", "-c", "echo s >> starts; exit 1"], keep = true }
"#,
    );
    daemon.until_state("app", State::Failed);
    assert_eq!(starts(root.path()), 3);
}

/// In the background: its pid file appears after a second, written in two steps, and has several lines.
const LATE_PID_FILE: &str = r#"#!/bin/sh
echo s >> starts
setsid /bin/sh -c 'sleep 1; printf "" > app.pid; sleep 0.3; printf "%s" $(( $$ / 10 )) > app.pid; sleep 0.3
printf "%s\n/var/lib/app\n5432\n" $$ > app.pid; exec sleep 6002' </dev/null >/dev/null 2>&1 &
"#;

fn by_pid_file(root: &Root) -> String {
    let script = root.write("start.sh", LATE_PID_FILE);
    let pid_file = root.path().join("app.pid").display().to_string();
    format!(
        r#"
[commands]
start = {{ run = ["/bin/sh", "{}"] }}
stop = {{ run = ["/bin/sh", "-c", "kill $(head -1 app.pid); rm -f app.pid"] }}
[health]
drain = "0s"
[[checker]]
name = "main"
process = {{ pid-file = "{pid_file}" }}
"#,
        script.display()
    )
}

#[test]
fn a_pid_file_may_come_late_be_written_in_steps_and_have_several_lines() {
    let root = Root::default();
    let _guard = OfPidFile(&root);
    let module = by_pid_file(&root);
    let daemon = run(&root, &module);
    came_up_with_one_start(&root, &daemon);
    let [pid] = daemon.processes("app")[..] else { panic!("{:?}", daemon.processes("app")) };

    // While the file is missing the application still runs, and setting a clock does not make it another one.
    let (file, away) = (root.path().join("app.pid"), root.path().join("app.pid.old"));
    fs::rename(&file, &away).expect("the file moves");
    eventually("the file is missed", || {
        daemon.checker("app", "main").last.filter(|last| last.status == Outcome::Warn)
    });
    assert_eq!(daemon.processes("app"), [pid]);
    fs::rename(&away, &file).expect("the file moves back");
    assert_eq!(daemon.module("app").restarts, 0);

    assert!(signal(pid, Signal::KILL));
    eventually("its death is seen", || (starts(root.path()) == 2).then_some(()));
    daemon.until_ready("app");
    assert!(!is_alive(pid));
}

/// A process in a separate process id namespace, as in a container.
struct Contained(Child);

impl Contained {
    fn run(program: &Path) -> Option<Self> {
        let child = Command::new("unshare")
            .args(["--fork", "--pid", "--kill-child"])
            .arg(program)
            .arg("6003")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self(child))
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_process_of_a_container_is_not_taken_for_the_application() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root makes process id namespaces");
        return;
    }
    let root = Root::default();
    let program = root.path().join("shopd-app");
    fs::copy("/bin/sleep", &program).expect("a program of this name");
    let Some(contained) = Contained::run(&program) else {
        eprintln!("skipped: there is no unshare(1)");
        return;
    };
    let daemon = run(
        &root,
        r#"
[restart]
budget = { restarts = 0 }
[commands]
start = { run = ["/bin/sh", "-c", "setsid ./shopd-app 600 </dev/null >/dev/null 2>&1 & echo $! > app.pid"] }
stop = { run = ["/bin/true"] }
[health]
drain = "0s"
[[checker]]
name = "main"
process = { name = "shopd-app" }
[[checker]]
name = "anywhere"
process = { name = "shopd-app", containers = true, at-least = 2 }
on-down = "notify"
"#,
    );
    let _guard = OfPidFile(&root);
    daemon.until_ready("app");
    eventually("both are seen where that is asked for", || {
        (daemon.checker("app", "anywhere").verdict == Verdict::Up).then_some(())
    });
    let pid = fs::read_to_string(root.path().join("app.pid")).expect("the application wrote it");
    assert!(signal(pid.trim().parse().expect("a process id"), Signal::KILL));
    daemon.until_state("app", State::Failed);
    assert_eq!(daemon.health("app").status, 503);
    drop(contained);
}

#[test]
fn an_application_that_hangs_and_does_not_hear_is_not_waited_for_as_long_as_its_stop_may_take() {
    let (root, address) = (Root::default(), free_address());
    let app = bellwether().display();
    let daemon = run(
        &root,
        &format!(
            r#"
[commands]
start = {{ run = ["/bin/sh", "-c", "trap '' TERM; exec {app} demo-app --listen {address}"], keep = true, timeout = "60s" }}
[[checker]]
name = "page"
component = "http"
interval = "200ms"
timeout = "500ms"
fall = 2
config = {{ url = "http://{address}/" }}
grant = {{ connect = ["{address}"] }}
"#
        ),
    );
    daemon.until_ready("app");
    let before = daemon.processes("app");
    http::post(address, "/hang").expect("it takes the request");
    let (began, late) = (Instant::now(), Lateness::begin());
    eventually("another one has taken its place", || {
        let now = daemon.processes("app");
        (!now.is_empty() && now != before).then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(30) + late.so_far(), "{:?}", began.elapsed());
    assert!(daemon.tell(&["events"]).contains("not done within 2s"), "{}", daemon.tell(&["events"]));
    daemon.until_ready("app");
}

#[test]
fn while_its_prerequisite_is_away_an_application_is_not_restarted_in_vain() {
    let (root, address) = (Root::default(), free_address());
    let (app, database) = (bellwether().display(), free_address());
    let module = format!(
        r#"
[commands]
start = {{ run = ["{app}", "demo-app", "--listen", "{address}"], keep = true }}
[health]
drain = "0s"
[[checker]]
name = "page"
component = "http"
interval = "200ms"
fall = 2
config = {{ url = "http://{address}/" }}
grant = {{ connect = ["{address}"] }}
[[checker]]
name = "database"
component = "tcp"
interval = "2s"
fall = 2
rise = 1
on-down = "wait"
config = {{ address = "{database}", expect-accept = false }}
grant = {{ connect = ["{database}"] }}
"#
    );
    let listening = std::net::TcpListener::bind(database).expect("the database listens");
    let daemon = run(&root, &module);
    daemon.until_ready("app");
    drop(listening);
    http::post(address, "/fail").expect("it takes the request");
    daemon.until_state("app", State::Waiting);
    assert_eq!(daemon.module("app").restarts, 0, "{}", daemon.tell(&["why", "app"]));
    assert!(daemon.tell(&["events"]).contains("prerequisite `database` fails as well"));
    let _listening = std::net::TcpListener::bind(database).expect("the database listens again");
    assert_eq!(daemon.until_ready("app").restarts, 0);
}
