//! Files and disks that change unexpectedly: folders that disappear, files that are renamed, a disk that becomes
//! read-only, an address that appears late, a daemon that starts before the last has ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_tests::answers::State;
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::{Daemon, kept};
use bellwether_tests::eventually::{eventually, within};
use bellwether_tests::namespaces::unshared;
use bellwether_tests::process::{Guarded, is_alive, signal};
use bellwether_tests::program::{is_installed, run};
use bellwether_tests::root::Root;
use rustix::process::Signal;

fn module(run: &str) -> String {
    format!("[commands]\nstart = {{ run = {run}, keep = true }}\n[health]\ndrain = \"0s\"\n")
}

fn sleeps(seconds: u32) -> String {
    module(&format!("[\"/bin/sleep\", \"{seconds}\"]"))
}

/// A daemon with these modules, all of which serve.
fn daemon_with(modules: &[(&str, String)]) -> (Root, Daemon) {
    let root = Root::default();
    for (name, text) in modules {
        root.write(&format!("modules/{name}.toml"), text);
    }
    let daemon = Daemon::run(root.path(), root.health);
    for (name, _) in modules {
        daemon.until_ready(name);
    }
    (root, daemon)
}

fn problems(daemon: &Daemon) -> Vec<String> {
    daemon.status().problems
}

fn until_problem(daemon: &Daemon, parts: &[&str]) -> String {
    eventually(&format!("a problem says {parts:?}; now {:?}", problems(daemon)), || {
        problems(daemon).into_iter().find(|problem| parts.iter().all(|part| problem.contains(part)))
    })
}

fn until_no_problem(daemon: &Daemon) {
    eventually(&format!("no problem is left of {:?}", problems(daemon)), || {
        problems(daemon).is_empty().then_some(())
    });
}

