//! The effect of browsers on the health endpoint and the checks, while a module changes repeatedly: without
//! browsers; with browsers on the live stream of another daemon on this machine, which shows the load of the
//! machine itself; with browsers on the stream of the measured daemon; and with browsers that also reload their
//! page. Side by side, round by round.
//!
//! ```console
//! $ cargo build --release
//! $ BELLWETHER_BINARY=target/release/bellwether cargo bench -p bellwether-tests --bench console_load
//! ```
//! `ROUNDS` (9), `SECONDS` (4) and `BROWSERS` (200) in the environment change the duration. The ratios are computed
//! within a round, because the speed of a machine varies.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bellwether_tests::api;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::usage;
use bellwether_tests::web::Web;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The interval between two requests to the health endpoint.
const PACE: Duration = Duration::from_millis(2);
/// The interval between two changes of the module: shorter than that of a browser's events.
const CHANGE: Duration = Duration::from_millis(150);
/// The interval between two reads of the checkers' observations; they run less often.
const LOOK: Duration = Duration::from_millis(100);
/// The interval at which a browser reloads its page, when only checkers have changed.
const PAGE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browsers {
    None,
    OfAnother,
    OnTheStream,
    WithPages,
}

const KINDS: [Browsers; 4] =
    [Browsers::None, Browsers::OfAnother, Browsers::OnTheStream, Browsers::WithPages];

fn main() {
    let rounds = from_environment("ROUNDS", 9);
    let time = Duration::from_secs(from_environment("SECONDS", 4).try_into().expect("some seconds"));
    let browsers = from_environment("BROWSERS", 200);
    let asked = Node::lay_out();
    let another = Node::lay_out();
    println!(
        "{browsers} browsers, {rounds} rounds of {} × {time:?}; the daemon is process {}",
        KINDS.len(),
        asked.daemon.pid()
    );

    let mut seen: Vec<[Measured; KINDS.len()]> = Vec::new();
    for round in 0..rounds {
        let mut measured = [Measured::default(); KINDS.len()];
        // The order alternates, so that none always comes first.
        for turn in 0..KINDS.len() {
            let index = (round + turn) % KINDS.len();
            let kind = KINDS[index];
            let visited = if kind == Browsers::OfAnother { &another } else { &asked };
            let crowd = Crowd::open(visited, browsers, kind);
            measured[index] = measure(&asked, &another, time);
            measured[index].told = crowd.close(browsers);
        }
        seen.push(measured);
    }
    report(&seen);
}

/// A daemon with a module that has checkers and one that changes.
struct Node {
    daemon: Daemon,
    root: Root,
    token: String,
}

impl Node {
    fn lay_out() -> Self {
        let root = Root::default();
        let web = Web::lay_out(&root);
        web.write(&root, &(0..5).map(|number| checker(&web, number)).collect::<String>());
        let restless = Web { address: free_address() };
        root.write("modules/restless.toml", restless.file(""));
        let daemon = Daemon::run(root.path(), root.health);
        daemon.until_ready("web");
        daemon.until_ready("restless");
        let token = daemon.token("browsers", "monitor", &[]);
        Self { daemon, root, token }
    }
}

fn from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Another `http` checker of the module.
fn checker(web: &Web, number: usize) -> String {
    let address = web.address;
    format!(
        r#"
[[checker]]
name = "http-{number}"
component = "http"
interval = "200ms"
timeout = "10s"
config = {{ url = "http://{address}/" }}
grant = {{ connect = ["{address}"] }}
"#
    )
}

/// The measurements in a part of a round. Times in microseconds.
#[derive(Debug, Default, Clone, Copy)]
struct Measured {
    health_p50: f64,
    health_p99: f64,
    check_p50: f64,
    check_p99: f64,
    /// Of one processor, in percent.
    cpu: f64,
    /// The number of events per browser and second.
    told: f64,
}

/// The other daemon has the same load in every part.
fn measure(asked: &Node, another: &Node, time: Duration) -> Measured {
    let over = Arc::new(AtomicBool::new(false));
    let restless = [asked, another].map(|node| spawn_restless(&node.root, &over));
    let watcher = spawn_watcher(&asked.root, &over);
    let before = usage::cpu(asked.daemon.pid());
    let mut health = ask_health(asked.root.health, time);
    let spent = usage::cpu(asked.daemon.pid()).saturating_sub(before);
    over.store(true, Ordering::Relaxed);
    for thread in restless {
        thread.join().expect("it changes until it is told to end");
    }
    let mut checks = watcher.join().expect("it looks until it is told to end");
    Measured {
        health_p50: quantile(&mut health, 0.5),
        health_p99: quantile(&mut health, 0.99),
        check_p50: quantile(&mut checks, 0.5),
        check_p99: quantile(&mut checks, 0.99),
        cpu: spent.as_secs_f64() / time.as_secs_f64() * 100.0,
        told: 0.0,
    }
}

/// Suspends a module and resumes it, repeatedly.
fn spawn_restless(root: &Root, over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (path, over) = (root.path().to_owned(), Arc::clone(over));
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            for command in ["suspend", "resume"] {
                let told = api::ask(&path, "POST", &format!("/modules/restless/{command}"));
                assert!(told.as_ref().is_some_and(|told| told.status == 200), "{told:?}");
                thread::sleep(CHANGE);
            }
        }
    })
}

