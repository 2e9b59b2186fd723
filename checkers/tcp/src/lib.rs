//! The standard checker of TCP services: does it take connections, and does it
//! say what it should?

use bellwether_guest::net::{Connection, NetError};
use bellwether_guest::prelude::*;

/// Nobody greets with more than this.
const MOST_HEARD: usize = 64 << 10;
/// As much of an unexpected answer as helps a reader.
const MOST_SHOWN: usize = 80;

/// `config = { address = "127.0.0.1:6379", send = "PING\r\n", expect = "PONG" }`
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// What to connect to: `127.0.0.1:6379`, `[::1]:22` or `db.internal:5432`.
    address: String,
    /// Text to send once connected.
    #[serde(default)]
    send: Option<String>,
    /// Text that the service must then say, among others.
    #[serde(default)]
    expect: Option<String>,
}

/// Connects to a TCP service, and may expect it to say something.
#[bellwether_guest::checker(grants(connect = "the service to check"))]
pub fn check(config: Config, run: &Run) -> Observation {
    let mut connection = match Connection::open(run, &config.address) {
        Ok(connection) => connection,
        Err(error) => return error.into(),
    };
    let connected = run.elapsed_ms();
    let seen = match talk(&mut connection, &config) {
        Ok(seen) => seen,
        Err(error) => error.into(),
    };
    seen.measure("connect-time", connected, "ms").measure("response-time", run.elapsed_ms(), "ms")
}

fn talk(connection: &mut Connection<'_>, config: &Config) -> Result<Observation, NetError> {
    if let Some(text) = &config.send {
        connection.write_all(text.as_bytes())?;
    }
    let Some(expected) = &config.expect else {
        return Ok(Observation::pass(format!("{} took the connection", config.address)));
    };
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if contains(&heard, expected.as_bytes()) {
            return Ok(Observation::pass(format!(
                "{} said `{}`",
                config.address,
                shown(expected.as_bytes())
            )));
        }
        let complaint = |what: String| Observation::fail(format!("{} {what}", config.address));
        let expected = shown(expected.as_bytes());
        match connection.read(&mut buffer) {
            Ok(length) if length > 0 && heard.len() < MOST_HEARD => {
                heard.extend_from_slice(&buffer[..length]);
            }
            Ok(_) if heard.is_empty() => {
                return Ok(complaint(format!("closed the connection without saying `{expected}`")));
            }
            Ok(_) => return Ok(complaint(format!("said `{}` instead of `{expected}`", shown(&heard)))),
            Err(NetError::NoAnswer(_, within)) if !heard.is_empty() => {
                let said = shown(&heard);
                let address = &config.address;
                return Ok(Observation::hang(format!(
                    "{address} said only `{said}` and not `{expected}` within {within:?}"
                )));
            }
            Err(error) => return Err(error),
        }
    }
}

fn contains(heard: &[u8], expected: &[u8]) -> bool {
    expected.is_empty() || heard.windows(expected.len()).any(|window| window == expected)
}

/// Bytes as one line for a person.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    let cut: String = text.chars().take(MOST_SHOWN).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", cut.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_guest::parse_config;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    /// For what ends by itself: longer than a busy machine takes.
    fn run() -> Run {
        Run::for_test().with_time_limit(Duration::from_secs(60))
    }

    /// A service that says `greeting`, reads what it is told, says `answer` and closes.
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
        Config { address: address.into(), send: send.map(Into::into), expect: expect.map(Into::into) }
    }

    #[test]
    fn a_service_that_takes_the_connection_passes() {
        let address = service("", "");
        let seen = check(config(&address, None, None), &run());
        assert_eq!((seen.status, seen.summary), (Status::Pass, format!("{address} took the connection")));
        let names: Vec<_> = seen.measurements.iter().map(|m| (m.name.as_str(), m.unit.as_str())).collect();
        assert_eq!(names, [("connect-time", "ms"), ("response-time", "ms")]);
        assert!(seen.measurements[0].value > 0.0);
    }

    #[test]
    fn a_port_that_nobody_listens_on_fails_with_its_address() {
        // The port of a client: taken for as long as it is connected, so that no other test can listen there.
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
        assert_eq!(
            (seen.status, seen.summary),
            (Status::Fail, format!("no answer from {address} within 90ms"))
        );
    }

    #[test]
    fn a_service_that_says_too_little_fails_in_time() {
        // The next one if the machine is so busy that the time is over before anything was said.
        for limit in [300, 3_000, 30_000].map(Duration::from_millis) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            // Accepted and held open, so that more could come. The checker may be gone.
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
                // Whether it was let in or not: the listener need not wait for it.
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
}
