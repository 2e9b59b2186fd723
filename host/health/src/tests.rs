use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bellwether_core::id::{ModuleName, NodeName};
use bellwether_core::moment::Moment;
use bellwether_core::snapshot::ModuleView;
use bellwether_core::state::StateName;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use bellwether_testing::namespace;

mod multiplexed;
mod waiting;

const LOOPBACK: &str = "127.0.0.1:0";
/// Longer than any test takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn module(name: &str, state: StateName) -> Arc<ModuleView> {
    Arc::new(ModuleView {
        reason: "so it is".to_owned(),
        ..ModuleView::empty(ModuleName::new(name).unwrap(), state)
    })
}

fn snapshot(web: StateName) -> Arc<Snapshot> {
    let empty = Snapshot::empty(NodeName::new("node-1").unwrap(), Moment::default());
    Arc::new(Snapshot { modules: vec![module("db", StateName::Up), module("web", web)], ..empty })
}

/// A server with two agents (for `web` and for all), and its view.
struct Fixture {
    server: HealthServer,
    view: HealthView,
}

impl Fixture {
    fn new(web: StateName) -> Self {
        Self::with(snapshot(web), Opening::over())
    }

    /// The same for a daemon that has just started.
    fn opening(snapshot: Arc<Snapshot>, waited_for: Duration) -> Self {
        Self::with(snapshot, Opening::lasting(Clock::start(), waited_for))
    }

    fn with(snapshot: Arc<Snapshot>, opening: Opening) -> Self {
        Self::with_tls(snapshot, opening, None)
    }

    fn with_tls(snapshot: Arc<Snapshot>, opening: Opening, certificates: Option<Certificates>) -> Self {
        let view = HealthView {
            snapshot: Arc::new(ArcSwap::new(snapshot)),
            heartbeat: Heartbeat::default(),
            clock: Clock::start(),
            metrics: Metrics::default(),
            probers: Probers::default(),
            opening,
        };
        // In the future: the core counts as alive for the duration of a test.
        view.heartbeat.beat_at(view.clock.awake() + Duration::from_mins(10));
        let agents = [Some(ModuleName::new("web").unwrap()), None]
            .map(|module| Agent { module, owns: false })
            .map(|agent| AgentCheckSpec { listen: LOOPBACK.parse().unwrap(), agent });
        let (here, nothing) = (LOOPBACK.parse().unwrap(), Inherited::default());
        let server = HealthServer::take_over(here, &agents, view.clone(), certificates, &nothing);
        Self { server: server.unwrap().0, view }
    }

    fn stall(&self) {
        self.view.heartbeat.beat_at(Moment::from_micros(i64::MIN));
    }

    fn connect(&self) -> TcpStream {
        connect(self.server.local_addrs()[0])
    }

    /// Sends a request over a new connection and returns the whole response.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    fn status(&self, target: &str) -> u16 {
        let response = self.ask(&format!("GET {target} HTTP/1.0\r\n\r\n"));
        response["HTTP/1.1 ".len()..][..3].parse().unwrap()
    }

    fn agent(&self, which: usize, send: &[u8]) -> String {
        let mut stream = connect(self.server.local_addrs()[which]);
        stream.write_all(send).unwrap();
        let mut line = String::new();
        stream.read_to_string(&mut line).unwrap();
        line
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One response on a kept connection: its head and its body.
fn response(reader: &mut impl BufRead) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "closed within a response");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn every_path_has_its_answer() {
    let fixture = Fixture::new(StateName::Restarting);
    for (target, status) in [
        ("/health/db", 200),
        ("/health/web", 503),
        ("/health/other", 503),
        ("/health", 503),
        ("/", 503),
        ("/var/modules/db/ready.txt", 200),
        ("/var/modules/web/ready.txt", 404),
        ("/console", 404),
    ] {
        assert_eq!(fixture.status(target), status, "{target}");
    }
    let response = fixture.ask("GET /health/web HTTP/1.0\r\n\r\n");
    assert!(response.ends_with("\r\n\r\nnot ready: restarting: so it is\n"), "{response}");
}

