//! The time from the death of a kept process until it is reported, and until its successor runs: `cargo bench -p
//! bellwether-supervisor --bench death_to_restart`.
//!
//! Set `BALLAST_MIB` to see that the time does not grow with the memory of the
//! daemon (it would if processes were started by fork).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwether_config::spec::{ProcessBounds, ProcessSpec};
use bellwether_core::id::{CommandName, ModuleName, NodeName};
use bellwether_core::plan::Signal;
use bellwether_os::clock::Clock;
use bellwether_os::process::find::Find;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::pidfd::PidFd;
use bellwether_os::process::table::{ProcessTable, newest_pid};
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::command::CommandSpec;
use bellwether_os::spawn::execution::Execution;
use bellwether_os::spawn::gate::Launcher;
use bellwether_supervisor::act::kept::Kept;
use bellwether_supervisor::observe::process::{ProcessContext, watch_processes};

const ROUNDS: usize = 200;

fn main() -> Result<()> {
    // `cargo test --benches` checks that it runs, not how fast.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 3 };
    let mebibytes = std::env::var("BALLAST_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(0usize);
    let ballast = vec![1u8; mebibytes << 20];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(rounds))?;
    runtime.block_on(scans(rounds))?;
    println!(
        "with {mebibytes} MiB of ballast ({})",
        ballast.iter().map(|byte| usize::from(*byte)).sum::<usize>() >> 20
    );
    Ok(())
}

async fn measure(rounds: usize) -> Result<()> {
    let root = tempfile::tempdir()?;
    let (module, command) = (ModuleName::new("bench")?, CommandName::new("app")?);
    let (clock, table, states) = (Clock::start(), ProcessTable::default(), KeptTable::default());
    let home =
        Home { root: root.path().to_owned(), node: NodeName::new("bench")?, launcher: Launcher::Nobody };
    let kept = Kept::open(home, clock, table.clone(), states.clone()).await?;
    let spec = CommandSpec {
        run: vec!["/bin/sleep".into(), "600".into()],
        keep: true,
        timeout: Duration::from_secs(10),
        leftovers: CommandSpec::LEFTOVERS,
        env: BTreeMap::new(),
        dir: None,
        arguments: None,
        execution: Execution::default(),
    };
    let find = Find::Kept(command.clone());
    let watched = ProcessSpec {
        find,
        at_least: 1,
        at_most: None,
        containers: false,
        of: bellwether_os::process::find::Of::Host,
        bounds: ProcessBounds::default(),
    };
    let context = ProcessContext { clock, table, kept: states, module: module.clone() };
    let (out, mut seen) = tokio::sync::mpsc::channel(16);
    let watch = tokio::spawn(watch_processes(watched, Duration::from_hours(1), false, context, out));

    let mut id = kept.start(&module, &command, &spec).await?;
    let (mut told, mut observed, mut started) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        // Wait until everything is idle, as it is when an application dies.
        tokio::time::sleep(Duration::from_millis(10)).await;
        while seen.try_recv().is_ok() {}
        let mut state = kept.subscribe(&module, &command);
        let process = PidFd::open_exact(&id)?.context("the kept process is gone")?;
        let began = Instant::now();
        process.signal(Signal::Kill)?;
        state.wait_for(|state| state.running().is_none()).await?;
        told.push(began.elapsed());
        seen.recv().await.context("the watch has ended")?;
        observed.push(began.elapsed());
        id = kept.start(&module, &command, &spec).await?;
        started.push(began.elapsed());
    }
    kept.kill_all(&module).await?;
    watch.abort();
    ensure!(!id.still_alive(), "the last process is left");
    println!("from kill -9 over {rounds} rounds, p50 / p99:");
    print("to the change of the watch channel", &mut told);
    print("to the observation", &mut observed);
    print("to the successor's program running", &mut started);
    Ok(())
}

async fn scans(rounds: usize) -> Result<()> {
    let table = ProcessTable::default();
    let (mut scans, mut questions) = (Vec::new(), Vec::new());
    let mut count = 0;
    for _ in 0..rounds {
        let began = Instant::now();
        count = table.scan(Duration::ZERO).await?.living().count();
        scans.push(began.elapsed());
        let began = Instant::now();
        newest_pid()?;
        questions.push(began.elapsed());
    }
    println!("with {count} processes, p50 / p99:");
    print("a scan of all of them", &mut scans);
    print("the question whether there is a new one", &mut questions);
    Ok(())
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    println!("  {what}: {:?} / {:?}", at(50), at(99));
}
