//! A thousand versions of a component, one after the other, while it runs.

use std::time::{Duration, Instant};

use bellwether_tests::composed::{WITNESS, witness};
use bellwether_tests::control;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::probe::Probe;
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;
use bellwether_tests::web::Web;
use bellwether_tests::writing::Way;
use serde_json::Value;

/// `BELLWETHER_REPLACEMENTS` asks for another number.
const REPLACEMENTS: u32 = 1000;
/// The first ones warm the daemon up: what it holds after them, it may hold for ever.
const WARM: u32 = 100;
/// On top of that, in KiB.
const GROWTH: u64 = 24 << 10;

fn witness_of(daemon: &Daemon) -> Value {
    daemon.checker("web", "witness")["last"].clone()
}

fn measured(last: &Value, name: &str) -> Option<f64> {
    let measurements = last["measurements"].as_array()?;
    measurements.iter().find(|measurement| measurement["name"] == name)?["value"].as_f64()
}

/// Waits until a run of that version has been seen, and returns its number.
fn until_version(daemon: &Daemon, version: u32) -> f64 {
    eventually(&format!("version {version} runs; now {}", witness_of(daemon)), || {
        let last = witness_of(daemon);
        assert_ne!(last["status"], "fail", "{last}");
        (measured(&last, "version") == Some(f64::from(version))).then(|| measured(&last, "run"))?
    })
}

#[test]
fn a_thousand_replacements_lose_no_run_no_memory_of_the_checker_and_none_of_the_daemon() {
    let asked = std::env::var("BELLWETHER_REPLACEMENTS").ok().and_then(|number| number.parse().ok());
    let replacements = asked.unwrap_or(REPLACEMENTS).max(2 * WARM);
    let root = Root::default();
    root.write("checkers/witness.wasm", witness(0));
    Web::lay_out(&root).write(&root, WITNESS);
    let daemon = Daemon::run(root.path(), root.health);
    let ready = daemon.until_ready("web");
    let (begun, path) = (Instant::now(), root.path().join("checkers/witness.wasm"));
    let probe = Probe::begin(root.health, "/health/web", 50);
    let control = Probe::begin(control::server(), "/", 50);
    let mut run = until_version(&daemon, 0);
    let (first_run, mut warm) = (run, None);
    for version in 1..=replacements {
        let way = if version % 10 == 0 { Way::InPlace } else { Way::Rename };
        way.write(&path, &witness(version));
        let now = until_version(&daemon, version);
        assert!(now > run, "run {now} after {run}");
        run = now;
        if version == WARM {
            warm = Some(Usage::of(daemon.pid()));
        }
    }
    let (took, warm) = (begun.elapsed(), warm.expect("there are more replacements than that"));
    let end = eventually("what the daemon holds is as it was", || {
        let now = Usage::of(daemon.pid());
        let back = now.threads <= warm.threads + 3
            && now.descriptors <= warm.descriptors + 3
            && now.memory <= warm.memory + GROWTH;
        back.then_some(now)
    });
    let last = witness_of(&daemon);
    let gap = Duration::from_secs_f64(measured(&last, "longest-gap").expect("it is measured") / 1000.0);
    let (answers, control) = (probe.finish(), control.finish());
    println!(
        "{replacements} replacements in {took:?}, {} runs, longest gap {gap:?}; p99 of the health endpoint {:?}; warm {warm:?}, at the end {end:?}",
        run - first_run,
        answers.percentile(99)
    );
    assert_eq!(last["status"], "pass", "{last}");
    // When the machine stood still, everybody did.
    let allowed = Duration::from_secs(3) + 3 * control.percentile(100);
    assert!(gap < allowed, "{gap:?}, more than {allowed:?}");
    assert_eq!(answers.statuses.keys().collect::<Vec<_>>(), [&200], "{:?}", answers.statuses);
    let module = daemon.module("web");
    assert_eq!((&module["since"], &module["restarts"]), (&ready["since"], &0.into()), "{module}");
    let down = daemon.events().into_iter().find(|event| event["kind"] == "verdict" && event["to"] == "down");
    assert_eq!(down, None);
}
