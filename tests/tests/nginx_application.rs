//! A real nginx as the application, in the foreground and in the background.

use bellwether_tests::answers::{State, Verdict};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::nginx::{self, Nginx};
use bellwether_tests::process::{is_alive, kill_group, signal};
use bellwether_tests::program::is_installed;
use bellwether_tests::root::Root;
use rustix::process::Signal;

const MODULE: &str = "web";
const FILE: &str = "modules/web.toml";

/// A node with nginx. Fields are dropped in this order.
struct Site {
    daemon: Daemon,
    nginx: Nginx,
    root: Root,
}

impl Site {
    /// `None` if nginx is not installed.
    fn run(module_file: impl Fn(&Nginx) -> String) -> Option<Self> {
        if !is_installed(nginx::PROGRAM) {
            return None;
        }
        let root = Root::default();
        let nginx = Nginx::lay_out(&root);
        root.write(FILE, module_file(&nginx));
        let daemon = Daemon::run(root.path(), root.health);
        let site = Self { daemon, nginx, root };
        site.until_serves();
        Some(site)
    }

    /// Waits until the node is ready, and returns the master.
    fn until_serves(&self) -> u32 {
        self.daemon.until_ready(MODULE);
        assert_eq!(self.daemon.health(MODULE).status, 200);
        assert_eq!(self.nginx.ask().expect("nginx answers").body, "well\n");
        self.nginx.master().expect("a pid file that names nginx")
    }

    /// The same once another master serves.
    fn until_another_serves(&self, master: u32) -> u32 {
        eventually("there is another nginx", || self.nginx.master().filter(|now| *now != master));
        self.until_serves()
    }

    /// The master with all of its workers, as configured.
    fn processes_of(master: u32) -> Vec<u32> {
        let workers = eventually("nginx has its workers", || {
            Some(Nginx::workers(master)).filter(|workers| workers.len() == 2)
        });
        [vec![master], workers].concat()
    }

    fn why(&self) -> String {
        self.daemon.tell(&["why", MODULE])
    }
}

fn head(drain: &str) -> String {
    format!(
        r#"
[restart]
budget = {{ restarts = 3, within = "1h" }}
backoff = {{ first = "50ms", max = "200ms" }}
start-within = "1m"

[health]
drain = "{drain}"
"#
    )
}

/// Over the network, with the standard components. Nothing is served for an instant after a start: nginx runs
/// before its listener is open.
fn network_checkers(nginx: &Nginx) -> String {
    let address = nginx.address;
    format!(
        r#"
[[checker]]
name = "listener"
component = "tcp"
interval = "200ms"
timeout = "10s"
rise = 1
fall = 2
grace = "10s"
config = {{ address = "{address}" }}
grant = {{ connect = ["{address}"] }}

[[checker]]
name = "home-page"
component = "http"
interval = "200ms"
timeout = "5s"
rise = 1
fall = 2
grace = "5s"
config = {{ url = "http://{address}/", expect-body = "well" }}
grant = {{ connect = ["{address}"] }}
"#
    )
}

fn in_the_foreground(nginx: &Nginx) -> String {
    let (run, pid_file) = (nginx.command(&["-g", "daemon off;"]), nginx.pid_file());
    let arguments = format!("nginx: master .*{}", pid_file.parent().expect("a folder").display());
    head("0s")
        + &format!(
            r#"
[commands]
start = {{ run = {run}, keep = true, timeout = "1s" }}

[[checker]]
name = "kept"
process = {{ kept = "start" }}

[[checker]]
name = "pid-file"
process = {{ pid-file = "{}" }}
grace = "10s"

[[checker]]
name = "one-master"
process = {{ arguments = {arguments:?}, at-most = 1 }}
grace = "10s"
"#,
            pid_file.display()
        )
        + &network_checkers(nginx)
}

