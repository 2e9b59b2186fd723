//! The processes of an application that have left its process group, or have gone into the background by
//! themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bellwether_tests::answers::State;
use bellwether_tests::binary::bellwether;
use bellwether_tests::control_groups;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http;
use bellwether_tests::nginx::{self, Nginx};
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::program::is_installed;
use bellwether_tests::root::{Root, free_address};
use rustix::process::{Signal, geteuid};

const MODULE: &str = "web";
const FILE: &str = "modules/web.toml";
const HEAD: &str = r#"
[restart]
budget = { restarts = 3, within = "1h" }
backoff = { first = "50ms", max = "200ms" }

[health]
drain = "0s"
"#;

/// How processes are identified.
#[derive(Debug, Clone, Copy)]
enum By {
    /// By the best means of the system: control groups, where the daemon can create some.
    All,
    /// By marks, without control groups.
    Marks,
}

/// Both, where this process can create a mount namespace.
fn ways() -> Vec<By> {
    let may = geteuid().is_root() && is_installed("unshare");
    if may { vec![By::All, By::Marks] } else { vec![By::All] }
}

/// A daemon on the root. Without control groups, it runs in a mount namespace in which they are not mounted.
fn run(by: By, root: &Root) -> Daemon {
    match by {
        By::All => Daemon::run(root.path(), root.health),
        By::Marks => {
            let script = format!(
                "#!/bin/sh\nexec unshare --mount /bin/sh -c '\
                 for point in $(grep \" - cgroup2 \" /proc/self/mountinfo | cut -d \" \" -f 5); do umount -l \"$point\"; done; \
                 exec \"$@\"' sh {} \"$@\"\n",
                bellwether().display()
            );
            let program = root.write("without-groups", script);
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .expect("it can be made a program");
            Daemon::run_binary(&program, root.path(), root.health, &[])
        }
    }
}

/// Living processes that work in this root, except its daemon.
fn processes_of(root: &Root, daemon: &Daemon) -> Vec<u32> {
    let pids = fs::read_dir("/proc").expect("processes").filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let works_in = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        (works_in == root.path() && is_alive(pid)).then_some(pid)
    });
    pids.filter(|pid| *pid != daemon.pid()).collect()
}

fn until_alone(root: &Root, daemon: &Daemon) {
    eventually("nothing of the application is left", || processes_of(root, daemon).is_empty().then_some(()));
}

/// The two processes: the one that is kept and the one that has left it.
fn two(root: &Root, daemon: &Daemon) -> (u32, u32) {
    let kept = eventually("it runs", || daemon.processes(MODULE).first().copied());
    let both = eventually("both are there", || {
        Some(processes_of(root, daemon)).filter(|pids| pids.len() == 2 && pids.iter().all(|pid| sleeps(*pid)))
    });
    let other = both.into_iter().find(|pid| *pid != kept).expect("another one");
    (kept, other)
}

fn until_another_is_kept(daemon: &Daemon, kept: u32) {
    eventually("another one is kept", || {
        let another = daemon.processes(MODULE).into_iter().find(|pid| *pid != kept);
        another.filter(|_| daemon.module(MODULE).ready)
    });
}

/// The kept process dies while no daemon runs, and the next daemon ends its leftovers.
fn dies_without_a_daemon(root: &Root, daemon: &mut Daemon, by: By, (kept, other): (u32, u32)) {
    daemon.kill();
    assert!(signal(kept, Signal::KILL));
    eventually("it has ended", || (!is_alive(kept)).then_some(()));
    assert!(is_alive(other), "{by:?}");
    daemon.run_again();
    until_another_is_kept(daemon, kept);
    assert!(!is_alive(other), "{by:?}: what the last run has left lives beside the next");
    daemon.tell(&["stop", MODULE, "--wait"]);
    until_alone(root, daemon);
}

fn sleeps(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
}

/// Processes that must not be left when a test fails.
struct Swept<'a>(&'a Root);

