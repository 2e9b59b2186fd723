//! Users and limits of commands, the command before a start, and the stop signals: real processes, and the kernel's
//! information about them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use bellwether_tests::answers::State;
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::{Conditions, Daemon};
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::Root;
use rustix::process::Signal;

mod capabilities;
mod notify;

/// The user `nobody`, on every Linux.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root starts a process as another user");
    }
    is_root
}

fn run(root: &Root, module: &str) -> Daemon {
    root.write("modules/app.toml", module);
    Daemon::run(root.path(), root.health)
}

/// Writes an environment file that only its owner may write.
fn variables(root: &Root, text: &str) {
    let path = root.write("app.env", text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
}

/// The single process of the application.
fn application(daemon: &Daemon) -> u32 {
    daemon.until_ready("app");
    let pids = daemon.processes("app");
    assert_eq!(pids.len(), 1, "{:?}", daemon.module("app"));
    pids[0]
}

fn log(root: &Root, command: &str) -> String {
    fs::read_to_string(root.path().join(format!("logs/app.{command}.log"))).unwrap_or_default()
}

fn of_process(pid: u32, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).expect("the process lives");
    String::from_utf8(bytes).expect("it is text")
}

/// A line of `/proc/PID/status`, with single blanks.
fn status(pid: u32, key: &str) -> String {
    let text = of_process(pid, "status");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The soft and the hard limit.
fn limit(pid: u32, name: &str) -> [String; 2] {
    let text = of_process(pid, "limits");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("there is such a limit");
    let mut words = line.split_whitespace().map(str::to_owned);
    [words.next().expect("soft"), words.next().expect("hard")]
}

fn nice(pid: u32) -> i32 {
    let stat = of_process(pid, "stat");
    let behind_name = stat.rsplit(") ").next().expect("the state and what follows");
    behind_name.split(' ').nth(16).and_then(|nice| nice.parse().ok()).expect("proc_pid_stat(5), field 19")
}

/// All settings of a file. The shell stays: it is the application.
const FULL: &str = r#"
[commands.start]
run = ["/bin/sh", "-c", "echo I am $(id -u); while :; do sleep 600; done"]
keep = true
user = "nobody"
group = "daemon"
supplementary-groups = ["4711"]
env = { FROM = "table", KEPT = "yes", LD_LIBRARY_PATH = "/nowhere" }
env-file = "app.env"
umask = "0027"
limits = { open-files = 777, core = "0B", memory = "4GiB", processes = 1000 }
nice = 12
oom-score = 300
"#;

#[test]
fn an_application_runs_as_its_user_and_within_its_limits() {
    if !is_root() {
        return;
    }
    let root = Root::default();
    variables(&root, "# of the package\nFROM=file\nSPACED=\"a b\"\n");
    let daemon = run(&root, FULL);
    let pid = application(&daemon);
    assert_eq!(status(pid, "Uid"), "65534 65534 65534 65534");
    let daemons_group = status(pid, "Gid");
    let of_daemon =
        String::from_utf8_lossy(&Command::new("id").args(["-g", "daemon"]).output().expect("id").stdout)
            .trim()
            .to_owned();
    assert_eq!(daemons_group, [of_daemon.as_str(); 4].join(" "));
    let groups = status(pid, "Groups");
    assert_eq!(groups, format!("{of_daemon} 4711"), "and none of root's");
    assert_eq!(status(pid, "CapEff"), "0000000000000000");
    assert_eq!(status(pid, "Umask"), "0027");
    assert_eq!(limit(pid, "Max open files"), ["777", "777"]);
    assert_eq!(limit(pid, "Max core file size"), ["0", "0"]);
    assert_eq!(limit(pid, "Max address space"), [(4_u64 << 30).to_string(), (4_u64 << 30).to_string()]);
    assert_eq!(limit(pid, "Max processes"), ["1000", "1000"]);
    assert_eq!((nice(pid), of_process(pid, "oom_score_adj").trim()), (12, "300"));
    let environment = of_process(pid, "environ");
    let environment: Vec<&str> = environment.split_terminator('\0').collect();
    let expected =
        ["FROM=file", "SPACED=a b", "KEPT=yes", "LD_LIBRARY_PATH=/nowhere", "USER=nobody", "LOGNAME=nobody"];
    for variable in expected {
        assert!(environment.contains(&variable), "{variable}: {environment:?}");
    }
    assert!(environment.iter().all(|variable| !variable.starts_with("BELLWETHER_FOR")), "{environment:?}");
    eventually("its word is in its log", || log(&root, "start").contains("I am 65534\n").then_some(()));

    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
    assert!(!is_alive(pid));
}

#[test]
fn an_application_of_another_user_is_found_again() {
    if !is_root() {
        return;
    }
    let root = Root::default();
    variables(&root, "A=1\n");
    let mut daemon = run(&root, FULL);
    let pid = application(&daemon);
    daemon.kill();
    daemon.run_again();
    assert_eq!(application(&daemon), pid);
    // By its marks, too, if the list is lost.
    daemon.kill();
    root.remove("state/kept.json");
    daemon.run_again();
    assert_eq!(application(&daemon), pid);
    assert!(signal(pid, Signal::KILL));
    eventually("it is started again", || {
        let now = daemon.processes("app");
        (!now.is_empty() && now != [pid]).then_some(())
    });
    daemon.until_ready("app");
}

#[test]
fn nobody_else_can_pass_for_an_application_by_its_mark() {
    if !is_root() {
        return;
    }
    let root = Root::default();
    variables(&root, "A=1\n");
    let mut daemon = run(&root, FULL);
    let pid = application(&daemon);
    let environment = of_process(pid, "environ");
    let mark = environment.split('\0').find_map(|variable| variable.strip_prefix("BELLWETHER_KEPT="));
    let mark = mark.expect("it carries its mark").to_owned();
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
    daemon.kill();
    root.remove("state/kept.json");
    let mut pretender = Command::new("/bin/sleep")
        .arg("600")
        .env("BELLWETHER_KEPT", mark)
        .uid(NOBODY)
        .gid(NOBODY)
        .process_group(0)
        .spawn()
        .expect("there is sleep(1)");
    daemon.run_again();
    daemon.tell(&["start", "app"]);
    let started = application(&daemon);
    let (is_other, lives) = (started != pretender.id(), is_alive(pretender.id()));
    drop(pretender.kill());
    drop(pretender.wait());
    assert!(is_other && lives, "{started} {is_other} {lives}");
}

#[test]
fn what_runs_to_its_end_runs_as_its_user_too_and_a_start_waits_for_it() {
    if !is_root() {
        return;
    }
    let root = Root::default();
    let daemon = run(
        &root,
        r#"
[restart]
backoff = { first = "100ms", max = "100ms" }
[commands]
start = { run = ["/bin/sh", "-c", "echo started; exec sleep 600"], keep = true }
[commands.before-start]
run = ["/bin/sh", "-c", "echo $(id -u) $(umask) $(ulimit -n) $(nice); exit 7"]
user = "nobody"
umask = "0077"
nice = 12
limits = { open-files = 512 }
"#,
    );
    eventually("it was tried and failed", || {
        daemon.tell(&["events"]).contains("exited with 7; its log says: 65534 0077 512 12").then_some(())
    });
    assert_eq!(log(&root, "start"), "", "nothing is started before it has ended well");
    let text = fs::read_to_string(root.path().join("modules/app.toml")).expect("the module's file");
    root.write("modules/app.toml", text.replace("exit 7", "exit 0"));
    application(&daemon);
    eventually("it has written", || (log(&root, "start") == "started\n").then_some(()));
}

#[test]
fn what_has_changed_since_the_file_was_read_fails_the_start_in_plain_words() {
    let root = Root::default();
    variables(&root, "A=1\n");
    let daemon = run(
        &root,
        r#"
[restart]
backoff = { first = "100ms", max = "100ms" }
[commands]
start = { run = ["/bin/sleep", "600"], keep = true, env-file = "app.env" }
"#,
    );
    let pid = application(&daemon);
    root.remove("app.env");
    assert!(signal(pid, Signal::KILL));
    eventually("it is told", || {
        let told = daemon.tell(&["events"]);
        (told.contains("its env-file") && told.contains("there is no such file")).then_some(())
    });
    variables(&root, "A=2\n");
    let pid = application(&daemon);
    assert!(of_process(pid, "environ").split('\0').any(|variable| variable == "A=2"));
}

#[test]
fn a_daemon_without_root_refuses_other_users_and_says_what_it_may_not() {
    let user = 65_000 + std::process::id() % 500;
    let may_run = |user: u32| {
        let tried = Command::new(bellwether()).arg("--version").uid(user).gid(user).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    if !is_root() || !may_run(user) {
        eprintln!("skipped: another user cannot run the daemon here");
        return;
    }
    let root = Root::default();
    root.write(
        "modules/app.toml",
        "[commands]\nstart = { run = [\"/bin/sleep\", \"600\"], keep = true, user = \"nobody\" }\n",
    );
    give(root.path(), user);
    let output = Command::new(bellwether())
        .args(["validate", "--root"])
        .arg(root.path())
        .uid(user)
        .gid(user)
        .output()
        .expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains("only a daemon that runs as root can start a command as another user"), "{told}");

    let module = "[restart]\nbackoff = { first = \"100ms\", max = \"100ms\" }\n[commands]\n\
        start = { run = [\"/bin/sleep\", \"600\"], keep = true, nice = -5 }\n";
    root.write("modules/app.toml", module);
    give(root.path(), user);
    let daemon =
        Daemon::run_under(Conditions { user: Some(user), ..Conditions::default() }, root.path(), root.health);
    eventually("it is told", || daemon.tell(&["events"]).contains("cannot set nice to -5").then_some(()));
}

/// Gives all of the folder to the user.
fn give(path: &std::path::Path, user: u32) {
    let chown = Command::new("chown").arg("-R").arg(format!("{user}:{user}")).arg(path).status();
    assert!(chown.expect("chown(1)").success());
}

#[test]
fn what_does_not_end_by_one_signal_gets_the_next() {
    let root = Root::default();
    let daemon = run(
        &root,
        r#"
[restart]
config = { stop = [{ signal = "usr1", wait = "300ms" }, { signal = "usr2", wait = "2m" }] }
[commands.start]
run = ["/bin/sh", "-c", "trap 'echo one' USR1; trap 'echo two; exit 0' USR2; echo ready; while :; do sleep 600; done"]
keep = true
[health]
drain = "0s"
"#,
    );
    let pid = application(&daemon);
    eventually("it has its traps", || log(&root, "start").contains("ready").then_some(()));
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
    assert!(!is_alive(pid));
    let words: Vec<String> =
        log(&root, "start").lines().filter(|line| line.len() <= 5).map(str::to_owned).collect();
    assert_eq!(words, ["ready", "one", "two"]);
    let events = daemon.tell(&["events"]);
    assert!(events.contains("send SIGUSR1") && events.contains("send SIGUSR2"), "{events}");
    assert!(!events.contains("SIGKILL"), "{events}");
}

#[test]
fn an_application_is_asked_to_end_by_a_signal_that_the_interface_of_components_has_no_word_for() {
    let root = Root::default();
    let daemon = run(
        &root,
        r#"
[restart]
config = { stop = [{ signal = "winch", wait = "2m" }] }
[commands.start]
run = ["/bin/sh", "-c", "trap 'echo asked; kill $!; exit 0' WINCH; sleep 600 & echo ready; while :; do wait; done"]
keep = true
[health]
drain = "0s"
"#,
    );
    let pid = application(&daemon);
    eventually("it has its trap", || log(&root, "start").contains("ready").then_some(()));
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
    assert!(!is_alive(pid) && log(&root, "start").contains("asked"), "{}", log(&root, "start"));
    let events = daemon.tell(&["events"]);
    assert!(events.contains("send SIGWINCH") && !events.contains("SIGKILL"), "{events}");
}

#[test]
fn a_series_without_a_signal_is_refused_with_its_line() {
    let root = Root::default();
    root.write(
        "modules/app.toml",
        "[restart]\nconfig = { stop = [] }\n[commands]\nstart = { run = [\"/bin/sleep\", \"1\"], keep = true }\n",
    );
    let output = Command::new(bellwether()).args(["validate", "--root"]).arg(root.path()).output();
    let output = output.expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains("modules/app.toml:2") && told.contains("config.stop"), "{told}");
}
