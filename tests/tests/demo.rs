//! The first steps of a new user with `bellwether demo`.

use std::net::SocketAddr;
use std::path::Path;

use bellwether_tests::answers::{Event, Module, State, Status, read, read_lines};
use bellwether_tests::daemon::{Daemon, end_applications};
use bellwether_tests::demo::Demo;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http::{get, post, request};
use bellwether_tests::invocation::{Ended, bellwether_ends};
use bellwether_tests::probe::Probe;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::default_ports;
use rustix::process::Signal;

/// Runs a client command on this root.
fn tell(root: &Path, arguments: &[&str]) -> Ended {
    let root = root.to_str().expect("a plain path");
    let ended = bellwether_ends(&[arguments, &["--root", root]].concat());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended
}

fn module(root: &Path) -> Module {
    let status: Status = read(&tell(root, &["status", "--json"]).out);
    status.modules.into_iter().next().expect("the demo has a module")
}

fn pid(root: &Path) -> u32 {
    let module = module(root);
    module.pids().first().copied().unwrap_or_else(|| panic!("no process: {module:?}"))
}

fn events(root: &Path) -> Vec<Event> {
    read_lines(&tell(root, &["events", "--json"]).out)
}

fn health(address: SocketAddr) -> u16 {
    get(address, "/health/web").expect("the health endpoint answers").status
}

fn incidents(root: &Path) -> usize {
    events(root).iter().filter(|event| event.kind == "incident").count()
}

/// Causes a failure of the application, and waits until it has been restarted and serves again. Returns how often
/// the health check failed in the meantime.
fn restarted(root: &Path, address: SocketAddr, what: &str, act: impl FnOnce()) -> usize {
    let before = incidents(root);
    let probe = Probe::begin(address, "/health/web", 1000);
    act();
    eventually(&format!("{what}: it is seen"), || (incidents(root) > before).then_some(()));
    eventually(&format!("{what}: health says yes again"), || (health(address) == 200).then_some(()));
    let statuses = probe.finish().statuses;
    println!("{what}: {statuses:?}");
    assert!(statuses.keys().all(|status| [200, 503].contains(status)), "{what}: {statuses:?}");
    statuses.get(&503).copied().unwrap_or_default()
}

/// A restart may be so fast that even a thousand requests a second miss it on a busy machine: it is repeated then,
/// up to this many times.
const TRIES: usize = 5;

/// Repeats the failure of the application until a failed health check was seen. Returns the number of repetitions.
fn says_no(root: &Path, address: SocketAddr, what: &str, act: impl Fn()) -> u64 {
    let noes = (1..=TRIES).map(|n| (n as u64, restarted(root, address, what, &act)));
    let seen = noes.into_iter().find(|(_, noes)| *noes > 0);
    seen.unwrap_or_else(|| panic!("{what}: health never said no")).0
}

#[test]
fn a_newcomer_kills_hangs_and_stops_the_application_and_reads_why() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let demo = Demo::run(Some(&place.path().join("root")), place.path());
    let urls = demo.urls();
    assert!(urls.first().is_some_and(|url| url.contains("/login/")), "the console comes first: {urls:?}");
    let console = urls.iter().find_map(|url| url.strip_prefix("http://")?.split_once("/login/"));
    let (console, code) = console.unwrap_or_else(|| panic!("no address that signs in: {urls:?}"));
    let head = format!("GET /login/{code} HTTP/1.1\r\nHost: {console}\r\nConnection: close\r\n\r\n");
    let page = request(console.parse().expect("an address"), &head).expect("the console answers");
    assert!(page.status == 200 && page.body.contains("demo"), "{page:?}");
    let (at, app, root) = (demo.address("/health/web"), demo.address("/"), demo.root.as_path());
    assert_eq!(health(at), 200);
    assert_eq!(get(app, "/").map(|answer| answer.status), Some(200));

    let before = pid(root);
    let mut restarts = says_no(root, at, "kill -9", || assert!(signal(pid(root), Signal::KILL)));
    assert_ne!(pid(root), before);
    let why = tell(root, &["why", "web"]).out;
    assert!(why.contains("SIGKILL"), "{why}");
    for (path, seen) in [("/hang", "no answer from"), ("/fail", "answered 500")] {
        let before = pid(root);
        let told = || assert_eq!(post(app, path).map(|answer| answer.status), Some(200), "{path}");
        restarts += says_no(root, at, path, told);
        assert_ne!(pid(root), before, "{path}");
        let why = tell(root, &["why", "web"]).out;
        assert!(why.contains(seen), "{path}: {why}");
    }
    // Whatever the machine was doing in the meantime: each restart has its incident, and these are among them.
    assert_eq!(module(root).restarts, incidents(root) as u64);
    assert!(module(root).restarts >= restarts, "{:?}", module(root));

    tell(root, &["stop", "web"]);
    assert_eq!(health(at), 503, "at once");
    while module(root).state == State::Draining {
        let answer = get(app, "/");
        // It may end between the two requests.
        assert!(answer.is_some_and(|answer| answer.status == 200) || module(root).state != State::Draining);
    }
    eventually("the application is stopped", || (module(root).state == State::Stopped).then_some(()));
    assert!(get(app, "/").is_none());

    let events = events(root);
    for kind in ["verdict", "incident", "decision", "plan", "step", "state", "command"] {
        assert!(events.iter().any(|event| event.kind == kind), "no {kind}: {events:#?}");
    }
    // And the health check failed before the application was stopped.
    assert!(events.iter().any(|event| event.is_change("state", "draining")), "{events:#?}");
}

