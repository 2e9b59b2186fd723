//! The application does not depend on the daemon: daemons are restarted, the application keeps serving, and the
//! desired state is kept.

use std::net::SocketAddr;
use std::path::Path;

use bellwether_tests::answers::{Outcome, State, Verdict, Wanted};
use bellwether_tests::composed::{WITNESS, witness};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::Root;
use bellwether_tests::web::{CHECK_PROCESS, Web};
use rustix::process::Signal;

/// A daemon with the module `web`, which serves, and the process id of its application.
fn serving() -> (Root, Web, Daemon, u32) {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let pid = only_process(&daemon);
    (root, web, daemon, pid)
}

fn only_process(daemon: &Daemon) -> u32 {
    let pids = daemon.processes("web");
    assert_eq!(pids.len(), 1, "{:?}", daemon.module("web"));
    *pids.first().expect("there is one")
}

fn serves(address: SocketAddr) -> bool {
    bellwether_tests::http::get(address, "/").is_some_and(|answer| answer.status == 200)
}

/// How a daemon ends.
type End = fn(&mut Daemon);
const ENDINGS: [(&str, End); 2] = [("SIGTERM", Daemon::end), ("kill -9", Daemon::kill)];

#[test]
fn the_application_outlives_its_daemon_and_the_next_one_finds_it_again() {
    let (root, web, mut daemon, pid) = serving();
    for (how, end) in ENDINGS {
        end(&mut daemon);
        assert!(is_alive(pid) && serves(web.address), "{how}");
        assert!(
            bellwether_tests::http::get(root.health, "/health/web").is_none(),
            "{how}: nobody is there to say yes"
        );
        daemon.run_again();
        let module = daemon.until_ready("web");
        assert_eq!((only_process(&daemon), module.restarts), (pid, 0), "{how}: {module:?}");
        assert_eq!(daemon.health("web").status, 200, "{how}");
    }
    let starts = daemon.events().iter().filter(|event| event.kind == "plan").count();
    assert_eq!(starts, 1, "{:#?}", daemon.events());
}

#[test]
fn a_stop_by_a_person_outlives_the_daemon() {
    let (_root, web, mut daemon, pid) = serving();
    daemon.tell(&["stop", "web", "--wait"]);
    assert!(!is_alive(pid));
    for (how, end) in ENDINGS {
        end(&mut daemon);
        daemon.run_again();
        let module = daemon.until_state("web", State::Stopped);
        assert_eq!((module.wanted, module.ready), (Wanted::Stopped, false), "{how}: {module:?}");
        assert_eq!(daemon.health("web").status, 503, "{how}");
        assert!(!serves(web.address), "{how}");
    }
    daemon.tell(&["start", "web", "--wait"]);
    assert!(serves(web.address));
    assert_eq!(daemon.health("web").status, 200);
}

#[test]
fn maintenance_outlives_the_daemon() {
    let (_root, web, mut daemon, pid) = serving();
    daemon.tell(&["suspend", "web", "--wait"]);
    for (how, end) in ENDINGS {
        end(&mut daemon);
        daemon.run_again();
        let module = daemon.until_ready("web");
        assert_eq!((module.suspended, only_process(&daemon)), (true, pid), "{how}: {module:?}");
    }
    signal(pid, Signal::KILL);
    eventually("health says no", || (daemon.health("web").status == 503).then_some(()));
    daemon.until_verdict("web", "process", Verdict::Down);
    assert_eq!(daemon.module("web").plan, None, "nothing is acted on");
    assert!(!serves(web.address));
    daemon.tell(&["resume", "web"]);
    daemon.until_ready("web");
    assert!(serves(web.address));
}

#[test]
fn an_application_that_ended_while_no_daemon_ran_is_started_by_the_next_one() {
    let (_root, web, mut daemon, mut pid) = serving();
    for (how, end) in ENDINGS {
        end(&mut daemon);
        signal(pid, Signal::KILL);
        eventually("the application has ended", || (!is_alive(pid)).then_some(()));
        daemon.run_again();
        daemon.until_ready("web");
        let new = only_process(&daemon);
        assert_ne!(new, pid, "{how}");
        assert!(serves(web.address), "{how}");
        pid = new;
    }
}

#[test]
fn a_second_daemon_on_the_same_root_says_so_and_disturbs_nothing() {
    let (root, _web, daemon, pid) = serving();
    let before = daemon.module("web").since;
    let second = bellwether_ends(&[Path::new("run"), Path::new("--root"), root.path()]);
    assert_eq!(second.code, Some(8), "{second:?}");
    let what = format!("error: another daemon (process {}) runs on this root\n  next: ", daemon.pid());
    assert!(second.error.contains(&what), "{second:?}");
    assert_eq!((&daemon.module("web").since, only_process(&daemon)), (&before, pid));
    assert_eq!(daemon.health("web").status, 200);
}

#[test]
fn what_a_checker_keeps_outlives_the_daemon_and_its_runs_are_counted_on() {
    let root = Root::default();
    root.write("checkers/witness.wasm", witness(0));
    Web::lay_out(&root).write(&root, &format!("{WITNESS}on-down = \"notify\"\n"));
    let mut daemon = Daemon::run(root.path(), root.health);
    let seen = |daemon: &Daemon, beyond: f64| {
        eventually("the witness has run again", || {
            let last = daemon.last("web", "witness")?;
            let run = last.measured("run")?;
            (run > beyond).then_some((run, last.status))
        })
    };
    let (run, _) = seen(&daemon, 2.0);
    daemon.end();
    daemon.run_again();
    let (run, status) = seen(&daemon, run);
    assert_eq!(status, Outcome::Pass, "after a clean end it knows of every run");
    daemon.kill();
    daemon.run_again();
    // After a kill, some numbers are skipped: the checker fails then, as intended. None is repeated.
    seen(&daemon, run);
}

#[test]
fn counted_restarts_outlive_the_daemon() {
    let (_root, _web, mut daemon, pid) = serving();
    signal(pid, Signal::KILL);
    eventually("it is restarted", || (daemon.module("web").restarts == 1).then_some(()));
    daemon.until_ready("web");
    for (how, end) in ENDINGS {
        end(&mut daemon);
        daemon.run_again();
        let module = daemon.until_ready("web");
        assert_eq!(module.restarts, 1, "{how}: {module:?}");
    }
}

#[test]
fn a_stop_that_was_draining_is_finished_by_the_next_daemon() {
    let root = Root::default();
    let web = Web { address: bellwether_tests::root::free_address() };
    root.write("modules/web.toml", format!("{}{CHECK_PROCESS}", web.application("15s")));
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let pid = only_process(&daemon);
    daemon.tell(&["stop", "web"]);
    daemon.until_state("web", State::Draining);
    daemon.kill();
    assert!(is_alive(pid));
    daemon.run_again();
    daemon.until_state("web", State::Stopped);
    assert!(!is_alive(pid));
}
