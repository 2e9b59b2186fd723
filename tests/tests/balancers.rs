//! Load balancers, each configured as in `docs/load-balancers.md`, in front of two nodes under load: no request
//! fails while the daemons of both are restarted at the same time, and none while a node is stopped and started
//! again.
//!
//! In every run the two that differ most: `HAProxy`, with an agent on a connection, and Caddy, which probes over
//! HTTP and caches answers itself. A long run (`BELLWETHER_LONG=1`) has all that are installed, or the one that
//! `BELLWETHER_BALANCER` names by its heading.

use std::time::{Duration, Instant};

use bellwether_tests::answers::State;
use bellwether_tests::balancer::{ALL, Balancer, Kind, Places};
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::load::Load;
use bellwether_tests::long::{amount, is_long};
use bellwether_tests::process::signal;
use bellwether_tests::root::Root;
use rustix::process::Signal;

/// How long requests wait at a daemon that starts.
const RESTARTED_WITHIN: Duration = Duration::from_secs(5);
/// Restarts on a machine that is too busy for that do not count, and there are at most this many attempts for each.
const TRIES: u64 = 10;
/// The number of requests before and after the change.
const AROUND: u64 = 40;

/// A node with the application of the demo. Fields are dropped in this order.
struct Node {
    daemon: Daemon,
    _root: Root,
}

impl Node {
    fn run(kind: &Kind, places: &Places, node: usize) -> Self {
        let mut root = Root::default();
        root.health = places.health(node);
        root.write_node(&format!("node-{node}"), &kind.node_file(places, node));
        let (program, application) = (bellwether().display(), places.application(node));
        let start = format!(
            "start = {{ run = [\"{program}\", \"demo-app\", \"--listen\", \"{application}\"], keep = true }}"
        );
        root.write("modules/web.toml", format!("[commands]\n{start}\n{}", kind.module_file(places, node)));
        let daemon = Daemon::run(root.path(), root.health);
        daemon.until_ready("web");
        Self { daemon, _root: root }
    }
}

struct Farm {
    balancer: Balancer,
    nodes: [Node; 2],
    places: Places,
}

impl Farm {
    fn run(kind: &Kind, program: &std::path::Path) -> Self {
        let places = Places::free();
        let nodes = [Node::run(kind, &places, 1), Node::run(kind, &places, 2)];
        let balancer = Balancer::run(kind, program, &places);
        balancer.until_served_by(&["node-1", "node-2"]);
        Self { balancer, nodes, places }
    }

    /// Lets clients send requests while `what` is done. Returns the failures, each in words.
    fn under_load(&mut self, what: impl FnOnce(&mut Self)) -> Vec<String> {
        let load = Load::begin(&[self.places.front]);
        let go_on = |load: &Load| {
            let before = load.asked();
            eventually("clients go on", || (load.asked() >= before + AROUND).then_some(()));
        };
        go_on(&load);
        what(self);
        go_on(&load);
        load.end().failures
    }

    /// Restarts the daemons of both nodes at the same time. Returns how long there was none.
    fn restart_daemons(&mut self) -> Duration {
        let begun = Instant::now();
        for node in &self.nodes {
            assert!(signal(node.daemon.pid(), Signal::TERM));
        }
        for node in &mut self.nodes {
            node.daemon.until_ended();
            node.daemon.begin_again();
        }
        for node in &mut self.nodes {
            node.daemon.await_answer();
            node.daemon.until_ready("web");
        }
        begun.elapsed()
    }
}

fn restarts_cost_nothing(farm: &mut Farm, title: &str) {
    let (mut judged, wanted) = (0, amount("BELLWETHER_RESTARTS", 1, 20));
    for _ in 0..TRIES * wanted {
        let mut took = Duration::ZERO;
        let failures = farm.under_load(|farm| took = farm.restart_daemons());
        if took < RESTARTED_WITHIN {
            assert_eq!(failures, Vec::<String>::new(), "{title}: {}", farm.balancer.log());
            judged += 1;
        }
        farm.balancer.until_served_by(&["node-1", "node-2"]);
        if judged == wanted {
            return;
        }
    }
    panic!("{judged} of {wanted} restarts were done within {RESTARTED_WITHIN:?}");
}

fn a_stop_and_a_start_cost_nothing(farm: &mut Farm, title: &str) {
    let failures = farm.under_load(|farm| {
        farm.nodes[0].daemon.tell(&["stop", "web"]);
        farm.nodes[0].daemon.until_state("web", State::Stopped);
        farm.balancer.until_served_by(&["node-2"]);
        farm.nodes[0].daemon.tell(&["start", "web"]);
        farm.balancer.until_served_by(&["node-1", "node-2"]);
    });
    assert_eq!(failures, Vec::<String>::new(), "{title}: {}", farm.balancer.log());
}

fn an_application_that_fails_is_left_and_used_again(farm: &Farm) {
    let node = &farm.nodes[1].daemon;
    // Nothing is restarted in the meantime, so the load balancer has all the time that it needs.
    node.tell(&["suspend", "web"]);
    let application = node.processes("web");
    assert!(signal(application[0], Signal::KILL), "{application:?}");
    farm.balancer.until_served_by(&["node-1"]);
    node.tell(&["resume", "web"]);
    node.until_ready("web");
    farm.balancer.until_served_by(&["node-1", "node-2"]);
}

fn is_told_the_truth(title: &str) {
    let kind = ALL.iter().find(|kind| kind.title == title).expect("the guide has it");
    let Some(program) = kind.installed() else { return };
    let mut farm = Farm::run(kind, &program);
    restarts_cost_nothing(&mut farm, title);
    a_stop_and_a_start_cost_nothing(&mut farm, title);
    an_application_that_fails_is_left_and_used_again(&farm);
}

#[test]
fn haproxy_with_an_agent_is_told_the_truth() {
    is_told_the_truth("HAProxy with an agent");
}

#[test]
fn caddy_is_told_the_truth() {
    is_told_the_truth("Caddy");
}

#[test]
fn all_of_the_guide_are_told_the_truth() {
    if is_long() {
        // Each with two nodes: all of them at the same time would be too many for a small machine.
        let only = std::env::var("BELLWETHER_BALANCER").ok();
        for kind in ALL.iter().filter(|kind| only.as_ref().is_none_or(|only| only == kind.title)) {
            is_told_the_truth(kind.title);
        }
    }
}