/// Collects the duration of each run of a checker component, in microseconds.
fn spawn_watcher(root: &Root, over: &Arc<AtomicBool>) -> JoinHandle<Vec<f64>> {
    let (path, over) = (root.path().to_owned(), Arc::clone(over));
    thread::spawn(move || {
        let (mut seen, mut took) = (BTreeSet::new(), Vec::new());
        while !over.load(Ordering::Relaxed) {
            let module = api::module(&path, "web").expect("the daemon answers");
            for checker in module.checkers.into_iter().filter(|checker| checker.kind == "component") {
                let Some(last) = checker.last else { continue };
                if seen.insert((checker.name, last.at)) {
                    took.push(Duration::from_micros(last.took_us).as_secs_f64() * 1e6);
                }
            }
            thread::sleep(LOOK);
        }
        took
    })
}

/// Sends requests repeatedly on one connection; the times in microseconds.
fn ask_health(health: SocketAddr, time: Duration) -> Vec<f64> {
    let mut stream = TcpStream::connect(health).expect("the health endpoint");
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let (begun, mut times, mut answer) = (Instant::now(), Vec::new(), [0; 1024]);
    while begun.elapsed() < time {
        let asked = Instant::now();
        stream.write_all(b"GET /health/web HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
        let length = stream.read(&mut answer).expect("an answer");
        times.push(asked.elapsed().as_secs_f64() * 1e6);
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "the module that does not change is ready");
        thread::sleep(PACE);
    }
    times
}

/// Browsers, read by one thread, so that their own cost is small and constant.
struct Crowd {
    opened: Instant,
    over: Arc<AtomicBool>,
    readers: Vec<JoinHandle<usize>>,
}

impl Crowd {
    fn open(visited: &Node, browsers: usize, kind: Browsers) -> Self {
        let (console, token) = (visited.daemon.console(), visited.token.as_str());
        let over = Arc::new(AtomicBool::new(false));
        let mut readers = Vec::new();
        if kind != Browsers::None {
            let streams =
                (0..browsers).map(|_| ask(console, token, "/api/v1/stream", "keep-alive")).collect();
            let over = Arc::clone(&over);
            readers.push(thread::spawn(move || read_streams(streams, &over)));
        }
        if kind == Browsers::WithPages {
            let (over, token) = (Arc::clone(&over), token.to_owned());
            readers.push(thread::spawn(move || load_pages(console, &token, browsers, &over)));
        }
        Self { opened: Instant::now(), over, readers }
    }

    /// The number of events per browser and second.
    fn close(self, browsers: usize) -> f64 {
        let open = self.opened.elapsed();
        self.over.store(true, Ordering::Relaxed);
        let readers = self.readers.into_iter();
        let told: usize =
            readers.map(|reader| reader.join().expect("it reads until it is told to end")).sum();
        #[expect(clippy::cast_precision_loss)]
        let each = told as f64 / browsers as f64;
        each / open.as_secs_f64()
    }
}

fn ask(console: SocketAddr, token: &str, path: &str, connection: &str) -> TcpStream {
    let mut stream = TcpStream::connect(console).expect("the console listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: {connection}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("a request");
    stream
}

fn read_streams(mut streams: Vec<TcpStream>, over: &AtomicBool) -> usize {
    for stream in &mut streams {
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200", "every browser has its stream");
        stream.set_nonblocking(true).expect("it can be read with others");
    }
    let (mut told, mut buffer) = (0, [0; 16 << 10]);
    while !over.load(Ordering::Relaxed) {
        let mut waiting: Vec<PollFd<'_>> =
            streams.iter().map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
        let soon = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        poll(&mut waiting, Some(&soon)).expect("they can be waited for");
        let ready: Vec<bool> = waiting.iter().map(|one| !one.revents().is_empty()).collect();
        for (stream, _) in streams.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            match stream.read(&mut buffer) {
                Ok(0) => panic!("a stream has ended"),
                Ok(length) => {
                    let word = b"event: snapshot";
                    told += buffer[..length].windows(word.len()).filter(|found| found == word).count();
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
    }
    told
}

/// Each browser reloads its page at its time, over a connection that all of them share.
fn load_pages(console: SocketAddr, token: &str, browsers: usize, over: &AtomicBool) -> usize {
    let pause = PAGE / u32::try_from(browsers.max(1)).expect("not so many");
    let mut buffer = vec![0; 1 << 20];
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut stream = ask(console, token, "/", "close");
        let mut length = 0;
        while let Ok(read @ 1..) = stream.read(&mut buffer[length..]) {
            length += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "a page is answered");
        thread::sleep(pause.saturating_sub(began.elapsed()));
    }
    0
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let index = (values.len().saturating_sub(1) as f64 * share) as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// The median, the minimum and the maximum.
fn summary(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    let median = quantile(&mut values, 0.5);
    let [least, most] = [values.first(), values.last()].map(|value| value.copied().unwrap_or(f64::NAN));
    format!("{median:>9.2}  ({least:.2} to {most:.2})")
}

/// One of the measurements.
type Number = fn(&Measured) -> f64;

fn report(seen: &[[Measured; KINDS.len()]]) {
    let rows: [(&str, Number); 6] = [
        ("health p50, µs", |m| m.health_p50),
        ("health p99, µs", |m| m.health_p99),
        ("checks p50, µs", |m| m.check_p50),
        ("checks p99, µs", |m| m.check_p99),
        ("processor, %", |m| m.cpu),
        ("changes told to each browser a second", |m| m.told),
    ];
    for (title, value) in rows {
        println!("{title}");
        for (index, kind) in KINDS.iter().enumerate() {
            let values = summary(seen.iter().map(|round| value(&round[index])));
            let kind = format!("{kind:?}");
            print!("  {kind:<12} {values:<40}");
            for (base, name) in ["none", "another"].into_iter().enumerate().filter(|(base, _)| *base < index)
            {
                let ratios = seen.iter().map(|round| value(&round[index]) / value(&round[base]));
                let ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
                if !ratios.is_empty() {
                    print!("to {name} {:<28}", summary(ratios.into_iter()));
                }
            }
            println!();
        }
    }
}
