//! A real `HAProxy` with two nodes behind it gets correct answers: to its default check, to checks of one module
//! (over HTTP/1, HTTP/2 and TLS), and from an agent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bellwether_tests::answers::State;
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::haproxy::{self, Haproxy, Server, Watch};
use bellwether_tests::http;
use bellwether_tests::load::Load;
use bellwether_tests::process::signal;
use bellwether_tests::program::is_installed;
use bellwether_tests::root::{Root, free_address};
use rustix::process::Signal;

/// Longer than two failed checks 150 ms apart, also where the machine is slow.
const DRAIN: &str = "10s";

/// How long requests wait at a daemon that starts.
const RESTARTED_WITHIN: Duration = Duration::from_secs(5);
/// The number of restarts until one completes within that time.
const TRIES: usize = 20;

/// A node with the application of the demo. Fields are dropped in this order.
struct Node {
    daemon: Daemon,
    server: Server,
    _root: Root,
}

impl Node {
    /// `restarts` is its budget. The checker of its pages takes it out and does nothing more.
    fn run(name: &str, restarts: u32) -> Self {
        let (application, agent) = (free_address(), free_address());
        let root = Root::default();
        root.write_node_with_tls(name, &format!("[[agent-check]]\nlisten = \"{agent}\"\nmodule = \"web\"\n"));
        root.write("modules/web.toml", module_file(application, restarts));
        let daemon = Daemon::run(root.path(), root.health);
        daemon.until_ready("web");
        let server = Server { name: name.to_owned(), application, health: root.health, agent };
        Self { daemon, server, _root: root }
    }

