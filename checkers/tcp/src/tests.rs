use super::*;
use bellwether_guest::parse_config;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// The time limit for what ends by itself: longer than a busy machine takes.
fn run() -> Run {
    Run::for_test().with_time_limit(Duration::from_secs(60))
}

/// A service that sends `greeting`, reads the request, sends `answer` and closes.
fn service(greeting: &'static str, answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(greeting.as_bytes()).unwrap();
        if !answer.is_empty() {
            let mut told = [0; 64];
            let length = peer.read(&mut told).unwrap();
            assert_eq!(&told[..length], b"PING\r\n");
            peer.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

fn config(address: &str, send: Option<&str>, expect: Option<&str>) -> Config {
    Config {
        address: address.into(),
        send: send.map(Into::into),
        send_bytes: None,
        expect: expect.map(Into::into),
        expect_bytes: None,
        expect_accept: true,
        tls: None,
    }
}

fn of_json(json: &str) -> Config {
    parse_config(json).unwrap()
}

#[test]
fn a_service_that_takes_the_connection_passes() {
    let address = service("", "");
    let seen = check(config(&address, None, None), &run());
    assert_eq!((seen.status, seen.summary), (Status::Pass, format!("connected to {address}")));
    let names: Vec<_> = seen.measurements.iter().map(|m| (m.name.as_str(), m.unit.as_str())).collect();
    assert_eq!(names, [("connect-time", "ms"), ("response-time", "ms")]);
    assert!(seen.measurements[0].value > 0.0);
}

#[test]
fn a_port_that_nobody_listens_on_fails_with_its_address() {
    // The port of a client: in use for as long as it is connected, so that no other test can listen there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = client.local_addr().unwrap().to_string();
    let seen = check(config(&address, None, None), &run());
    assert_eq!((seen.status, seen.summary), (Status::Fail, format!("{address} refused the connection")));
}

#[test]
fn the_right_answer_passes_and_another_fails() {
    let address = service("hello\n", "+PONG\r\n");
    let seen = check(config(&address, Some("PING\r\n"), Some("PONG")), &run());
    assert_eq!((seen.status, seen.summary), (Status::Pass, format!("{address} said `PONG`")));

    let address = service("", "-ERR no\r\n");
    let seen = check(config(&address, Some("PING\r\n"), Some("PONG")), &run());
    assert_eq!(
        (seen.status, seen.summary),
        (Status::Fail, format!("{address} said `-ERR no` instead of `PONG`"))
    );
}

#[test]
fn a_service_that_says_nothing_fails_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let run = Run::for_test().with_time_limit(Duration::from_millis(100));
    let seen = check(config(&address, None, Some("220")), &run);
    assert_eq!((seen.status, seen.summary), (Status::Fail, format!("no answer from {address} within 90ms")));
}

#[test]
fn a_service_that_says_too_little_fails_in_time() {
    // The next limit, if the machine is so busy that the time is over before anything was sent.
    for limit in [300, 3_000, 30_000].map(Duration::from_millis) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // Accepted and kept open, so that more could arrive. The checker may have disconnected.
        let held = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            drop(peer.write_all(b"421 busy"));
            peer
        });
        let run = Run::for_test().with_time_limit(limit);
        let within = run.working_time();
        let seen = check(config(&address, None, Some("220")), &run);
        assert_eq!(seen.status, Status::Fail, "{}", seen.summary);
        if seen.summary == format!("no answer from {address} within {within:?}") {
            // Whether it was accepted or not: the listener need not wait for it.
            drop(TcpStream::connect(&address));
            held.join().unwrap();
            continue;
        }
        let expected = format!("{address} said only `421 busy` and not `220` within {within:?}");
        assert_eq!(seen.summary, expected);
        held.join().unwrap();
        return;
    }
    panic!("nothing was ever said in time");
}

#[test]
fn a_service_that_closes_at_once_fails() {
    let address = service("", "");
    let seen = check(config(&address, None, Some("220")), &run());
    assert_eq!(seen.summary, format!("{address} closed the connection without saying `220`"));
}

