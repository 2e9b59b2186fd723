//! SIGTERM as the node's file says, SIGHUP, and a daemon that stands still.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bellwether_tests::answers::{Event, State, Wanted};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::web::{CHECK_PROCESS, Web};
use rustix::process::Signal;

use super::{application, serving};

/// The module serves, and drains for this long.
fn draining(shutdown: &str, drain: &str) -> (Root, Web, Daemon, u32) {
    let root = Root::new("node-1", &format!("[shutdown]\n{shutdown}\n"));
    let web = Web { address: free_address() };
    root.write("modules/web.toml", web.application(drain) + CHECK_PROCESS);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let pid = application(&daemon);
    (root, web, daemon, pid)
}

#[test]
fn a_drain_says_no_first_and_leaves_the_application_running() {
    let (_root, web, mut daemon, pid) = draining("applications = \"drain\"", "15s");
    signal(daemon.pid(), Signal::TERM);
    daemon.until_state("web", State::Draining);
    assert_eq!(daemon.health("web").status, 503);
    assert!(web.ask().is_some(), "the application serves while it drains");
    let denied = daemon.client(&["start", "web"]);
    assert!(String::from_utf8_lossy(&denied.stderr).contains("the daemon is shutting down"), "{denied:?}");
    assert_eq!(daemon.until_ended(), Some(0), "{}", daemon.log());
    assert!(is_alive(pid) && web.ask().is_some());
    daemon.run_again();
    daemon.until_ready("web");
    assert_eq!(application(&daemon), pid, "the next daemon finds it again");
}

#[test]
fn a_stop_drains_and_stops_and_the_next_daemon_starts_again() {
    let (_root, web, mut daemon, pid) = draining("applications = \"stop\"", "10s");
    signal(daemon.pid(), Signal::TERM);
    daemon.until_state("web", State::Draining);
    assert_eq!(daemon.until_ended(), Some(0), "{}", daemon.log());
    assert!(!is_alive(pid) && web.ask().is_none());
    daemon.run_again();
    let module = daemon.until_ready("web");
    assert_eq!(module.wanted, Wanted::Started, "nobody's wish has changed");
    assert_ne!(application(&daemon), pid);
}

#[test]
fn a_second_signal_ends_the_daemon_at_once() {
    let (_root, web, mut daemon, pid) = draining("applications = \"stop\"\nwithin = \"1h\"", "1h");
    signal(daemon.pid(), Signal::TERM);
    daemon.until_state("web", State::Draining);
    assert!(!daemon.has_ended());
    signal(daemon.pid(), Signal::TERM);
    assert_eq!(daemon.until_ended(), Some(0), "{}", daemon.log());
    assert!(is_alive(pid) && web.ask().is_some(), "nothing more is done");
}

#[test]
fn the_end_waits_no_longer_than_the_node_file_says() {
    let (_root, _web, mut daemon, pid) = draining("applications = \"stop\"\nwithin = \"1s\"", "1h");
    signal(daemon.pid(), Signal::TERM);
    assert_eq!(daemon.until_ended(), Some(0), "{}", daemon.log());
    assert!(is_alive(pid), "unfinished work is abandoned");
    assert!(daemon.log().contains("the time limit of the shutdown is over"), "{}", daemon.log());
}

/// The records with which the daemon has answered SIGHUP.
fn read_again(daemon: &Daemon) -> Vec<String> {
    let events = daemon.events();
    let texts = events.into_iter().map(|event| event.text);
    texts.filter(|text| text.starts_with("all files were read again")).collect()
}

fn hang_up(daemon: &Daemon) -> String {
    let before = read_again(daemon).len();
    signal(daemon.pid(), Signal::HUP);
    eventually("everything is read again", || read_again(daemon).get(before).cloned())
}

#[test]
fn a_hangup_reads_the_node_file_again_and_says_what_waits_for_a_restart() {
    let (root, _web, mut daemon, pid) = serving("");
    assert!(hang_up(&daemon).contains("nothing has changed"));
    root.write_node("node-1", "[shutdown]\napplications = \"stop\"\n[limits]\nmemory = \"32MiB\"\n");
    let told = hang_up(&daemon);
    assert!(told.contains("shutdown active now; limits at the next start"), "{told}");
    assert!(daemon.problems().contains("`limits` has changed"), "{}", daemon.problems());

    root.write("bellwether.toml", "[health]\nlisten = \"nowhere\"\n");
    let told = hang_up(&daemon);
    assert!(told.contains("the previous version stays active") && told.contains("nowhere"), "{told}");
    assert!(daemon.problems().contains("not an address with a port"), "{}", daemon.problems());
    assert_eq!(daemon.health("web").status, 200);

    root.write_node("node-1", "");
    hang_up(&daemon);
    assert_eq!(daemon.problems(), "");
    root.write_node("node-1", "[shutdown]\napplications = \"stop\"\n");
    hang_up(&daemon);
    assert!(is_alive(pid));
    // And it is really active.
    daemon.end();
    assert!(!is_alive(pid), "{}", daemon.log());
}

#[test]
fn a_hangup_looks_at_the_folders_at_once() {
    let (root, web, daemon, _pid) = serving("[reload]\nrescan = \"10m\"\n");
    root.write("modules/web.toml", web.application("7s") + CHECK_PROCESS);
    hang_up(&daemon);
    eventually("the edit is in force", || {
        let events = daemon.events();
        let of_it =
            |event: &&Event| event.kind == "reload" && event.what.as_deref() == Some("modules/web.toml");
        let edit = events.iter().filter(of_it).count();
        (edit > 1).then_some(())
    });
}

/// Longer than the core alone may be silent.
const PAUSE: Duration = Duration::from_secs(3);

#[test]
fn a_daemon_that_stood_still_answers_once_it_knows_again_and_not_that_its_core_has_stalled() {
    let (root, _web, daemon, _pid) = serving("");
    assert!(signal(daemon.pid(), Signal::STOP));
    std::thread::sleep(PAUSE);
    // The kernel takes it, and it waits for the daemon.
    let mut probe = TcpStream::connect(root.health).expect("the port is open");
    probe.write_all(b"GET /health/web HTTP/1.0\r\n\r\n").expect("it can be sent");
    assert!(signal(daemon.pid(), Signal::CONT));
    let mut answer = String::new();
    probe.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
