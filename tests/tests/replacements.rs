//! Version after version of a component, one after the other, while it runs.
//!
//! Every run activates 100 of them, a long one (`BELLWETHER_LONG=1`) a thousand, and `BELLWETHER_REPLACEMENTS` sets
//! another number. A hundred show that no run and no state of the checker is lost, and a leak of a thread, a
//! descriptor or half a MiB for each replacement; a leak of a few KiB at a time shows in a thousand.

use std::time::{Duration, Instant};

use bellwether_tests::answers::{Event, Observation, Outcome};
use bellwether_tests::composed::{WITNESS, witness};
use bellwether_tests::control;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually, wait};
use bellwether_tests::long;
use bellwether_tests::probe::Probe;
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;
use bellwether_tests::web::Web;
use bellwether_tests::writing::Way;

const REPLACEMENTS: u64 = 100;
const REPLACEMENTS_OF_A_LONG_RUN: u64 = 1000;
/// The first ones, at most half of all, warm up the daemon: the resources that it has after them are allowed
/// permanently.
const WARM: u32 = 100;
/// In addition to that, in KiB.
const GROWTH: u64 = 24 << 10;

fn witness_of(daemon: &Daemon) -> Option<Observation> {
    daemon.last("web", "witness")
}

/// Waits until a run of that version has been seen, and returns its number.
fn until_version(daemon: &Daemon, version: u32) -> f64 {
    let run = wait(PATIENCE, || {
        let last = witness_of(daemon)?;
        assert_ne!(last.status, Outcome::Fail, "{last:?}");
        (last.measured("version") == Some(f64::from(version))).then(|| last.measured("run"))?
    });
    run.unwrap_or_else(|| panic!("version {version} does not run, but {:?}", witness_of(daemon)))
}

#[test]
fn replacements_lose_no_run_no_memory_of_the_checker_and_none_of_the_daemon() {
    let asked = long::amount("BELLWETHER_REPLACEMENTS", REPLACEMENTS, REPLACEMENTS_OF_A_LONG_RUN);
    let replacements = u32::try_from(asked).expect("not so many").max(2);
    let warm_from = WARM.min(replacements / 2);
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
        if version == warm_from {
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
    let last = witness_of(&daemon).expect("it has run");
    let gap = Duration::from_secs_f64(last.measured("longest-gap").expect("it is measured") / 1000.0);
    let (answers, control) = (probe.finish(), control.finish());
    println!(
        "{replacements} replacements in {took:?}, {} runs, longest gap {gap:?}; p99 of the health endpoint {:?}; warm {warm:?}, at the end {end:?}",
        run - first_run,
        answers.percentile(99)
    );
    assert_eq!(last.status, Outcome::Pass, "{last:?}");
    // When the machine stood still, every process did.
    let allowed = Duration::from_secs(3) + 3 * control.percentile(100);
    assert!(gap < allowed, "{gap:?}, more than {allowed:?}");
    assert_eq!(answers.statuses.keys().collect::<Vec<_>>(), [&200], "{:?}", answers.statuses);
    let module = daemon.module("web");
    assert_eq!((&module.since, module.restarts), (&ready.since, 0), "{module:?}");
    let down = daemon.events().into_iter().find(Event::is_down);
    assert_eq!(down, None);
}
