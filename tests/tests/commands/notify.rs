//! The state that an application reports by `sd_notify(3)`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use bellwether_tests::answers::{Module, State};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::signal;
use bellwether_tests::root::Root;
use rustix::process::Signal;

use super::{NOBODY, is_root, of_process, run, status};

const MODULE: &str = r#"
[commands]
start = { run = ["/bin/sleep", "600"], keep = true, notify = true }
"#;

/// A real one: it reports by itself, according to its arguments.
const APPLICATION: &str = r#"
import os, socket, sys, time
address = "\0" + os.environ["NOTIFY_SOCKET"][1:]
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text):
    line.sendto(text.encode(), address)
recoveries, = map(int, sys.argv[1:])
for step in range(recoveries):
    say(f"EXTEND_TIMEOUT_USEC=1000000\nSTATUS=recovers {step}")
    time.sleep(0.25)
say("READY=1")
signs = 0
while True:
    signs += 1
    say(f"WATCHDOG=1\nSTATUS={signs} signs of life")
    time.sleep(0.2)
"#;

fn python(root: &Root, recoveries: u32, more: &str) -> Daemon {
    root.write("app.py", APPLICATION);
    let command =
        format!("run = [\"/usr/bin/python3\", \"app.py\", \"{recoveries}\"], keep = true, notify = true");
    run(root, &format!("{more}\n[commands]\nstart = {{ {command}, watchdog = \"2s\" }}\n"))
}

fn address(pid: u32) -> String {
    let environment = of_process(pid, "environ");
    let socket = environment.split('\0').find_map(|variable| variable.strip_prefix("NOTIFY_SOCKET=@"));
    socket.expect("it was given a socket").to_owned()
}

/// Sends it in the application's place.
fn say(pid: u32, message: &str) {
    let address = SocketAddr::from_abstract_name(address(pid)).expect("a name");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.send_to_addr(message.as_bytes(), &address).expect("the daemon listens");
}

/// The application once it runs.
fn started(daemon: &Daemon) -> u32 {
    let module = daemon.until("app", "started", |module| !module.pids().is_empty());
    module.pids()[0]
}

fn summary(module: &Module) -> String {
    let last = module.checker("start").and_then(|checker| checker.last.clone());
    last.map(|last| last.summary).unwrap_or_default()
}

fn until_it_is_replaced(daemon: &Daemon, pid: u32) {
    eventually("another one has taken its place", || {
        let pids = daemon.processes("app");
        (!pids.is_empty() && !pids.contains(&pid)).then_some(())
    });
}

#[test]
fn an_application_is_starting_until_it_says_that_it_is_ready() {
    let root = Root::default();
    let mut daemon = run(&root, MODULE);
    let pid = started(&daemon);
    let waits = |module: &Module| summary(module).contains("has not reported yet that it is ready");
    assert_eq!(daemon.until("app", "not ready yet", waits).state, State::Starting);
    say(pid, "STATUS=recovers, 50 %\nEXTEND_TIMEOUT_USEC=60000000");
    let module = daemon.until("app", "at work", |module| summary(module).ends_with(": recovers, 50 %"));
    assert_eq!((module.state, daemon.health("app").status), (State::Starting, 503));

    // The next daemon still waits for it, and reads the socket.
    daemon.kill();
    daemon.run_again();
    let unknown = |module: &Module| summary(module).contains("or did so while no daemon ran");
    assert_eq!(daemon.until("app", "not known to be ready", unknown).state, State::Starting);
    say(pid, "READY=1\nSTATUS=serves 3 clients");
    daemon.until_ready("app");
    daemon.until("app", "at work", |module| summary(module).ends_with(": serves 3 clients"));

    // And the one after that knows.
    daemon.kill();
    daemon.run_again();
    daemon.until_ready("app");
    assert_eq!(daemon.processes("app"), [pid]);
    say(pid, "STATUS=serves 4 clients");
    daemon.until("app", "at work", |module| summary(module).ends_with(": serves 4 clients"));
    assert_eq!(daemon.module("app").restarts, 0);

    say(pid, "STOPPING=1");
    until_it_is_replaced(&daemon, pid);
    let events = daemon.tell(&["events"]);
    assert!(events.contains("reports that it is stopping (STOPPING=1)"), "{events}");
}

#[test]
fn a_start_lasts_for_as_long_as_the_application_asks_for_more_time() {
    let root = Root::default();
    let begun = std::time::Instant::now();
    // It recovers for 7 s at least.
    let daemon = python(&root, 28, "[restart]\nstart-within = \"4s\"");
    let pid = started(&daemon);
    daemon.until_ready("app");
    assert!(begun.elapsed().as_secs() >= 7, "it was ready before it said so");
    assert_eq!((daemon.processes("app").as_slice(), daemon.module("app").restarts), ([pid].as_slice(), 0));
}

#[test]
fn an_application_that_gives_no_sign_of_life_is_restarted() {
    let root = Root::default();
    let daemon = python(&root, 0, "");
    let pid = started(&daemon);
    assert!(of_process(pid, "environ").split('\0').any(|variable| variable == "WATCHDOG_USEC=2000000"));
    // For longer than its watchdog allows.
    let signs = |module: &Module| -> u32 {
        let summary = summary(module);
        let told = summary.strip_suffix(" signs of life").and_then(|text| text.rsplit(' ').next());
        told.and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    let module = daemon.until("app", "alive for a while", |module| signs(module) > 15);
    assert_eq!((module.state, module.restarts, module.pids()), (State::Up, 0, vec![pid]));
    assert!(signal(pid, Signal::STOP));
    until_it_is_replaced(&daemon, pid);
    daemon.until_ready("app");
    let events = daemon.tell(&["events"]);
    assert!(events.contains("has sent no watchdog message (WATCHDOG=1) for 2s"), "{events}");
    assert_eq!(daemon.module("app").restarts, 1, "{events}");
}

/// Sends it as this user, who is not the application.
fn say_as(user: u32, pid: u32, message: &str) {
    let program = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\
                   .sendto(sys.argv[2].encode(), chr(0) + sys.argv[1])";
    let said = Command::new("/usr/bin/python3")
        .args(["-c", program, &address(pid), message])
        .uid(user)
        .gid(user)
        .current_dir("/")
        .status();
    assert!(said.expect("there is python3").success());
}

#[test]
fn another_user_is_not_believed() {
    if !is_root() {
        return;
    }
    let root = Root::default();
    let daemon = run(&root, &MODULE.replace("notify = true", "notify = true, user = \"daemon\""));
    let pid = started(&daemon);
    say_as(NOBODY, pid, "READY=1\nSTATUS=is another user's");
    // Received after it.
    say(pid, "EXTEND_TIMEOUT_USEC=1000000");
    let asked = |module: &Module| {
        let last = module.checker("start").and_then(|checker| checker.last.clone());
        last.is_some_and(|last| last.measurements.iter().any(|measured| measured.name == "progress"))
    };
    let module = daemon.until("app", "asking for more time", asked);
    assert_eq!(module.state, State::Starting);
    assert!(summary(&module).ends_with("has not reported yet that it is ready (READY=1)"), "{module:?}");
    let user = status(pid, "Uid").split(' ').next().and_then(|user| user.parse().ok());
    say_as(user.expect("a number"), pid, "READY=1");
    daemon.until_ready("app");
}