fn in_the_background(nginx: &Nginx) -> String {
    let (start, quit) = (nginx.command(&[]), nginx.command(&["-s", "quit"]));
    let pid_file = nginx.pid_file();
    // `-s quit` returns before nginx has exited. A stop command must not: the next nginx would start while the last
    // one is running, which removes the pid file at its exit.
    let words = quit.trim_start_matches('[');
    let script = format!(
        r#"pid=$(cat {}) && \"$@\" && while kill -0 $pid 2>/dev/null; do sleep 0.05; done"#,
        pid_file.display()
    );
    let stop = format!(r#"["/bin/sh", "-c", "{script}", "stop", {words}"#);
    head("200ms")
        + &format!(
            r#"
[commands]
start = {{ run = {start}, timeout = "30s" }}
stop = {{ run = {stop}, timeout = "30s" }}

[[checker]]
name = "pid-file"
process = {{ pid-file = "{}" }}
grace = "10s"
"#,
            pid_file.display()
        )
        + &network_checkers(nginx)
}

#[test]
fn every_checker_sees_a_nginx_that_serves_and_a_stop_leaves_nothing_of_it() {
    let Some(site) = Site::run(in_the_foreground) else { return };
    let all = Site::processes_of(site.until_serves());
    for checker in ["kept", "pid-file", "one-master", "listener", "home-page"] {
        site.daemon.until_verdict(MODULE, checker, Verdict::Up);
    }
    site.daemon.tell(&["stop", MODULE]);
    site.daemon.until_state(MODULE, State::Stopped);
    assert!(!all.into_iter().any(is_alive), "a stop waits for all of them");
    assert_eq!(site.daemon.health(MODULE).status, 503);
}

#[test]
fn a_killed_master_is_replaced_and_the_workers_it_left_are_not_in_the_way() {
    let Some(site) = Site::run(in_the_foreground) else { return };
    let before = Site::processes_of(site.until_serves());
    assert!(signal(before[0], Signal::KILL));
    let master = site.until_another_serves(before[0]);
    assert!(!before.into_iter().any(is_alive), "workers of the old master are left");
    assert!(site.daemon.processes(MODULE).contains(&master));
    let why = site.why();
    assert!(why.contains("was ended by SIGKILL"), "{why}");
    assert_eq!(site.daemon.module(MODULE).restarts, 1, "{why}");
}

#[test]
fn a_nginx_that_hangs_is_restarted_although_it_obeys_no_signal_but_one() {
    let Some(site) = Site::run(in_the_foreground) else { return };
    let master = site.until_serves();
    let before = Site::processes_of(master);
    for process in &before {
        assert!(signal(*process, Signal::STOP));
    }
    site.until_another_serves(master);
    assert!(!before.into_iter().any(is_alive), "something that hangs is left");
    // The processes all existed, and the kernel continued to complete connections.
    let why = site.why();
    assert!(why.contains("home-page") && why.contains("no answer from"), "{why}");
}

#[test]
fn a_nginx_with_a_mistake_in_its_file_is_given_up_in_its_own_words_and_starts_once_it_is_mended() {
    let Some(site) = Site::run(in_the_foreground) else { return };
    let master = site.until_serves();
    site.nginx.configure(&site.root, "worker_bogus 2;");
    assert!(signal(master, Signal::KILL));
    let failed = site.daemon.until_state(MODULE, State::Failed);
    let reason = failed.reason;
    assert!(reason.contains("exited with 1"), "{reason}");
    assert!(reason.contains("unknown directive \"worker_bogus\""), "{reason}");
    assert!(reason.contains("3 automatic restarts within 1h are used up"), "{reason}");
    assert_eq!(site.daemon.health(MODULE).status, 503);
    let events = site.daemon.events();
    assert!(events.iter().any(|event| event.is_change("state", "backoff")), "{events:#?}");

    site.nginx.configure(&site.root, "");
    site.daemon.tell(&["start", MODULE]);
    site.until_another_serves(master);
}

#[test]
fn a_nginx_in_the_background_is_found_by_its_pid_file_and_ended_by_its_own_command() {
    let Some(site) = Site::run(in_the_background) else { return };
    let master = site.until_serves();
    assert_eq!(site.daemon.processes(MODULE), [master]);
    site.daemon.tell(&["restart", MODULE]);
    let master = site.until_another_serves(master);
    site.daemon.tell(&["stop", MODULE]);
    site.daemon.until_state(MODULE, State::Stopped);
    eventually("nginx has ended", || (!is_alive(master)).then_some(()));
    site.daemon.tell(&["start", MODULE]);
    site.until_another_serves(master);
}

#[test]
fn a_nginx_in_the_background_that_somebody_has_ended_is_started_again() {
    let Some(site) = Site::run(in_the_background) else { return };
    let master = site.until_serves();
    assert!(signal(master, Signal::TERM), "a fast shutdown, nginx(8)");
    site.until_another_serves(master);
    // The same without a command of its own, and without time to remove its pid file.
    let master = site.until_serves();
    assert!(kill_group(master));
    site.until_another_serves(master);
}
