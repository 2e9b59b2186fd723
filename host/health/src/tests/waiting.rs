//! Requests that cannot be answered correctly yet have to wait.

use super::*;

fn empty() -> Arc<Snapshot> {
    Arc::new(Snapshot::empty(NodeName::new("node-1").unwrap(), Moment::default()))
}

/// Requests the state of `web` over HTTP and from its agent. Both requests have been accepted, and are waiting,
/// when this returns.
fn ask(fixture: &Fixture) -> (TcpStream, TcpStream) {
    let mut http = fixture.connect();
    http.write_all(b"GET /health/web HTTP/1.0\r\n\r\n").unwrap();
    let agent = connect(fixture.server.local_addrs()[1]);
    // A later client that gets an answer was accepted later, or the others have been examined by then.
    assert_eq!(fixture.status("/elsewhere"), 404);
    (http, agent)
}

fn heard(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn has_heard_nothing(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn nothing_is_said_before_the_application_has_been_looked_at() {
    let fixture = Fixture::opening(empty(), PATIENCE);
    let (http, agent) = ask(&fixture);
    // It is loaded and has been checked.
    let looking = Snapshot {
        looking: vec![ModuleName::new("web").unwrap()],
        ..(*snapshot(StateName::Starting)).clone()
    };
    fixture.view.snapshot.store(Arc::new(looking));
    fixture.view.opening.loaded();
    let (later, _) = ask(&fixture);
    // All of these would be wrong.
    assert!(has_heard_nothing(&http) && has_heard_nothing(&agent) && has_heard_nothing(&later));
    assert_eq!(fixture.status("/health/other"), 503, "of others there is nothing more to know");
    fixture.view.snapshot.store(snapshot(StateName::Up));
    for stream in [http, later] {
        let said = heard(stream);
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    }
    assert_eq!(heard(agent), "up\n");
}

#[test]
fn who_waits_for_too_long_is_told_that_the_daemon_is_starting() {
    let fixture = Fixture::opening(empty(), Duration::from_millis(200));
    let (http, agent) = ask(&fixture);
    assert!(heard(http).ends_with(
        "not ready: the daemon is starting: it is not known yet whether the application serves\n"
    ));
    assert!(heard(agent).starts_with("down # the daemon is starting"));
}

#[test]
fn a_connection_that_is_kept_goes_on_after_it_has_waited() {
    let fixture = Fixture::opening(snapshot(StateName::Up), PATIENCE);
    let mut stream = BufReader::new(fixture.connect());
    // The first is answered already, the second not before all modules are loaded.
    let requests = b"GET /health/web HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n";
    stream.get_mut().write_all(requests).unwrap();
    assert_eq!(response(&mut stream).1, "ok\n");
    stream.get_mut().write_all(b"GET /health/db HTTP/1.1\r\n\r\n").unwrap();
    fixture.view.opening.loaded();
    for _ in 0..2 {
        assert_eq!(response(&mut stream).1, "ok\n");
    }
    stream.get_mut().write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(response(&mut stream).1, "ok\n");
}

#[test]
fn after_a_pause_the_picture_from_before_it_is_not_believed() {
    let fixture = Fixture::new(StateName::Up);
    let now = fixture.view.clock.awake();
    // The last beat was a second ago, and the snapshot is just as old. The core continues, a little late.
    fixture.view.heartbeat.beat_at(now - Duration::from_secs(1));
    let (http, agent) = ask(&fixture);
    fixture.view.snapshot.store(snapshot(StateName::Failed));
    fixture.view.heartbeat.beat(fixture.view.clock);
    assert!(heard(http).starts_with("HTTP/1.1 503 "));
    // On a machine that is too busy it is later still, and counts as stalled.
    assert!(heard(agent).starts_with("down # "));
}

#[test]
fn who_was_accepted_is_answered_when_the_daemon_ends() {
    let fixture = Fixture::new(StateName::Up);
    let mut stream = fixture.connect();
    // They are accepted before this one is answered.
    assert_eq!(fixture.status("/health/web"), 200);
    let ending = std::thread::spawn(move || drop(fixture.server));
    stream.write_all(b"GET /health/web HTTP/1.0\r\n\r\n").unwrap();
    assert!(heard(stream).starts_with("HTTP/1.1 200 "));
    ending.join().unwrap();
}