impl Drop for Swept<'_> {
    fn drop(&mut self) {
        let of_root = |pid: &u32| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(self.0.path()))
        };
        let entries = fs::read_dir("/proc").into_iter().flatten();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        for pid in pids.filter(of_root) {
            signal(pid, Signal::KILL);
        }
    }
}

fn sleeper() -> String {
    format!(
        r#"{HEAD}
[commands]
start = {{ run = ["/bin/sh", "-c", "setsid sleep 1000 & exec sleep 1001"], keep = true }}

[[checker]]
name = "process"
process = {{ kept = "start" }}
"#
    )
}

#[test]
fn one_in_a_session_of_its_own_ends_with_a_stop_and_before_the_next_start() {
    for by in ways() {
        let root = Root::default();
        root.write(FILE, sleeper());
        let _swept = Swept(&root);
        let daemon = run(by, &root);
        daemon.until_ready(MODULE);
        let (kept, other) = two(&root, &daemon);
        assert!(signal(kept, Signal::KILL));
        until_another_is_kept(&daemon, kept);
        assert!(!is_alive(other), "{by:?}: what the last run has left is in the way of the next");
        let module = daemon.module(MODULE);
        assert_eq!(module.restarts, 1, "{by:?}: {module:?}");

        let (kept, other) = two(&root, &daemon);
        daemon.tell(&["stop", MODULE, "--wait"]);
        assert!(!is_alive(kept) && !is_alive(other), "{by:?}: it is said to be stopped");
        assert_eq!(processes_of(&root, &daemon), [0; 0], "{by:?}");
        assert_eq!(daemon.module(MODULE).state, State::Stopped);
    }
}

#[test]
fn what_has_left_an_application_that_died_without_a_daemon_is_ended_by_the_next_one() {
    for by in ways() {
        let root = Root::default();
        root.write(FILE, sleeper());
        let _swept = Swept(&root);
        let mut daemon = run(by, &root);
        daemon.until_ready(MODULE);
        let (kept, other) = two(&root, &daemon);
        dies_without_a_daemon(&root, &mut daemon, by, (kept, other));
    }
}