#[test]
fn a_connection_is_kept_and_sees_a_new_snapshot_at_the_very_next_request() {
    let fixture = Fixture::new(StateName::Up);
    let mut stream = BufReader::new(fixture.connect());
    for state in [StateName::Up, StateName::Draining, StateName::Up, StateName::Failed] {
        fixture.view.snapshot.store(snapshot(state));
        stream.get_mut().write_all(b"GET /health/web HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let (head, body) = response(&mut stream);
        assert_eq!(head.starts_with("HTTP/1.1 200 OK\r\n"), state == StateName::Up, "{head}{body}");
    }
}

#[test]
fn pipelined_requests_and_single_bytes_are_answered() {
    let fixture = Fixture::new(StateName::Up);
    let mut stream = BufReader::new(fixture.connect());
    stream.get_mut().set_nodelay(true).unwrap();
    for byte in b"HEAD /health HTTP/1.1\r\n\r\n" {
        stream.get_mut().write_all(&[*byte]).unwrap();
    }
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).unwrap();
    }
    // It has no body: what follows is the next response.
    stream.get_mut().write_all(&b"GET /health/db HTTP/1.1\r\n\r\n".repeat(50)).unwrap();
    for _ in 0..50 {
        assert_eq!(response(&mut stream).1, "ok\n");
    }
}

/// More than all buffers on the path can hold, so that the server has to pause.
const REQUESTS: usize = 200_000;

#[test]
fn a_client_that_sends_much_and_reads_late_gets_every_answer() {
    let fixture = Fixture::new(StateName::Up);
    let stream = fixture.connect();
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let portion = b"GET /health/db HTTP/1.1\r\n\r\n".repeat(1_000);
        (0..REQUESTS / 1_000).try_for_each(|_| writer.write_all(&portion))
    });
    let mut reader = BufReader::new(stream);
    // While that one is being served, others are as well.
    for _ in 0..20 {
        assert_eq!(fixture.status("/health/db"), 200);
    }
    for _ in 0..REQUESTS {
        assert_eq!(response(&mut reader).1, "ok\n");
    }
    sender.join().unwrap().unwrap();
}

#[test]
fn a_client_that_has_said_all_is_still_answered() {
    let fixture = Fixture::new(StateName::Up);
    let mut stream = fixture.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("ok\n"), "{response}");
}

#[test]
fn a_refusal_arrives_although_the_client_goes_on_sending() {
    let fixture = Fixture::new(StateName::Up);
    let too_large = "GET /health HTTP/1.1\r\n".to_owned() + &"X: y\r\n".repeat(8_000);
    let body = format!("POST /health HTTP/1.1\r\nContent-Length: 30000\r\n\r\n{}", "x".repeat(30_000));
    for (request, refusal) in
        [(too_large, "HTTP/1.1 431 "), ("\0".repeat(40_000), "HTTP/1.1 400 "), (body, "HTTP/1.1 405 ")]
    {
        let refused = fixture.ask(&request);
        assert!(refused.starts_with(refusal), "{refused}");
    }
}

#[test]
fn a_stalled_core_turns_every_yes_into_no() {
    let fixture = Fixture::new(StateName::Up);
    assert_eq!(fixture.status("/health/web"), 200);
    assert_eq!(fixture.agent(1, b""), "up\n");
    fixture.stall();
    assert_eq!(fixture.status("/health/web"), 503);
    assert_eq!(fixture.status("/health"), 503);
    assert_eq!(fixture.status("/var/modules/web/ready.txt"), 404);
    assert_eq!(fixture.agent(1, b""), "down # the daemon's core has stalled\n");
    assert_eq!(fixture.agent(2, b""), "down # the daemon's core has stalled\n");
}

