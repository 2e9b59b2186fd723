//! A drain lasts as long as the present load balancers need: one that probes rarely gets as many answers as one
//! that probes all the time, and by the time the application stops it has stopped sending requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bellwether_tests::answers::State;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http;
use bellwether_tests::process::is_alive;
use bellwether_tests::root::Root;

/// So rarely that the shortest drain (15 s) is not enough for six answers.
const PACE: Duration = Duration::from_secs(4);
/// The minimum of six such intervals, with a tolerance for a machine that is late.
const NEEDED: f64 = 20.0;

/// Probes at an even interval, and counts the negative answers while the application runs.
struct Balancer {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Balancer {
    fn begin(root: &Root, application: u32) -> Self {
        let (stop, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted, health) = (Arc::clone(&stop), Arc::clone(&refused), root.health);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let answer = http::get(health, "/health/app");
                if answer.is_some_and(|answer| answer.status == 503) && is_alive(application) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::park_timeout(PACE);
            }
        });
        Self { stop, refused, thread: Some(thread) }
    }

    fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[test]
fn a_load_balancer_that_asks_rarely_is_told_six_times_before_the_application_stops() {
    let root = Root::default();
    let module = |health: &str| {
        format!("[commands]\nstart = {{ run = [\"/bin/sleep\", \"1001\"], keep = true }}\n{health}")
    };
    root.write("modules/app.toml", module(""));
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("app");
    let pid = daemon.processes("app")[0];
    let drain = daemon.module("app").drain_s;
    assert!((15.0..16.0).contains(&drain), "nothing asks rarely: {drain}");

    let balancer = Balancer::begin(&root, pid);
    eventually("its pace is known", || (daemon.module("app").drain_s >= NEEDED).then_some(()));
    // A time in the file is used, with a warning.
    root.write("modules/app.toml", module("[health]\ndrain = \"2s\"\n"));
    eventually("the file is in force", || (daemon.module("app").drain_s < 3.0).then_some(()));
    let doctor = daemon.client(&["doctor"]);
    let advice = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(advice.contains("module `app` drains for 2s, and a load balancer probes it every"), "{advice}");
    root.write("modules/app.toml", module("[health]\ndrain = \"auto\"\n"));
    eventually("the file is in force", || (daemon.module("app").drain_s >= NEEDED).then_some(()));

    let begun = Instant::now();
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
    assert!(!is_alive(pid));
    assert!(begun.elapsed().as_secs_f64() >= NEEDED, "{:?}", begun.elapsed());
    // Six on a machine that is never late.
    assert!(balancer.refused() >= 3, "told {} times", balancer.refused());
}

#[test]
fn programs_and_haproxy_learn_of_a_drain_in_their_own_way() {
    let root = Root::default();
    root.write(
        "modules/app.toml",
        "[commands]\nstart = { run = [\"/bin/sleep\", \"1001\"], keep = true }\n[health]\ndrain = \"1h\"\n",
    );
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("app");
    let ready = |arguments: &[&str]| {
        let output = daemon.client(arguments);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(ready(&["ready", "app"]), (Some(0), "ok\n".to_owned()));
    assert_eq!(ready(&["ready"]), (Some(0), "ok\n".to_owned()));
    assert_eq!(ready(&["ready", "other"]).0, Some(3));
    let status = |path: &str| http::get(root.health, path).map(|answer| answer.status);
    assert_eq!(status("/haproxy/app"), Some(200));
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Draining);
    assert_eq!(
        (status("/haproxy/app"), status("/haproxy"), status("/health/app")),
        (Some(404), Some(404), Some(503))
    );
    let (code, said) = ready(&["ready", "app"]);
    assert!(code == Some(3) && said.starts_with("not ready: draining"), "{code:?} {said}");
    daemon.kill();
    let output = daemon.client(&["ready", "app"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}