/// Of another user, in an environment that the launcher hides from itself until then.
fn of_nobody(by: By, pid: u32) {
    let of_process = |file: &str| fs::read(format!("/proc/{pid}/{file}")).expect("it lives");
    let status = String::from_utf8(of_process("status")).expect("it is text");
    assert!(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{by:?}: {status}");
    let environment = String::from_utf8(of_process("environ")).expect("it is text");
    let mut variables = environment.split('\0');
    assert!(variables.any(|variable| variable.starts_with("BELLWETHER_BELONGS=")), "{by:?}: {environment}");
    assert!(!environment.contains("BELLWETHER_FOR_IT"), "{by:?}: {environment}");
    let group = String::from_utf8(of_process("cgroup")).expect("it is text");
    let is_in_its_group = group.lines().any(|line| line.ends_with("/module.web/command.start"));
    assert_eq!(is_in_its_group, matches!(by, By::All) && control_groups::are_there(), "{by:?}: {group}");
}

#[test]
fn what_a_command_of_another_user_starts_belongs_to_it_as_well() {
    if !geteuid().is_root() {
        return;
    }
    for by in ways() {
        let root = Root::default();
        root.write(FILE, sleeper().replace("keep = true", "keep = true, user = \"nobody\""));
        let _swept = Swept(&root);
        let mut daemon = run(by, &root);
        daemon.until_ready(MODULE);
        let (kept, other) = two(&root, &daemon);
        of_nobody(by, kept);
        of_nobody(by, other);
        dies_without_a_daemon(&root, &mut daemon, by, (kept, other));
    }
}

/// Two processes in the background, distinguished from those of other tests by their arguments.
fn two_of_nobody(test: u32) -> String {
    format!(
        r#"{HEAD}
[commands]
before-start = {{ run = ["/bin/sh", "-c", "! pgrep -f '^sleep 100[01][.]{test}$'"] }}
stop = {{ run = ["/bin/true"] }}

[commands.start]
run = ["/bin/sh", "-c", "setsid sleep 1000.{test} & setsid sleep 1001.{test} & [ $(id -u) = 65534 ]"]
user = "nobody"
timeout = "60s"

[[checker]]
name = "process"
process = {{ arguments = '^sleep 1000[.]{test}$' }}
"#
    )
}

#[test]
fn what_another_users_start_leaves_in_the_background_ends_before_anything_is_started_again() {
    if !geteuid().is_root() {
        return;
    }
    for by in ways() {
        let root = Root::default();
        root.write(FILE, two_of_nobody(std::process::id()));
        let _swept = Swept(&root);
        let daemon = run(by, &root);
        daemon.until_ready(MODULE);
        let watched = eventually("it runs", || daemon.processes(MODULE).first().copied());
        let pids = processes_of(&root, &daemon);
        let other = pids.iter().copied().find(|pid| *pid != watched).expect("the other one");
        assert_eq!(pids.len(), 2, "{by:?}: {pids:?}");
        of_nobody(by, watched);
        of_nobody(by, other);
        assert!(signal(watched, Signal::KILL));
        eventually("another one runs", || {
            let now = daemon.processes(MODULE);
            (!now.is_empty() && now != [watched] && daemon.module(MODULE).ready).then_some(())
        });
        assert!(!is_alive(other), "{by:?}: the one of the last run is left");
        let module = daemon.module(MODULE);
        assert_eq!(module.restarts, 1, "{by:?}: {module:?}\n{}", daemon.tell(&["events"]));
    }
}

/// A server with two processes that goes into the background by itself, by two forks: the one in the pid file, and
/// a worker in its own session that serves, and outlives it.
fn server(root: &Root) -> (String, std::net::SocketAddr, PathBuf) {
    let (address, pid_file) = (free_address(), root.path().join("server.pid"));
    let (host, port) = (address.ip(), address.port());
    let program = root.write(
        "server.py",
        format!(
            r#"
import http.server, os, signal, sys, time
server = http.server.HTTPServer(("{host}", {port}), http.server.SimpleHTTPRequestHandler)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
if os.fork() == 0:
    os.setsid()
    server.serve_forever()
with open("server.pid.new", "w") as file: file.write(str(os.getpid()) + "\n")
os.rename("server.pid.new", "server.pid")
while True: time.sleep(60)
"#
        ),
    );
    let file = format!(
        r#"{HEAD}
[commands]
start = {{ run = ["/usr/bin/python3", "{}"], timeout = "60s" }}
stop = {{ run = ["/bin/sh", "-c", "kill $(cat server.pid)"], timeout = "10s" }}

[[checker]]
name = "pid-file"
process = {{ pid-file = "{}" }}

[[checker]]
name = "page"
component = "http"
interval = "200ms"
timeout = "10s"
config = {{ url = "http://{address}/" }}
grant = {{ connect = ["{address}"] }}
"#,
        program.display(),
        pid_file.display()
    );
    (file, address, pid_file)
}

fn read_pid(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file).ok()?.trim().parse().ok()
}

#[test]
fn the_workers_of_a_killed_application_in_the_background_end_before_it_is_started_again() {
    if !is_installed("/usr/bin/python3") {
        return;
    }
    for by in ways() {
        let root = Root::default();
        let (file, address, pid_file) = server(&root);
        root.write(FILE, file);
        let _swept = Swept(&root);
        let daemon = run(by, &root);
        daemon.until_ready(MODULE);
        let master = read_pid(&pid_file).expect("its pid file");
        let before = processes_of(&root, &daemon);
        assert_eq!(before.len(), 2, "{by:?}: {before:?}");
        assert!(signal(master, Signal::KILL));
        eventually("another one serves", || {
            read_pid(&pid_file).filter(|now| *now != master && daemon.module(MODULE).ready)
        });
        assert!(!before.into_iter().any(is_alive), "{by:?}: the old worker is left");
        assert_eq!(http::get(address, "/").expect("it serves").status, 200);
        let module = daemon.module(MODULE);
        assert_eq!(module.restarts, 1, "{by:?}: {module:?}\n{}", daemon.tell(&["events"]));
        daemon.tell(&["stop", MODULE, "--wait"]);
        assert_eq!(daemon.module(MODULE).state, State::Stopped, "{by:?}");
        until_alone(&root, &daemon);
    }
}

