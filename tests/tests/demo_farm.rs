//! A new user watches traffic move between the nodes of `bellwether demo`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use bellwether_tests::answers::{FarmStatus, Hearing, Status, read};
use bellwether_tests::demo::{Demo, processes_of};
use bellwether_tests::eventually::eventually;
use bellwether_tests::http::get;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::probe::Probe;
use bellwether_tests::process::signal;
use bellwether_tests::root::default_ports;
use rustix::process::Signal;

/// Which node answers a request at this address.
fn server(traffic: SocketAddr) -> String {
    let answer = get(traffic, "/node").expect("the load balancer answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.trim().to_owned()
}

/// Who has answered so many requests.
fn servers(traffic: SocketAddr, requests: usize) -> BTreeSet<String> {
    (0..requests).map(|_| server(traffic)).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn tell(root: &Path, arguments: &[&str]) -> String {
    let root = root.to_str().expect("a plain path");
    let ended = bellwether_ends(&[arguments, &["--root", root]].concat());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended.out
}

fn status(root: &Path) -> Status {
    read(&tell(root, &["status", "--json"]))
}

/// The daemon of the node with this root.
fn daemon_of(root: &Path) -> u32 {
    let found = processes_of(root).into_iter().find(|process| process.is_node && process.root == root);
    found.expect("the node has a daemon").id
}

#[test]
fn a_client_notices_neither_the_death_of_an_application_nor_a_drain() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut demo = Demo::run(Some(&place.path().join("root")), place.path());
    let (traffic, root) = (demo.traffic(), demo.root.clone());
    let health = demo.addresses("/health/web");
    assert_eq!(health.len(), 2, "{:#?}", demo.printed);
    assert_eq!(
        [health[0], health[1]].map(|at| get(at, "/health/web").map(|answer| answer.status)),
        [Some(200); 2]
    );
    let first: serde_json::Value = read(&tell(&root, &["status", "--json"]));
    assert_eq!(first["node"], "node-1", "commands speak to the first node");
    assert_eq!(servers(traffic, 4), names(&["node-1", "node-2"]));
    for node in [root.clone(), root.join("nodes/node-2")] {
        eventually("the nodes form a farm", || {
            let farm: FarmStatus = read(&tell(&node, &["farm", "status", "--json"]));
            let is_there = |name| {
                farm.find(name).is_some_and(|node| matches!(node.hearing, Hearing::This | Hearing::Heard))
            };
            (is_there("node-1") && is_there("node-2")).then_some(())
        });
    }

    let client = Probe::begin(traffic, "/", 50);
    let application = status(&root).modules[0].pids()[0];
    assert!(signal(application, Signal::KILL));
    eventually("the application is restarted, and ready", || {
        let module = status(&root).modules.into_iter().next()?;
        (module.restarts > 0 && module.ready).then_some(())
    });

    tell(&root, &["stop", "web"]);
    // The lines may have been printed before, when the application was killed.
    eventually("traffic goes to node-2", || (servers(traffic, 6) == names(&["node-2"])).then_some(()));
    demo.until_printed("node-1 is out (503), traffic goes to node-2");
    eventually("the application is stopped", || status(&root).modules[0].pids().is_empty().then_some(()));
    tell(&root, &["start", "web"]);
    eventually("traffic goes to both", || {
        (servers(traffic, 4) == names(&["node-1", "node-2"])).then_some(())
    });
    demo.until_printed("node-1 is in (200), traffic goes to node-1 and node-2");
    let answers = client.finish();
    assert_eq!(answers.statuses.keys().copied().collect::<Vec<_>>(), [200], "{answers:?}");

    assert!(demo.interrupt().success());
    assert_eq!(processes_of(&root), []);
    demo.until_printed("To run them again: bellwether demo --root");
}

#[test]
fn a_demo_that_is_killed_leaves_no_process() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut demo = Demo::run(None, place.path());
    let root = demo.root.clone();
    let processes = processes_of(&root);
    assert_eq!(processes.iter().filter(|process| process.is_node).count(), 2, "{processes:?}");
    assert!(processes.len() >= 4, "{processes:?}");
    // Nobody else would wake it.
    assert!(signal(daemon_of(&root.join("nodes/node-2")), Signal::STOP));
    demo.kill();
    eventually("no process is left", || processes_of(&root).is_empty().then_some(()));
}

#[test]
fn a_daemon_that_is_killed_is_started_again_while_its_application_serves() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut demo = Demo::run(Some(&place.path().join("root")), place.path());
    let (traffic, root) = (demo.traffic(), demo.root.clone());
    let application = status(&root).modules[0].pids();
    let client = Probe::begin(traffic, "/", 50);
    assert!(signal(daemon_of(&root), Signal::KILL));
    demo.until_printed("the daemon of node-1 has ended");
    eventually("it answers again", || {
        let root = root.to_str().expect("a plain path");
        let told = bellwether_ends(&["status", "--json", "--root", root]);
        let status: Status = (told.code == Some(0)).then(|| read(&told.out))?;
        let module = status.modules.into_iter().next()?;
        (module.ready && module.pids() == application).then_some(())
    });
    eventually("it takes requests", || servers(traffic, 4).contains("node-1").then_some(()));
    let answers = client.finish();
    assert_eq!(answers.statuses.keys().copied().collect::<Vec<_>>(), [200], "{answers:?}");
}

#[test]
fn three_nodes_share_the_traffic_that_the_demo_makes_itself() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut demo = Demo::run_with(&["--nodes", "3", "--traffic"], None, place.path());
    let (traffic, root) = (demo.traffic(), demo.root.clone());
    assert_eq!(demo.addresses("/health/web").len(), 3, "{:#?}", demo.printed);
    assert_eq!(servers(traffic, 6), names(&["node-1", "node-2", "node-3"]));
    let told = demo.until_printed(" requests: ");
    assert!(told.contains("by node-3") && told.contains("none failed"), "{told}");
    // The components were compiled once.
    let compiled = |root: &Path| std::fs::read(root.join("state/compiled/key")).expect("there is a cache");
    assert_eq!(compiled(&root), compiled(&root.join("nodes/node-3")));
    assert!(demo.interrupt().success());
    assert_eq!(processes_of(&root), []);
    let left: Vec<_> = std::fs::read_dir(place.path()).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_demo_of_one_node_has_no_load_balancer() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let root = place.path().join("root");
    let mut demo = Demo::run_with(&["--nodes", "1"], Some(&root), place.path());
    assert!(!demo.printed.iter().any(|line| line.contains("traffic")), "{:#?}", demo.printed);
    assert_eq!(demo.addresses("/health/web").len(), 1);
    assert!(processes_of(&root).iter().all(|process| !process.is_node), "the demo itself is the daemon");
    assert!(demo.interrupt().success());
    // A root that has one node stays so, and more are added on request.
    let again = Demo::run(Some(&root), place.path());
    assert_eq!(again.addresses("/health/web").len(), 1);
    drop(again);
    let mut more = Demo::run_with(&["--nodes", "2"], Some(&root), place.path());
    assert_eq!(more.addresses("/health/web").len(), 2);
    assert_eq!(servers(more.traffic(), 4).len(), 2);
    assert!(more.interrupt().success());
    // The farm of an earlier run is found again.
    let again = Demo::run(Some(&root), place.path());
    assert!(again.printed.iter().any(|line| line.contains("farm status")), "{:#?}", again.printed);
}