#[test]
fn a_root_of_the_demo_runs_the_same_under_run() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let root = place.path().join("root");
    let mut demo = Demo::run_with(&["--nodes", "1"], Some(&root), place.path());
    assert!(!demo.printed.iter().any(|line| line.contains("traffic")), "{:#?}", demo.printed);
    let (at, app) = (demo.address("/health/web"), demo.address("/"));
    let kept = pid(&demo.root);
    // As if its terminal had been closed: the application keeps running.
    demo.kill();
    let mut daemon = Daemon::run(&root, at);
    daemon.until_ready("web");
    assert_eq!((daemon.health("web").status, daemon.processes("web")), (200, vec![kept]));
    assert_eq!(get(app, "/").map(|answer| answer.status), Some(200));
    daemon.end();
    end_applications(&root);
    drop(demo);

    let mut again = Demo::run(Some(&root), place.path());
    assert_eq!((again.address("/health/web"), health(at)), (at, 200));
    let last = pid(&root);
    assert!(again.interrupt().success());
    assert!(!is_alive(last), "the demo's application ends with it");
    assert!(root.join("modules/web.toml").is_file(), "a named root stays");
}

#[test]
fn a_second_demo_on_the_same_root_leaves_the_first_alone() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let demo = Demo::run(Some(&place.path().join("root")), place.path());
    let (at, kept) = (demo.address("/health/web"), pid(&demo.root));
    let root = demo.root.to_str().expect("a plain path");
    let second = bellwether_ends(&["demo", "--root", root]);
    assert_eq!((second.code, second.out.as_str()), (Some(8), ""), "{second:?}");
    assert!(second.error.contains("already runs on this root"), "{second:?}");
    assert!(second.error.contains(&format!("use it: bellwether status --root {root};")), "{second:?}");
    assert!(is_alive(kept), "the application of the first one was ended");
    assert_eq!((health(at), pid(&demo.root)), (200, kept));
}

#[test]
fn a_temporary_demo_leaves_nothing_behind() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut demo = Demo::run(None, place.path());
    assert!(demo.root.starts_with(place.path()), "{}", demo.root.display());
    let (at, app, last) = (demo.address("/health/web"), demo.address("/"), pid(&demo.root));
    assert!(demo.interrupt().success());
    assert!(!is_alive(last));
    assert!(get(at, "/health/web").is_none() && get(app, "/").is_none());
    let left: Vec<_> = std::fs::read_dir(place.path()).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_demos_at_once_step_over_each_others_ports() {
    let _ports = default_ports();
    let place = tempfile::tempdir().expect("a temporary folder");
    let one = Demo::run(None, place.path());
    let other = Demo::run(None, place.path());
    let [first, second] = [&one, &other].map(|demo| (demo.address("/health/web"), demo.address("/")));
    assert!(first.0 != second.0 && first.1 != second.1, "{first:?} {second:?}");
    let last = pid(&other.root);
    restarted(&other.root, second.0, "the other's application", || assert!(signal(last, Signal::KILL)));
    assert_ne!(pid(&other.root), last);
    assert_eq!((health(first.0), module(&one.root).restarts), (200, 0));
}