#[test]
fn an_agent_is_told_at_once_and_whatever_it_sends_is_ignored() {
    let fixture = Fixture::new(StateName::Draining);
    assert_eq!(fixture.agent(1, b""), "up drain\n");
    assert_eq!(fixture.agent(2, b""), "up drain\n");
    assert_eq!(fixture.agent(1, &b"GET / HTTP/1.0\r\n\r\n".repeat(100)), "up drain\n");
    fixture.view.snapshot.store(snapshot(StateName::Stopped));
    assert_eq!(fixture.agent(1, b"hello\n"), "stopped # stopped: so it is\n");
    assert_eq!(fixture.agent(2, b""), "stopped # web: stopped: so it is\n");
}

#[test]
fn a_report_is_given_to_those_who_ask_for_it() {
    let fixture = Fixture::new(StateName::Waiting);
    let response = fixture.ask("GET /health HTTP/1.0\r\nAccept: application/health+json\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.contains("\r\nContent-Type: application/health+json\r\n"), "{response}");
    let body = response.split_once("\r\n\r\n").unwrap().1;
    let report: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(report["status"], "fail");
    assert_eq!(report["output"], "web: waiting: so it is");
}

#[test]
fn two_thousand_idle_connections_do_not_keep_a_probe_out() {
    // Both ends of all connections are in this process.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let fixture = Fixture::new(StateName::Up);
    let mut idle: Vec<TcpStream> = Vec::new();
    for count in 0..2_000 {
        idle.push(fixture.connect());
        if count % 500 == 499 {
            assert_eq!(fixture.status("/health/web"), 200);
        }
    }
    // Those that were idle longest were closed, the newest are still served.
    assert_eq!(idle[0].read(&mut [0]).unwrap(), 0);
    let mut youngest = BufReader::new(idle.pop().unwrap());
    youngest.get_mut().write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(response(&mut youngest).1, "ok\n");
}

#[test]
fn connections_that_are_reset_at_any_moment_leave_the_others_alone() {
    let fixture = Fixture::new(StateName::Up);
    let request = b"GET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n";
    for length in 0..request.len() {
        let mut stream = fixture.connect();
        stream.write_all(&request[..length]).unwrap();
        // There is no time to linger: closing resets the connection.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(fixture.status("/health"), 200);
    assert!(fixture.server.is_running());
}

#[test]
fn a_client_that_never_finishes_its_request_is_dismissed() {
    let fixture = Fixture::new(StateName::Up);
    let mut stream = fixture.connect();
    stream.write_all(b"GET /health HTT").unwrap();
    // Closed by the deadline, which is well before the test's own time limit.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_address_in_use_is_told() {
    let taken = TcpListener::bind(LOOPBACK).unwrap();
    let view = Fixture::new(StateName::Up).view;
    let address = taken.local_addr().unwrap();
    let error = HealthServer::bind(address, &[], view).unwrap_err();
    assert!(matches!(error, BindError::InUse { address: at } if at == address), "{error}");
}

#[test]
fn an_address_that_is_not_here_yet_is_waited_for() {
    if !namespace::is_inside("tests::an_address_that_is_not_here_yet_is_waited_for") {
        return;
    }
    let view = Fixture::new(StateName::Up).view;
    // From a network that is reserved for documentation (RFC 5737).
    let waiting = HealthServer::bind("192.0.2.1:0".parse().unwrap(), &[], view).unwrap();
    assert_eq!(waiting.local_addrs()[0].ip().to_string(), "192.0.2.1");
}

#[test]
fn the_port_is_free_again_when_the_server_is_dropped() {
    let Fixture { server, view } = Fixture::new(StateName::Up);
    let address = server.local_addrs()[0];
    // A connection that is open in the meantime is closed.
    let mut stream = connect(address);
    stream.write_all(b"GET /hea").unwrap();
    drop(server);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    // A program that another test starts at this moment has a copy of the listener until it is loaded
    // (fork(2), then execve(2)).
    let until = Instant::now() + PATIENCE;
    let server = loop {
        match HealthServer::bind(address, &[], view.clone()) {
            Err(BindError::InUse { .. }) if Instant::now() < until => std::thread::yield_now(),
            bound => break bound.unwrap(),
        }
    };
    assert_eq!(server.local_addrs(), [address]);
}
