//! Applications that spawn and die without end, and that write output without end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwether_tests::answers::State;
use bellwether_tests::daemon::Conditions;
use bellwether_tests::eventually::{PATIENCE, eventually, within};
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;

use super::descriptors::processor_time;
use super::scene::Scene;

/// Starts a process a hundred times a second, and each exits immediately.
const RESTLESS: &str = r#"
[restart]
budget = { restarts = 3, within = "1h" }
backoff = { first = "20ms", max = "50ms" }
[commands]
start = { run = ["/bin/sh", "-c", "while :; do /bin/sleep 0.01 & wait; done"], keep = true }
[[checker]]
name = "parent"
process = { kept = "start" }
[[checker]]
name = "child"
process = { arguments = "^/bin/sleep 0\\.01$" }
on-down = "notify"
interval = "1s"
"#;

/// Exits as soon as it is started.
const MORTAL: &str = r#"
[restart]
budget = { restarts = 5, within = "1h" }
backoff = { first = "10ms", max = "20ms" }
[commands]
start = { run = ["/bin/sh", "-c", "echo started >> starts; exit 1"], keep = true }
[[checker]]
name = "process"
process = { kept = "start" }
fall = 1
"#;

#[test]
fn an_application_that_spawns_and_dies_a_hundred_times_a_second_costs_little_and_is_given_up_in_time() {
    let root = Root::default();
    root.write("modules/restless.toml", RESTLESS);
    root.write("modules/mortal.toml", MORTAL);
    let mut scene = Scene::begin_on(root, Conditions::default(), "");
    scene.daemon.until_state("mortal", State::Failed);
    let starts = || fs::read_to_string(scene.root.path().join("starts")).unwrap_or_default().lines().count();
    assert_eq!(starts(), 6, "the first one, and as many as the budget has");
    scene.daemon.until_ready("restless");

    let (pid, quiet) = (scene.daemon.pid(), Usage::of(scene.daemon.pid()));
    let spent = processor_time(pid);
    let watched = Duration::from_secs(6);
    std::thread::sleep(watched);
    let spent = processor_time(pid).saturating_sub(spent);
    println!("{spent:?} of a processor in {watched:?}");
    assert!(spent < watched / 2, "{spent:?} of a processor in {watched:?}");
    eventually(&format!("it holds no more than it did: {quiet:?}"), || {
        let now = Usage::of(pid);
        (now.descriptors <= quiet.descriptors + 20 && now.threads <= quiet.threads + 2).then_some(())
    });
    let restless = scene.daemon.module("restless");
    assert_eq!((restless.state, restless.restarts), (State::Up, 0), "{restless:?}");
    assert_eq!(starts(), 6, "it stays given up");
    scene.answered("spawns and dies", &[200]);
}

/// A gigabyte, regardless of the speed of the disk and the daemon: 64 MiB, and the next as soon as the log is that
/// of a fresh start again.
const TALKER: &str = r#"
[commands]
start = { run = ["/bin/sh", "-c", "for part in $(seq 16); do head -c 67108864 /dev/zero | tr '\\0' x; while [ $(stat -c %s logs/talker.start.log) -gt 20000000 ]; do sleep 0.1; done; done; echo > said; exec sleep 600"], keep = true }
[[checker]]
name = "process"
process = { kept = "start" }
"#;

/// The amount that it writes at a time.
const PART: u64 = 64 << 20;

/// Five files of 10 MiB each, or half as much again if they were just growing.
const KEPT: u64 = 75 << 20;

#[test]
fn of_an_application_that_logs_a_gigabyte_fifty_mebibytes_are_kept() {
    let root = Root::default();
    root.write("modules/talker.toml", TALKER);
    let mut scene = Scene::begin_on(root, Conditions::default(), "");
    let logs = scene.root.path().join("logs");
    let mut most = 0;
    within(2 * PATIENCE, "it has said all it had to say", || {
        most = most.max(size(&logs));
        scene.root.path().join("said").exists().then_some(())
    });
    let left = eventually("what is left is as much as is kept", || {
        let left = size(&logs);
        (left <= KEPT).then_some(left)
    });
    println!("{} MiB at the most, {} MiB in the end", most >> 20, left >> 20);
    // At worst there is a part, and a copy of it is just being truncated.
    assert!(most <= KEPT + 2 * PART, "{most}");
    assert_eq!(scene.daemon.module("talker").restarts, 0);
    scene.answered("logs a gigabyte", &[200]);
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}