/// Debian's nginx, as its init script starts it; its stop command uses the pid file.
fn nginx_in_the_background(nginx: &Nginx) -> String {
    let (start, pid_file, address) = (nginx.command(&[]), nginx.pid_file(), nginx.address);
    let pid_file = pid_file.display();
    format!(
        r#"{HEAD}
[commands]
start = {{ run = {start}, timeout = "60s" }}
stop = {{ run = ["/sbin/start-stop-daemon", "--stop", "--quiet", "--oknodo", "--retry", "QUIT/5", "--pidfile", "{pid_file}", "--name", "nginx"], timeout = "10s" }}

[[checker]]
name = "pid-file"
process = {{ pid-file = "{pid_file}" }}

[[checker]]
name = "page"
component = "http"
interval = "200ms"
timeout = "10s"
config = {{ url = "http://{address}/", expect-body = "well" }}
grant = {{ connect = ["{address}"] }}
"#
    )
}

/// Without control groups, workers that have overwritten their environment are identified once the daemon has
/// scanned while their parent was alive.
fn until_looked_at(by: By, daemon: &Daemon, workers: &[u32]) {
    if matches!(by, By::All) && control_groups::are_there() {
        return;
    }
    let newest = workers.iter().copied().max().expect("there are some");
    eventually("the daemon has looked at them", || {
        let log = daemon.log();
        let looks = log.split("descendants are known newest=").skip(1);
        let mut newest_of_each = looks.filter_map(|rest| rest.split_whitespace().next()?.parse::<u32>().ok());
        newest_of_each.any(|of_look| of_look >= newest).then_some(())
    });
}

#[test]
fn the_workers_of_a_killed_nginx_in_the_background_end_before_it_is_started_again() {
    if !is_installed(nginx::PROGRAM) || !is_installed("/sbin/start-stop-daemon") {
        return;
    }
    for by in ways() {
        let root = Root::default();
        let nginx = Nginx::lay_out(&root);
        root.write(FILE, nginx_in_the_background(&nginx));
        let _swept = Swept(&root);
        let daemon = run(by, &root);
        daemon.until_ready(MODULE);
        let master = nginx.master().expect("a master");
        let workers = eventually("it has its workers", || {
            Some(Nginx::workers(master)).filter(|workers| workers.len() == 2)
        });
        until_looked_at(by, &daemon, &workers);
        assert!(signal(master, Signal::KILL));
        eventually("another one serves", || {
            nginx.master().filter(|now| *now != master && daemon.module(MODULE).ready)
        });
        assert!(!workers.into_iter().any(is_alive), "{by:?}: old workers are left");
        let module = daemon.module(MODULE);
        assert_eq!(module.restarts, 1, "{by:?}: {module:?}\n{}", daemon.tell(&["events"]));
        daemon.tell(&["stop", MODULE, "--wait"]);
        assert_eq!(daemon.module(MODULE).state, State::Stopped, "{by:?}");
        assert!(nginx.ask().is_none(), "{by:?}: it does not serve any more");
    }
}

#[test]
fn a_port_that_somebody_else_holds_is_named_with_its_holder() {
    if !is_installed(nginx::PROGRAM) {
        return;
    }
    let root = Root::default();
    let nginx = Nginx::lay_out(&root);
    let holder = std::net::TcpListener::bind(nginx.address).expect("its port is free");
    root.write(FILE, nginx_in_the_background(&nginx).replace("restarts = 3", "restarts = 0"));
    let _swept = Swept(&root);
    let daemon = run(By::All, &root);
    let module = daemon.until_state(MODULE, State::Failed);
    let told = format!("port {} is held by ", nginx.address.port());
    assert!(module.reason.contains(&told), "{module:?}");
    assert!(module.reason.contains(&std::process::id().to_string()), "{module:?}");
    drop(holder);
}
