//! Damaged components are rejected or run within their limits; damaged machine code is never run.

use std::time::{Duration, Instant};

use super::CheckRun;
use super::{run, sandbox};
use crate::cache::Cache;
use bellwether_testing::guest::Guest;

/// The time limit of `describe` and of `check`: many of the damaged ones loop in one of them.
const TIMES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(50)];
/// The time includes compiling, on a busy machine.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn any_damaged_component_is_refused_or_runs_within_its_limits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sandbox = sandbox().describing_within(TIMES[0]);
    let seeds = [
        Guest::default().build(),
        Guest::checking(
            "(loop $l (call $log (i32.const 2) (i32.const 16) (i32.const 7)) (br $l)) unreachable",
        )
        .build(),
        Guest { world: "restart-script", plan: Some("unreachable"), ..Guest::default() }.build(),
    ];
    bellwether_testing::fuzz::run("components", &seeds, |bytes| {
        let begun = Instant::now();
        if let Ok(component) = sandbox.load(bytes) {
            let run = CheckRun { time: TIMES[1], ..run(0) };
            let report = runtime.block_on(sandbox.check(&component, run));
            assert!(!matches!(report.result, Err(super::Failure::HostBug(_))), "{:?}", report.result);
        }
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    });
}

#[test]
fn any_damaged_cache_entry_is_no_machine_code() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("compiled");
    let cache = Cache::open(&compiled, blake3::hash(b"engine")).unwrap();
    let (digest, code) = (blake3::hash(b"a component"), b"machine code of a component");
    cache.put(&digest, code);
    let entries = std::fs::read_dir(&compiled).unwrap().map(|entry| entry.unwrap().path());
    let entry = entries.filter(|path| path.extension().is_some_and(|end| end == "code")).last().unwrap();
    let whole = std::fs::read(&entry).unwrap();
    bellwether_testing::fuzz::run("cache entries", std::slice::from_ref(&whole), |bytes| {
        std::fs::write(&entry, bytes).unwrap();
        let found = cache.get(&digest);
        assert_eq!(found.is_some(), bytes == whole, "{bytes:?}");
        assert!(found.is_none_or(|found| found == code));
    });
}