#[test]
fn a_folder_of_modules_that_is_away_or_another_and_empty_changes_nothing() {
    let (root, daemon) = daemon_with(&[("app", sleeps(1001)), ("web", sleeps(1002))]);
    let folder = root.path().join("modules");
    let away = root.path().join("away");
    for empty in [false, true] {
        fs::rename(&folder, &away).unwrap();
        if empty {
            fs::create_dir(&folder).unwrap();
        }
        let what = if empty { "another folder than before, and empty" } else { "modules/ is missing" };
        until_problem(&daemon, &[what, "modules/app.toml, modules/web.toml"]);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            assert_eq!((daemon.health("app").status, daemon.health("web").status), (200, 200), "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
        // An exit in the meantime is handled by a restart.
        let before = daemon.processes("web");
        assert!(signal(before[0], Signal::KILL));
        eventually("web is started again", || {
            let now = daemon.processes("web");
            (!now.is_empty() && now != before).then_some(())
        });
        if empty {
            fs::remove_dir(&folder).unwrap();
        }
        fs::rename(&away, &folder).unwrap();
        until_no_problem(&daemon);
        daemon.until_ready("web");
    }
    // One file that is removed counts as removed, and its application is shown until it has ended.
    let pid = daemon.processes("web")[0];
    root.remove("modules/web.toml");
    until_problem(&daemon, &["modules/web.toml is gone", &format!("process {pid}"), &format!("kill {pid}")]);
    assert!(daemon.find_module("web").is_none() && is_alive(pid));
    assert!(signal(pid, Signal::KILL));
    until_no_problem(&daemon);
}

#[test]
fn much_that_is_removed_at_once_is_believed_when_a_person_says_so() {
    let (root, daemon) = daemon_with(&[("app", sleeps(1001)), ("web", sleeps(1002))]);
    root.remove("modules/app.toml");
    root.remove("modules/web.toml");
    until_problem(&daemon, &["all 2 files disappeared from modules/ at once", "systemctl reload"]);
    assert_eq!(daemon.health("app").status, 200);
    signal(daemon.pid(), Signal::HUP);
    eventually("both modules are gone", || {
        (daemon.find_module("app").is_none() && daemon.find_module("web").is_none()).then_some(())
    });
    until_problem(&daemon, &["modules/app.toml is gone"]);
}

#[test]
fn backup_files_do_not_make_a_module_vanish() {
    let (root, daemon) = daemon_with(&[("web", sleeps(1001))]);
    for number in 0..6000 {
        fs::write(root.path().join(format!("modules/web.toml.{number}.bak")), "").unwrap();
    }
    root.write("modules/late.toml", sleeps(1002));
    daemon.until_ready("late");
    assert_eq!((daemon.health("web").status, problems(&daemon)), (200, vec![]));
}

#[test]
fn a_module_that_is_renamed_takes_its_application_with_it() {
    let (root, mut daemon) = daemon_with(&[("web", sleeps(1001)), ("other", sleeps(1002))]);
    let before = daemon.processes("web");
    fs::rename(root.path().join("modules/web.toml"), root.path().join("modules/shop.toml")).unwrap();
    daemon.until_ready("shop");
    assert_eq!(daemon.processes("shop"), before, "it was not started a second time");
    assert!(daemon.find_module("web").is_none());
    assert_eq!(daemon.health("shop").status, 200);
    // The next daemon knows the new module of the application.
    daemon.kill();
    daemon.run_again();
    daemon.until_ready("shop");
    assert_eq!((daemon.processes("shop"), problems(&daemon)), (before.clone(), vec![]));
    let told = daemon.tell(&["events", "--module", "shop"]);
    assert!(told.contains("which module `web` had started in the same way"), "{told}");
    daemon.tell(&["stop", "shop"]);
    daemon.until_state("shop", State::Stopped);
    assert!(!is_alive(before[0]));
    // A module that a user has stopped stays stopped.
    fs::rename(root.path().join("modules/shop.toml"), root.path().join("modules/sale.toml")).unwrap();
    daemon.until_state("sale", State::Stopped);
    assert_eq!(daemon.processes("sale"), Vec::<u32>::new());
}

#[test]
fn two_modules_of_the_same_command_keep_their_own_processes_when_the_daemon_starts_again() {
    let (_root, mut daemon) = daemon_with(&[("a", sleeps(1001)), ("b", sleeps(1001)), ("c", sleeps(1001))]);
    let before = ["a", "b", "c"].map(|name| daemon.processes(name));
    for _ in 0..3 {
        daemon.kill();
        daemon.run_again();
        for name in ["a", "b", "c"] {
            daemon.until_ready(name);
        }
        assert_eq!(["a", "b", "c"].map(|name| daemon.processes(name)), before);
    }
}

#[test]
fn an_edited_command_is_said_to_wait_for_the_next_start() {
    let (root, mut daemon) = daemon_with(&[("app", sleeps(1001))]);
    let pid = daemon.processes("app")[0];
    root.write("modules/app.toml", sleeps(1002));
    let said = [format!("process {pid}"), "was started with `/bin/sleep 1001`".to_owned()];
    until_problem(&daemon, &[&said[0], &said[1], "which takes effect at the next start"]);
    assert!(daemon.tell(&["events"]).contains("command `start` from its next start on"));
    // The next daemon knows it as well.
    daemon.kill();
    daemon.run_again();
    until_problem(&daemon, &[&said[0], &said[1]]);
    daemon.tell(&["restart", "app"]);
    daemon.until_ready("app");
    until_no_problem(&daemon);
    assert_ne!(daemon.processes("app"), [pid]);
}

#[test]
fn a_daemon_that_starts_while_the_killed_one_is_ending_runs() {
    let (root, mut daemon) = daemon_with(&[("app", sleeps(1001))]);
    let before = daemon.processes("app");
    for round in 0..10 {
        // It is not waited for: the next one starts immediately.
        assert!(signal(daemon.pid(), Signal::KILL));
        daemon.begin_again();
        eventually("the next daemon answers", || {
            assert!(!daemon.has_ended(), "round {round}: {}", daemon.log());
            (bellwether_tests::http::get(root.health, "/health/app")?.status == 200).then_some(())
        });
    }
    assert_eq!(daemon.processes("app"), before);
}

#[test]
fn an_application_with_a_stopped_process_outlives_its_daemon() {
    let run =
        "[\"/bin/sh\", \"-c\", \"sleep 1001 & echo $! > helper.tmp; mv helper.tmp helper; exec sleep 1002\"]";
    let (root, mut daemon) = daemon_with(&[("app", module(run))]);
    let before = daemon.processes("app");
    let helper = eventually("the helper runs", || {
        fs::read_to_string(root.path().join("helper")).ok()?.trim().parse::<u32>().ok()
    });
    let state = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    assert!(signal(helper, Signal::STOP));
    eventually("the helper is stopped", || (state(helper)? == 'T').then_some(()));
    daemon.kill();
    daemon.run_again();
    daemon.until_ready("app");
    // The kernel sends SIGHUP to an orphaned group before its leader can be reaped.
    assert_eq!((daemon.processes("app"), state(helper)), (before, Some('T')));
    assert!(signal(helper, Signal::CONT));
}

#[test]
fn a_list_of_what_is_kept_that_was_damaged_by_hand_hides_nothing_from_a_stop() {
    let (root, mut daemon) = daemon_with(&[("app", sleeps(1001))]);
    let pid = daemon.processes("app")[0];
    daemon.kill();
    root.write("state/kept.json", "{ \"processes\": \"none\" }");
    daemon.run_again();
    daemon.until_ready("app");
    assert_eq!(daemon.processes("app"), [pid], "it is found by its mark");
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
    assert!(!is_alive(pid));
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A separate file system in a file. It is removed with its test.
struct Disk {
    folder: tempfile::TempDir,
    device: String,
}

impl Disk {
    /// `None` where none can be mounted.
    fn new() -> Option<Self> {
        let tools = ["/sbin/mkfs.ext4", "/sbin/losetup", "/bin/mount"].iter().all(|tool| is_installed(tool));
        if !is_root() || !tools {
            eprintln!("skipped: needs root, ext4 and loop devices");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (image, place) = (folder.path().join("disk.img"), folder.path().join("disk"));
        fs::File::create(&image).and_then(|file| file.set_len(96 << 20)).expect("a file with holes");
        fs::create_dir(&place).expect("a folder");
        if run("/sbin/mkfs.ext4", &["-q", "-F", image.to_str()?]).is_none() {
            eprintln!("skipped: no file system can be made");
            return None;
        }
        let Some(device) = run("/sbin/losetup", &["-f", "--show", image.to_str()?]) else {
            eprintln!("skipped: no loop device is to be had");
            return None;
        };
        let disk = Self { device: device.trim().to_owned(), folder };
        if run("/bin/mount", &["-o", "errors=remount-ro", &disk.device, place.to_str()?]).is_none() {
            eprintln!("skipped: no disk can be mounted");
            return None;
        }
        Some(disk)
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// What the kernel does after an error.
    fn abort(&self) {
        let place = self.place();
        run("/bin/mount", &["-o", "remount,abort", place.to_str().unwrap_or_default()]);
        eventually("the disk is read-only", || fs::File::create(place.join("x")).is_err().then_some(()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("/bin/umount", &["-l", self.place().to_str().unwrap_or_default()]);
        run("/sbin/losetup", &["-d", &self.device]);
    }
}

#[test]
fn an_application_on_a_disk_that_turns_read_only_is_started_again_and_a_new_daemon_runs() {
    let Some(disk) = Disk::new() else { return };
    let health = bellwether_tests::root::free_address();
    let root = disk.place().join("root");
    fs::create_dir_all(root.join("modules")).unwrap();
    let node =
        format!("name = \"node-1\"\n[health]\nlisten = \"{health}\"\n[console]\nlisten = \"127.0.0.1:0\"\n");
    fs::write(root.join("bellwether.toml"), node).unwrap();
    let restarts = "[restart]\nbudget = { restarts = 1, within = \"1h\" }\n";
    fs::write(root.join("modules/app.toml"), format!("{}{restarts}", sleeps(1001))).unwrap();
    let mut daemon = Daemon::run(&root, health);
    daemon.until_ready("app");
    disk.abort();
    let before = daemon.processes("app");
    assert!(signal(before[0], Signal::KILL));
    let started = eventually("the application is started again", || {
        let now = daemon.processes("app");
        (!now.is_empty() && now != before).then_some(now)
    });
    daemon.until_ready("app");
    assert_eq!(daemon.module("app").restarts, 1, "the death alone is counted");
    until_problem(&daemon, &["Read-only file system"]);

    // The disk still names the one that died; the present one is not recorded.
    daemon.kill();
    let log = disk.folder.path().join("log");
    let child = Command::new(bellwether())
        .args(["run", "--root"])
        .arg(&root)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&log).unwrap())
        .stderr(fs::File::options().append(true).open(&log).unwrap())
        .spawn();
    let mut next = Guarded(child.unwrap());
    let text = || fs::read_to_string(&log).unwrap_or_default();
    let ready = within(Duration::from_secs(60), "the next daemon serves", || {
        if let Ok(Some(ended)) = next.0.try_wait() {
            return Some(Err(ended));
        }
        (bellwether_tests::http::get(health, "/health/app")?.status == 200).then_some(Ok(()))
    });
    assert_eq!(ready, Ok(()), "{}", text());
    let status = Command::new(bellwether()).args(["status", "--root"]).arg(&root).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("is on a disk that is read-only"), "{status}{}", text());
    assert_eq!(of_root(&root), started, "the application was found by its mark, not started a second time");
    drop(next);
    for pid in of_root(&root) {
        signal(pid, Signal::KILL);
    }
}

/// The applications whose working directory is this root.
fn of_root(root: &Path) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == root)).collect()
}

