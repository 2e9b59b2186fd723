//! The cost of a health answer, compared with nginx and `HAProxy`.
//!
//! ```text
//! cargo bench -p bellwether-health --bench health_endpoint
//! ```
//! wrk sends requests to each of them in turn for some seconds, over kept connections and over a new connection
//! each time. The result is the CPU time of the answering thread per request: the rate says more about wrk. Each
//! round measures all three, and the ratios are computed within a round, because the speed of a machine varies.
//! `ROUNDS` and `SECONDS` in the environment change the duration. Needs nginx, haproxy and wrk.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bellwether_bus::metrics::Metrics;
use bellwether_core::id::{ModuleName, NodeName};
use bellwether_core::snapshot::{ModuleView, Snapshot};
use bellwether_core::state::StateName;
use bellwether_health::probers::Probers;
use bellwether_health::{HealthServer, HealthView, Opening};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Load {
    name: &'static str,
    connections: u32,
    new_each_time: bool,
}

const LOADS: [Load; 3] = [
    Load { name: "16 connections, kept", connections: 16, new_each_time: false },
    Load { name: "64 connections, kept", connections: 64, new_each_time: false },
    Load { name: "a new connection each", connections: 16, new_each_time: true },
];

fn main() -> Result<()> {
    let rounds: usize = from_environment("ROUNDS", 5)?;
    let seconds: u64 = from_environment("SECONDS", 3)?;
    let folder = tempfile::tempdir()?;
    let (_server, bellwether) = bellwether()?;
    let nginx = nginx(folder.path())?;
    let haproxy = haproxy(folder.path())?;
    let responders = [bellwether, nginx.responder(), haproxy.responder()];

    println!("CPU µs per request: median (least to most) of {rounds} rounds of {seconds} s");
    for load in &LOADS {
        let mut costs: [Vec<f64>; 3] = Default::default();
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            for (responder, costs) in responders.iter().zip(&mut costs) {
                costs.push(responder.cost(load, seconds)?);
            }
            ratios.push(costs[0][costs[0].len() - 1] / costs[1][costs[1].len() - 1]);
        }
        println!("{}", load.name);
        for (responder, costs) in responders.iter().zip(costs) {
            println!("  {:<12} {}", responder.name, summary(costs));
        }
        println!("  to nginx     {}", summary(ratios));
    }
    Ok(())
}

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> std::result::Result<T, T::Err> {
    std::env::var(name).map_or(Ok(default), |text| text.parse())
}

fn summary(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    format!("{:>6.2}  ({least:.2} to {most:.2})", values[values.len() / 2])
}

/// A server, and where its thread's times can be read.
struct Responder {
    name: &'static str,
    address: SocketAddr,
    schedstat: PathBuf,
}

impl Responder {
    /// CPU microseconds per request.
    fn cost(&self, load: &Load, seconds: u64) -> Result<f64> {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", &format!("-c{}", load.connections), &format!("-d{seconds}s")]);
        if load.new_each_time {
            wrk.args(["-H", "Connection: close"]);
        }
        let before = self.cpu()?;
        let output = wrk.arg(format!("http://{}/health/web", self.address)).output()?;
        let spent = self.cpu()?.saturating_sub(before);
        let text = String::from_utf8(output.stdout)?;
        if text.contains("Non-2xx") {
            return Err(format!("{} did not say yes:\n{text}", self.name).into());
        }
        let requests = text.lines().find(|line| line.contains(" requests in "));
        let requests = requests.and_then(|line| line.split_whitespace().next());
        let requests: u32 = requests.ok_or_else(|| format!("wrk said: {text}"))?.parse()?;
        Ok(spent.as_secs_f64() * 1e6 / f64::from(requests))
    }

    /// The first number is the time on a CPU, in nanoseconds
    /// (Documentation/scheduler/sched-stats.rst of the kernel).
    fn cpu(&self) -> Result<Duration> {
        let text = fs::read_to_string(&self.schedstat)?;
        let spent = text.split_whitespace().next().ok_or("an empty schedstat")?;
        Ok(Duration::from_nanos(spent.parse()?))
    }
}

fn bellwether() -> Result<(HealthServer, Responder)> {
    let clock = Clock::start();
    let module = ModuleView {
        reason: "all checkers are up".to_owned(),
        ..ModuleView::empty(ModuleName::new("web")?, StateName::Up)
    };
    let empty = Snapshot::empty(NodeName::new("node-1")?, clock.now());
    let snapshot = Snapshot { modules: vec![Arc::new(module)], ..empty };
    let view = HealthView {
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        heartbeat: Heartbeat::default(),
        clock,
        metrics: Metrics::default(),
        probers: Probers::default(),
        opening: Opening::over(),
    };
    // In the future: the core counts as alive for the duration of the benchmark.
    view.heartbeat.beat_at(clock.awake() + Duration::from_hours(1));
    let server = HealthServer::bind("127.0.0.1:0".parse()?, &[], view)?;
    let address = server.local_addrs()[0];
    // A thread sets its own name: once it answers, it has done so.
    let mut probe = TcpStream::connect(address)?;
    probe.write_all(b"GET /health/web HTTP/1.0\r\n\r\n")?;
    probe.read_to_end(&mut Vec::new())?;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "health" {
            let schedstat = task.join("schedstat");
            return Ok((server, Responder { name: "bellwether", address, schedstat }));
        }
    }
    Err("the health thread has no such name".into())
}

/// A program that is killed with the benchmark.
struct Peer {
    name: &'static str,
    address: SocketAddr,
    child: Child,
}

impl Peer {
    /// `configure` turns the address into the text of a configuration file.
    fn start(
        name: &'static str,
        folder: &Path,
        arguments: &[&str],
        configure: impl Fn(SocketAddr) -> String,
    ) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let file = folder.join(name);
        fs::write(&file, configure(address))?;
        let child = Command::new(name).args(arguments).arg(&file).stderr(Stdio::inherit()).spawn();
        let peer =
            Self { name, address, child: child.map_err(|error| format!("{name}: {error}; install it"))? };
        let patience = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > patience {
                return Err(format!("{name} does not listen on {address}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(peer)
    }

    fn responder(&self) -> Responder {
        let schedstat = PathBuf::from(format!("/proc/{}/schedstat", self.child.id()));
        Responder { name: self.name, address: self.address, schedstat }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Either may fail only because it has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One process, without logs, answering `return 200`, configured like Debian's nginx.
fn nginx(folder: &Path) -> Result<Peer> {
    let prefix = folder.display().to_string();
    Peer::start("nginx", folder, &["-p", &prefix, "-e", "stderr", "-c"], |address| {
        format!(
            "daemon off; master_process off; error_log stderr crit; pid {prefix}/nginx.pid;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; keepalive_requests 1000000000;
               client_body_temp_path {prefix}/b; proxy_temp_path {prefix}/p; fastcgi_temp_path {prefix}/f;
               uwsgi_temp_path {prefix}/u; scgi_temp_path {prefix}/s;
               server {{ listen {address} backlog=1024; location / {{ return 200 \"ok\\n\"; }} }}
             }}\n"
        )
    })
}

fn haproxy(folder: &Path) -> Result<Peer> {
    Peer::start("haproxy", folder, &["-db", "-f"], |address| {
        format!(
            "global\n  nbthread 1\n  maxconn 2000\n\
             defaults\n  mode http\n  timeout client 10s\n  timeout http-request 5s\n\
             frontend health\n  bind {address}\n\
             \x20 http-request return status 200 content-type text/plain string ok\n"
        )
    })
}
