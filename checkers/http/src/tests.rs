use super::*;
use bellwether_guest::{config_schema, parse_config};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The time limit for what ends by itself: longer than a busy machine takes.
const AMPLE: Duration = Duration::from_secs(60);

/// A service for one request: it gets the request's lines and the connection.
fn service(answer: impl FnOnce(Vec<String>, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let lines = BufReader::new(peer.try_clone().unwrap()).lines().map_while(Result::ok);
        let request = lines.take_while(|line| !line.is_empty()).collect();
        answer(request, &mut peer);
    });
    format!("http://{address}/")
}

fn says(answer: &'static str) -> String {
    // The checker may have read enough and disconnected.
    service(move |_, peer| drop(peer.write_all(answer.as_bytes())))
}

/// `json`: the configuration besides the URL.
fn look(url: &str, json: &str, time_limit: Duration) -> Observation {
    let config = parse_config(&format!(r#"{{"url": "{url}"{json}}}"#)).unwrap();
    check(config, &Run::for_test().with_time_limit(time_limit))
}

fn seen(url: &str, json: &str) -> (Status, String) {
    let seen = look(url, json, AMPLE);
    (seen.status, seen.summary)
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

#[test]
fn the_right_status_passes_and_another_fails() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let error = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(seen(&says(ok), ""), (Status::Pass, "answered 200".into()));
    assert_eq!(seen(&says(error), ""), (Status::Fail, "answered 500 instead of 200".into()));
    assert_eq!(seen(&says(error), r#", "expect-status": [200, 500]"#), (Status::Pass, "answered 500".into()));
    let expected = "answered 500 instead of 200, 204 or 301";
    assert_eq!(seen(&says(error), r#", "expect-status": [200, 204, 301]"#), (Status::Fail, expected.into()));
}

#[test]
fn the_response_time_is_measured() {
    let seen = look(&says("HTTP/1.1 200 OK\r\n\r\n"), "", AMPLE);
    assert_eq!(
        (seen.measurements[0].name.as_str(), seen.measurements[0].unit.as_str()),
        ("response-time", "ms")
    );
    assert!(seen.measurements[0].value > 0.0);
}

#[test]
fn the_request_is_what_was_configured() {
    let (tell, told) = mpsc::channel();
    let url = service(move |request, peer| {
        tell.send(request).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    });
    let path = format!("{url}status?deep=1");
    let json = r#", "method": "OPTIONS", "headers": {"X-Probe": "yes"}"#;
    assert_eq!(seen(&path, json).0, Status::Pass);
    let request = told.recv().unwrap();
    assert_eq!(request[0], "OPTIONS /status?deep=1 HTTP/1.1");
    assert!(request.contains(&format!("Host: {}", address(&url))), "{request:?}");
    assert!(request.contains(&"X-Probe: yes".to_owned()), "{request:?}");
}

#[test]
fn the_text_is_found_across_chunks_and_missed_where_it_is_not() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n";
    let json = r#", "expect-body": "is well""#;
    assert_eq!(seen(&says(chunked), json), (Status::Pass, "answered 200".into()));
    let other = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope";
    assert_eq!(seen(&says(other), json), (Status::Fail, "answered 200 without the text `is well`".into()));
}

#[test]
fn a_service_that_hangs_fails_within_the_time_and_is_named() {
    // The listener accepts only by its backlog, like a stopped process.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = look(&format!("http://{address}/"), "", Duration::from_millis(100));
    assert_eq!((seen.status, seen.summary), (Status::Fail, format!("no answer from {address} within 90ms")));
}

#[test]
fn a_service_that_stops_in_the_middle_fails_within_the_time() {
    let slow = |answer: &'static str| {
        service(move |_, peer| {
            // The checker may disconnect before it sends anything.
            drop(peer.write_all(answer.as_bytes()));
            // Kept open until the checker disconnects.
            let _ = peer.set_read_timeout(Some(AMPLE));
            let _ = std::io::Read::read(peer, &mut [0; 1]);
        })
    };
    let url = slow("HTTP/1.1 200 OK\r\nContent-");
    let seen = look(&url, "", Duration::from_millis(200));
    let expected = format!("no answer from {} within 180ms", address(&url));
    assert_eq!((seen.status, seen.summary), (Status::Fail, expected));

    // The next limit, if the machine is so busy that the time is over before anything has arrived.
    for (limit, within) in [(200, "180ms"), (2_000, "1.9s"), (20_000, "19.9s")] {
        let url = slow("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        let seen = look(&url, r#", "expect-body": "half""#, Duration::from_millis(limit));
        if seen.summary == format!("no answer from {} within {within}", address(&url)) {
            continue;
        }
        let expected = format!("answered 200, and the body did not end within {within}");
        assert_eq!((seen.status, seen.summary), (Status::Fail, expected));
        return;
    }
    panic!("nothing has ever come in time");
}

#[test]
fn a_service_that_answers_slowly_but_in_time_passes() {
    // Byte by byte: many reads make one response.
    let url = service(|_, peer| {
        peer.set_nodelay(true).unwrap();
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell" {
            peer.write_all(&[*byte]).unwrap();
            thread::yield_now();
        }
    });
    assert_eq!(seen(&url, r#", "expect-body": "well""#), (Status::Pass, "answered 200".into()));
}

#[test]
fn no_service_and_no_http_fail() {
    // The port of a client: in use for as long as it is connected, so that no other test can listen there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let gone = client.local_addr().unwrap();
    let refused = format!("{gone} refused the connection");
    assert_eq!(seen(&format!("http://{gone}/"), ""), (Status::Fail, refused));

    let url = says("");
    let silent = format!("{} closed the connection without an answer", address(&url));
    assert_eq!(seen(&url, ""), (Status::Fail, silent));

    let (status, summary) = seen(&says("220 mail.example ESMTP\r\n"), "");
    assert!(status == Status::Fail && summary.contains("not HTTP"), "{summary}");
}

#[test]
fn a_wrong_configuration_is_unknown_and_names_its_key() {
    let (status, summary) = seen("ftp://localhost/", "");
    assert!(status == Status::Unknown && summary.contains("`https://`"), "{summary}");

    let error = |json: &str| parse_config::<Config>(json).unwrap_err();
    assert!(error(r#"{"uri": "x"}"#).contains("`uri`"));
    for wrong in ["0", "600", "\"2xx\"", "[]", "[200, 99]", "-1", "null"] {
        let said = error(&format!(r#"{{"url": "http://a/", "expect-status": {wrong}}}"#));
        assert!(said.contains("`expect-status"), "{said}");
        assert!(said.contains("a status between 200 and 599, or a list of them"), "{said}");
    }
}

#[test]
fn the_schema_knows_every_key() {
    let schema = config_schema::<Config>();
    for key in [
        "url",
        "method",
        "expect-status",
        "expect-body",
        "headers",
        "tls",
        "warn-days",
        "server-name",
        "ca",
        "verify",
    ] {
        assert!(schema.contains(&format!("\"{key}\":")), "{schema}");
    }
    assert!(schema.contains(r#""required":["url"]"#), "{schema}");
}

#[test]
fn the_schema_wants_to_know_how_the_certificate_of_an_address_is_verified() {
    let schema = config_schema::<Config>();
    assert!(schema.contains(r#""then":{"#) && schema.contains(r#""required":["tls"]"#), "{schema}");
    assert!(schema.contains(r"^https://(\\[|[0-9.]+([:/]|$))"), "{schema}");
}

#[test]
fn a_certificate_that_ends_soon_is_warned_of() {
    use std::time::SystemTime;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let in_days = |days: i64| 1_800_000_000_000 + days * 86_400_000;
    assert!((days_until(in_days(20), now) - 20.0).abs() < 0.11);
    assert!(days_until(in_days(-1), now) < 0.0);
    let good = || Observation::pass("answered 200");
    let seen = certified(good(), days_until(in_days(20), now), 14);
    assert_eq!((seen.status, seen.summary.as_str()), (Status::Pass, "answered 200"));
    assert_eq!(seen.measurements[0].name, "certificate-days");
    let seen = certified(good(), days_until(in_days(3), now), 14);
    assert_eq!(seen.status, Status::Warn);
    assert!(seen.summary.starts_with("answered 200; its certificate expires within 3"), "{}", seen.summary);
    let bad = certified(Observation::fail("answered 500"), 3.0, 14);
    assert_eq!((bad.status, bad.summary.as_str()), (Status::Fail, "answered 500"));
}

#[test]
fn without_a_host_that_speaks_tls_nothing_is_told_of_the_service() {
    let (status, summary) = seen("https://localhost:1/", "");
    assert!(status == Status::Unknown && summary.contains("a native test has no host"), "{summary}");
}