#[test]
fn a_configuration_that_is_none_is_unknown() {
    let seen = check(config("localhost", None, None), &run());
    assert_eq!(seen.status, Status::Unknown);
    assert!(parse_config::<Config>("{}").unwrap_err().contains("`address`"));
}

#[test]
fn a_service_that_never_accepts_fails_although_the_system_takes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let queued = Acceptance { accepted: false, held_by: Some("redis-server 7 (stopped)".into()) };
    let told = || run().with_acceptance(&address, queued.clone());
    let seen = check(config(&address, None, None), &told());
    assert_eq!(seen.status, Status::Fail);
    let expected = format!(
        "the system completed the connection to {address}, and the service, redis-server 7 (stopped), \
         has not accepted it: it hangs or is stopped"
    );
    assert_eq!(seen.summary, expected);
    assert!(seen.attributes.contains(&("hang".to_owned(), "true".to_owned())), "{seen:?}");

    let json = format!(r#"{{"address": "{address}", "expect-accept": false}}"#);
    assert_eq!(check(of_json(&json), &told()).status, Status::Pass, "not unless it is configured");
    let accepted = run().with_acceptance(&address, Acceptance { accepted: true, held_by: None });
    assert_eq!(check(config(&address, None, None), &accepted).status, Status::Pass);
}

#[test]
fn bytes_that_are_no_text_are_sent_and_expected() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut told = [0; 4];
        peer.read_exact(&mut told).unwrap();
        assert_eq!(&told, b"\x00\xff\x01\r");
        peer.write_all(b"\xfe\xff\x00ok").unwrap();
    });
    let json = format!(
        r#"{{"address": "{address}", "send-bytes": "\\x00\\xff\\x01\\r", "expect-bytes": "\\xff\\x00ok"}}"#
    );
    let seen = check(of_json(&json), &run());
    assert_eq!(seen.status, Status::Pass, "{}", seen.summary);
}

#[test]
fn a_unix_socket_is_asked_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let service = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let answering = thread::spawn(move || {
        let (mut peer, _) = service.accept().unwrap();
        let mut told = [0; 6];
        peer.read_exact(&mut told).unwrap();
        peer.write_all(b"+PONG\r\n").unwrap();
    });
    let address = format!("unix:{}", path.display());
    let seen = check(config(&address, Some("PING\r\n"), Some("PONG")), &run());
    assert_eq!((seen.status, seen.summary), (Status::Pass, format!("{address} said `PONG`")));
    answering.join().unwrap();
    let seen = check(config(&address, None, None), &run());
    assert_eq!((seen.status, seen.summary), (Status::Fail, format!("{address} refused the connection")));
}

#[test]
fn a_udp_service_is_asked_and_must_answer() {
    let service = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut told = [0; 16];
        while let Ok((length, from)) = service.recv_from(&mut told) {
            assert_eq!(&told[..length], b"ping");
            service.send_to(b"pong", from).unwrap();
        }
    });
    let udp = format!("udp:{address}");
    let seen = check(config(&udp, Some("ping"), Some("pong")), &run());
    assert_eq!((seen.status, seen.summary), (Status::Pass, format!("{address} said `pong`")));
    let seen = check(config(&udp, Some("ping"), None), &run());
    assert_eq!((seen.status, seen.summary), (Status::Pass, format!("{address} answered")));
    let seen = check(config(&udp, Some("ping"), Some("other")), &run());
    assert_eq!(
        (seen.status, seen.summary),
        (Status::Fail, format!("{address} said `pong` instead of `other`"))
    );
}

#[test]
fn settings_that_contradict_each_other_are_unknown() {
    for (json, words) in [
        (r#"{"address": "a:1", "send": "x", "send-bytes": "x"}"#, "both `send` and `send-bytes`"),
        (r#"{"address": "a:1", "expect": "x", "expect-bytes": "x"}"#, "both `expect` and `expect-bytes`"),
        (r#"{"address": "unix:/a", "tls": {}}"#, "`tls` needs TCP"),
        (r#"{"address": "udp:a:1"}"#, "give something to `send`"),
    ] {
        let seen = check(of_json(json), &run());
        assert!(seen.status == Status::Unknown && seen.summary.contains(words), "{json}: {}", seen.summary);
    }
}