    /// Sends a request to the application.
    fn post(&self, path: &str) {
        let answer = http::post(self.server.application, path).expect("the application answers");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn module_file(application: SocketAddr, restarts: u32) -> String {
    let program = bellwether().display();
    format!(
        r#"
[restart]
budget = {{ restarts = {restarts}, within = "1h" }}
backoff = {{ first = "100ms", max = "1s" }}

[commands]
start = {{ run = ["{program}", "demo-app", "--listen", "{application}"], keep = true, timeout = "20s" }}

[health]
drain = "{DRAIN}"

[[checker]]
name = "process"
process = {{ kept = "start" }}

[[checker]]
name = "home-page"
component = "http"
interval = "200ms"
timeout = "20s"
fall = 1
rise = 1
grace = "0s"
on-down = "out"
config = {{ url = "http://{application}/" }}
grant = {{ connect = ["{application}"] }}
"#
    )
}

/// Two nodes with a load balancer in front, which uses both. `None` if it is not installed.
fn farm(restarts: u32) -> Option<(Haproxy, Node, Node)> {
    if !is_installed(haproxy::PROGRAM) {
        return None;
    }
    let (one, two) = (Node::run("node-1", restarts), Node::run("node-2", restarts));
    let haproxy = Haproxy::run(&[one.server.clone(), two.server.clone()]);
    haproxy.until_served_by(&["node-1", "node-2"]);
    Some((haproxy, one, two))
}

/// Clients of every frontend, all of which have been answered.
fn load(haproxy: &Haproxy) -> Load {
    let load = Load::begin(&Watch::ALL.map(|watch| haproxy.front(watch)));
    until_asked_more(&load, 60);
    load
}

fn until_asked_more(load: &Load, more: u64) {
    let before = load.asked();
    eventually("clients go on", || (load.asked() >= before + more).then_some(()));
}

#[test]
fn traffic_leaves_a_node_whose_application_fails_and_comes_back_when_it_is_well() {
    let Some((haproxy, one, _two)) = farm(3) else { return };
    one.post("/fail");
    haproxy.until_served_by(&["node-2"]);
    one.post("/heal");
    haproxy.until_served_by(&["node-1", "node-2"]);
    assert_eq!(one.daemon.module("web").restarts, 0, "it was only taken out");
}

#[test]
fn traffic_leaves_a_node_whose_application_is_dead_for_good_and_comes_back_when_a_person_starts_it() {
    let Some((haproxy, one, _two)) = farm(0) else { return };
    let application = one.daemon.processes("web");
    assert!(signal(application[0], Signal::KILL), "{application:?}");
    one.daemon.until_state("web", State::Failed);
    haproxy.until_served_by(&["node-2"]);
    for watch in Watch::ALL {
        haproxy.until_status(watch, "node-1", "DOWN");
    }
    one.daemon.tell(&["start", "web"]);
    haproxy.until_served_by(&["node-1", "node-2"]);
}

#[test]
fn no_request_fails_while_a_node_is_stopped_and_started_again() {
    let Some((haproxy, one, _two)) = farm(3) else { return };
    let load = load(&haproxy);
    one.daemon.tell(&["stop", "web"]);
    one.daemon.until_state("web", State::Stopped);
    haproxy.until_served_by(&["node-2"]);
    until_asked_more(&load, 60);
    one.daemon.tell(&["start", "web"]);
    haproxy.until_served_by(&["node-1", "node-2"]);
    until_asked_more(&load, 60);
    let tally = load.end();
    assert_eq!(tally.failures, Vec::<String>::new(), "{}", haproxy.log());
    assert!(tally.answered.contains_key("node-1") && tally.answered.contains_key("node-2"), "{tally:?}");
}

#[test]
fn no_request_fails_while_a_person_restarts_a_node() {
    let Some((haproxy, one, _two)) = farm(3) else { return };
    let load = load(&haproxy);
    let before = one.daemon.processes("web");
    one.daemon.tell(&["restart", "web"]);
    one.daemon.until_state("web", State::Draining);
    haproxy.until_served_by(&["node-2"]);
    one.daemon.until_ready("web");
    assert_ne!(one.daemon.processes("web"), before);
    haproxy.until_served_by(&["node-1", "node-2"]);
    let tally = load.end();
    assert_eq!(tally.failures, Vec::<String>::new(), "{}", haproxy.log());
}

#[test]
fn no_request_fails_and_no_node_leaves_while_the_daemons_of_both_are_restarted_at_once() {
    let Some((haproxy, mut one, mut two)) = farm(3) else { return };
    for how in [Signal::TERM, Signal::KILL] {
        // A machine that is too busy for a restart within the time that requests wait does not count.
        let judged = (0..TRIES).any(|_| {
            let load = load(&haproxy);
            let changes = haproxy.changes();
            let begun = Instant::now();
            for node in [&one, &two] {
                assert!(signal(node.daemon.pid(), how));
            }
            for node in [&mut one, &mut two] {
                node.daemon.until_ended();
                node.daemon.begin_again();
            }
            for node in [&mut one, &mut two] {
                node.daemon.await_answer();
                node.daemon.until_ready("web");
            }
            let took = begun.elapsed();
            until_asked_more(&load, 60);
            let tally = load.end();
            if took >= RESTARTED_WITHIN {
                haproxy.until_served_by(&["node-1", "node-2"]);
                return false;
            }
            assert_eq!(tally.failures, Vec::<String>::new(), "{how:?} {}", haproxy.log());
            assert!(
                tally.answered.contains_key("node-1") && tally.answered.contains_key("node-2"),
                "{tally:?}"
            );
            assert_eq!(haproxy.changes(), changes, "{how:?}: a server was taken out\n{}", haproxy.log());
            true
        });
        assert!(judged, "no restart was done within {RESTARTED_WITHIN:?}\n{}", one.daemon.log());
    }
}

#[test]
fn a_stop_shows_as_drain_by_the_agent_and_as_up_when_it_is_called_off() {
    let Some((haproxy, one, _two)) = farm(3) else { return };
    one.daemon.tell(&["stop", "web"]);
    haproxy.until_status(Watch::Agent, "node-1", "DRAIN");
    one.daemon.tell(&["start", "web"]);
    haproxy.until_status(Watch::Agent, "node-1", "UP");
    haproxy.until_served_by(&["node-1", "node-2"]);
    // To the end this time: the agent's line changes in between.
    one.daemon.tell(&["stop", "web"]);
    haproxy.until_status(Watch::Agent, "node-1", "DRAIN");
    haproxy.until_status(Watch::Agent, "node-1", "DOWN (agent)");
    one.daemon.until_state("web", State::Stopped);
    one.daemon.tell(&["start", "web"]);
    haproxy.until_status(Watch::Agent, "node-1", "UP");
}

#[test]
fn traffic_leaves_a_node_whose_daemon_stands_still_and_comes_back_when_it_goes_on() {
    let Some((haproxy, one, _two)) = farm(3) else { return };
    assert!(signal(one.daemon.pid(), Signal::STOP));
    haproxy.until_served_by(&["node-2"]);
    assert!(signal(one.daemon.pid(), Signal::CONT));
    haproxy.until_served_by(&["node-1", "node-2"]);
}