#[test]
fn a_health_address_that_comes_late_is_waited_for_and_shown() {
    let ip = is_installed("/usr/sbin/ip") || is_installed("/sbin/ip");
    if !ip || !is_installed("/bin/bash") {
        eprintln!("skipped: needs ip and bash");
        return;
    }
    let root = Root::default();
    root.write("modules/app.toml", sleeps(1001));
    // From a network that is reserved for documentation (RFC 5737).
    let node = "name = \"node-1\"\n[health]\nlisten = \"192.0.2.7:9010\"\n[metrics]\nlisten = \"192.0.2.7:9012\"\n\
                [console]\nlisten = \"127.0.0.1:9013\"\n";
    fs::write(root.path().join("bellwether.toml"), node).unwrap();
    let script = "ip link set lo up; \"$1\" run --root \"$2\" > \"$2/log\" 2>&1 & \
                  while ! test -e \"$2/come\"; do sleep 0.1; done; ip address add 192.0.2.7/32 dev lo; \
                  while ! test -e \"$2/asked\"; do \
                  if bash -c 'exec 3<>/dev/tcp/192.0.2.7/9010; printf \"GET /health/app HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3' \
                  > \"$2/answer\" 2>&1 && grep -q \"200 OK\" \"$2/answer\"; then : > \"$2/asked\"; fi; sleep 0.1; done; wait";
    let Some(_inside) = unshared(&["--net"], script, &[bellwether(), root.path()]) else { return };
    let log = || fs::read_to_string(root.path().join("log")).unwrap_or_default();
    let status = || {
        let output = Command::new(bellwether()).args(["status", "--root"]).arg(root.path()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let said = within(Duration::from_secs(60), "the daemon runs and says what is missing", || {
        status().filter(|status| status.contains("does not have the address 192.0.2.7"))
    });
    assert!(said.contains("the health endpoint") && said.contains("the metrics"), "{said}{}", log());
    root.write("come", "");
    within(Duration::from_secs(60), "the health endpoint answers there", || {
        root.path().join("asked").exists().then_some(())
    });
    within(Duration::from_secs(30), "nothing is missing any more", || {
        status().filter(|status| !status.contains("does not have the address"))
    });
}

#[test]
fn the_first_process_of_a_container_reaps_the_orphans_of_its_applications() {
    let root = Root::default();
    // Leaves a child behind every 500 ms, which exits when its parent has.
    root.write(
        "modules/app.toml",
        module("[\"/bin/sh\", \"-c\", \"while :; do sh -c 'sleep 0.3 & exec true'; sleep 0.5; done\"]"),
    );
    let script = "exec \"$1\" run --root \"$2\" > \"$2/log\" 2>&1";
    let Some(inside) = unshared(&[], script, &[bellwether(), root.path()]) else { return };
    let log = || fs::read_to_string(root.path().join("log")).unwrap_or_default();
    let daemon = within(Duration::from_secs(60), "the daemon runs as the first process", || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", inside.0.id())).ok()?;
        children.split_whitespace().next()?.parse::<u32>().ok()
    });
    within(Duration::from_secs(60), "the application serves", || {
        (bellwether_tests::http::get(root.health, "/health/app")?.status == 200).then_some(())
    });
    let zombies = || -> usize {
        let children =
            fs::read_to_string(format!("/proc/{daemon}/task/{daemon}/children")).unwrap_or_default();
        children.split_whitespace().filter(|pid| pid.parse().is_ok_and(|pid: u32| !is_alive(pid))).count()
    };
    // Longer than an orphan waits to be reaped: otherwise there would be 30 by now.
    let (until, mut most) = (Instant::now() + Duration::from_secs(16), 0);
    while Instant::now() < until {
        most = most.max(zombies());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(most > 0, "orphans come and go\n{}", log());
    assert!(most < 20, "{most} orphans wait\n{}", log());
    assert!(kept(root.path()).len() == 1);
}
