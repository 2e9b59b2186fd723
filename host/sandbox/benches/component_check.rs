//! The cost of one check by a component.
//!
//! `cargo bench -p bellwether-sandbox --bench component_check`; to measure another guest, set
//! `BELLWETHER_BENCH_GUEST=FILE` (with `BELLWETHER_BENCH_CONFIG`, a JSON document, if it needs one). *inner* is the
//! run on the guest's thread (store, instance, call); *whole* is the time that the caller waits, including the
//! switch to that thread and back. With as many callers as threads, both threads are busy; with many callers, the
//! switches are hidden behind other runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_config::spec::LimitsSpec;
use bellwether_core::id::{CheckerName, ModuleName, NodeName};
use bellwether_sandbox::compile::Compiler;
use bellwether_sandbox::component::Component;
use bellwether_sandbox::facilities::NoModule;
use bellwether_sandbox::run::CheckRun;
use bellwether_sandbox::{Sandbox, StateHandle};

use bellwether_testing::guest;

const WARM_UP: usize = 2_000;
const CHECKS: usize = 100_000;
const CALLERS: [usize; 3] = [1, 2, 32];

fn main() -> anyhow::Result<()> {
    let config: Arc<str> =
        std::env::var("BELLWETHER_BENCH_CONFIG").unwrap_or_else(|_| "{}".to_owned()).into();
    let sandbox = Arc::new(Sandbox::new(&LimitsSpec::default(), Compiler::Own)?);
    println!("allocator: {}", sandbox.allocator());
    println!("guest        callers  inner p50 / p99 us   whole p50 / p99 us    checks/s");
    measure(&sandbox, "minimal", &guest::Guest::default().build(), &config)?;
    if let Ok(file) = std::env::var("BELLWETHER_BENCH_GUEST") {
        let bytes = std::fs::read(&file)?;
        measure(&sandbox, &format!("{} KB", bytes.len() / 1000), &bytes, &config)?;
    }
    Ok(())
}

fn measure(sandbox: &Arc<Sandbox>, name: &str, bytes: &[u8], config: &Arc<str>) -> anyhow::Result<()> {
    let component = sandbox.load(bytes)?;
    for callers in CALLERS {
        // Callers have a thread of their own, like the daemon's main task.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(calls(sandbox, &component, config, callers, WARM_UP));
        let start = Instant::now();
        let (mut inner, mut whole) = runtime.block_on(calls(sandbox, &component, config, callers, CHECKS));
        let rate = f64::from(u32::try_from(whole.len())?) / start.elapsed().as_secs_f64();
        let ((i50, i99), (w50, w99)) = (percentiles(&mut inner), percentiles(&mut whole));
        println!("{name:<12} {callers:>7}  {i50:>9.1} / {i99:<8.1}  {w50:>9.1} / {w99:<8.1}  {rate:>9.0}");
    }
    Ok(())
}

async fn calls(
    sandbox: &Arc<Sandbox>,
    component: &Component,
    config: &Arc<str>,
    callers: usize,
    checks: usize,
) -> (Vec<Duration>, Vec<Duration>) {
    let caller = || {
        let (sandbox, component, config) = (Arc::clone(sandbox), component.clone(), Arc::clone(config));
        async move {
            let run = template(config);
            let mut times = Vec::with_capacity(checks / callers);
            for n in 0..checks / callers {
                let start = Instant::now();
                let report = sandbox.check(&component, CheckRun { run: n as u64, ..run.clone() }).await;
                assert!(report.result.is_ok(), "{:?}: {}", report.result, report.written);
                times.push((report.took, start.elapsed()));
            }
            times
        }
    };
    let all = futures_util::future::join_all((0..callers).map(|_| caller())).await;
    all.into_iter().flatten().unzip()
}

fn template(config: Arc<str>) -> CheckRun {
    CheckRun {
        node: NodeName::new("node-1").expect("it is a name"),
        module: ModuleName::new("web").expect("it is a name"),
        checker: CheckerName::new("home-page").expect("it is a name"),
        run: 1,
        config,
        time: Duration::from_secs(1),
        limits: LimitsSpec::default().run,
        grants: Arc::default(),
        facilities: Arc::new(NoModule),
        state: StateHandle::default(),
    }
}

fn percentiles(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    (at(50), at(99))
}
