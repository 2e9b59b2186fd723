//! Daemons are restarted without an effect on a load balancer.

use std::time::{Duration, Instant};

use bellwether_tests::answers::State;
use bellwether_tests::api;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http;
use bellwether_tests::probe::{Answers, Probe};
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::web::Web;
use rustix::process::Signal;

/// A restart that takes longer than requests wait does not count: the machine was too busy, and the daemon's answer
/// is correct.
const WAITED_FOR: Duration = Duration::from_secs(5);
/// After this many restarts in a row that do not count, the daemon is too slow.
const TRIES: usize = 20;

type End = fn(&mut Daemon);

/// Restarts it, ended like this, while it gets a hundred requests a second. Returns the answers.
fn restart_under_probes(daemon: &mut Daemon, root: &Root, end: End) -> Answers {
    for _ in 0..TRIES {
        daemon.until_ready("web");
        let probe = Probe::begin(root.health, "/health/web", 100);
        let begun = Instant::now();
        end(daemon);
        daemon.run_again();
        daemon.until_ready("web");
        let took = begun.elapsed();
        let answers = probe.finish();
        if took < WAITED_FOR {
            return answers;
        }
    }
    panic!("no restart was done within {WAITED_FOR:?}\n{}", daemon.log());
}

fn serving() -> (Root, Web, Daemon) {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    (root, web, daemon)
}

#[test]
fn a_restart_is_not_noticed_by_those_who_ask() {
    let (root, _web, mut daemon) = serving();
    let ends: [(&str, End, usize); 2] = [("SIGTERM", Daemon::end, 0), ("kill -9", Daemon::kill, 1)];
    for (how, end, lost) in ends {
        for _ in 0..3 {
            let answers = restart_under_probes(&mut daemon, &root, end);
            let mut others = answers.statuses.clone();
            assert!(others.remove(&200).is_some(), "{how}: {answers:?}");
            // Requests that were just being answered at the moment of a kill get no answer.
            assert!(others.remove(&0).unwrap_or_default() <= lost, "{how}: {answers:?}\n{}", daemon.log());
            assert!(others.is_empty(), "{how}: {answers:?}\n{}", daemon.log());
        }
    }
}

#[test]
fn an_application_that_died_meanwhile_is_never_said_to_serve() {
    let (root, _web, mut daemon) = serving();
    let ends: [End; 2] = [Daemon::end, Daemon::kill];
    for end in ends {
        let application = daemon.until_ready("web").pids();
        end(&mut daemon);
        for pid in &application {
            assert!(signal(*pid, Signal::KILL));
        }
        eventually("the application has ended", || {
            application.iter().all(|pid| !is_alive(*pid)).then_some(())
        });
        let asked = std::thread::spawn({
            let health = root.health;
            move || http::get(health, "/health/web")
        });
        daemon.run_again();
        let answer = asked.join().expect("the one who asks does not panic");
        let fresh = daemon.until_ready("web").pids();
        assert_ne!(fresh, application);
        // Requests from before the next daemon knows the state are answered correctly: negatively, or positively
        // for the new application.
        let Some(answer) = answer else { continue };
        assert_eq!(answer.status, 503, "{answer:?}\n{}", daemon.log());
    }
}

#[test]
fn a_command_that_is_given_while_the_daemon_starts_is_carried_out() {
    let (root, _web, mut daemon) = serving();
    daemon.kill();
    daemon.begin_again();
    // The first moment in which there could be an answer; nothing is loaded by then.
    let connected = || std::os::unix::net::UnixStream::connect(root.path().join("bellwether.sock")).ok();
    eventually("the daemon can be reached", connected);
    daemon.tell(&["stop", "web"]);
    daemon.until_state("web", State::Stopped);
}

#[test]
fn a_daemon_that_listens_elsewhere_leaves_the_old_place_to_others() {
    let (mut root, _web, mut daemon) = serving();
    let before = root.health;
    daemon.kill();
    root.health = free_address();
    root.write_node("node-1", "");
    daemon.begin_again();
    eventually("the daemon answers", || api::status(root.path()));
    daemon.until_ready("web");
    assert_eq!(http::get(root.health, "/health/web").map(|answer| answer.status), Some(200));
    std::net::TcpListener::bind(before).expect("nobody holds it any more");
}
