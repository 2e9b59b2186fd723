//! Streams end with the session or the token that opened them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually};
use bellwether_tests::http;
use bellwether_tests::invocation::with_password;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

const STREAMS: [&str; 3] = ["/api/v1/stream", "/api/v1/status/stream", "/api/v1/events/stream"];
const PASSWORD: &str = "correct horse battery";
const ANOTHER: &str = "battery staple correct";

/// The credential: a line of the head of a request.
type Credential = String;

fn console() -> (Root, Daemon, SocketAddr) {
    let root = Root::default();
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let console = daemon.console();
    (root, daemon, console)
}

fn sign_in(console: SocketAddr, name: &str) -> Credential {
    let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: {console}\r\nOrigin: http://{console}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    let answer = http::request(console, &request).expect("the console answers");
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next());
    format!("Cookie: {}", cookie.unwrap_or_else(|| panic!("no cookie: {answer:?}")))
}

fn token(daemon: &Daemon, name: &str, more: &[&str]) -> Credential {
    format!("Authorization: Bearer {}", daemon.token(name, "monitor", more))
}

fn ask(console: SocketAddr, path: &str, credential: &str) -> TcpStream {
    let mut stream = TcpStream::connect(console).expect("the console listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {console}\r\n{credential}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it can be asked");
    stream
}

/// A stream that has begun.
fn open(console: SocketAddr, path: &str, credential: &str) -> TcpStream {
    let mut stream = ask(console, path, credential);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{path}: {}", String::from_utf8_lossy(&head));
    stream
}

/// All streams of this credential end once `act` is done, no others do, and it opens no further one.
fn all_end(daemon: &Daemon, console: SocketAddr, what: &str, credential: &str, act: impl FnOnce()) {
    let witness = token(daemon, &format!("witness-{what}"), &[]);
    let mut goes_on = open(console, "/api/v1/stream", &witness);
    // All are read at the same time: a client that does not read would be disconnected for that.
    let readers = STREAMS.map(|path| {
        let mut stream = open(console, path, credential);
        std::thread::spawn(move || stream.read_to_end(&mut Vec::new()))
    });
    act();
    for (reader, path) in readers.into_iter().zip(STREAMS) {
        // An error is an end as well, but not the test's own time limit.
        if let Err(error) = reader.join().expect("a reader does not panic") {
            let patience = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!patience, "{what}: {path} goes on: {error}");
        }
        let again = {
            let mut answer = String::new();
            ask(console, path, credential).read_to_string(&mut answer).expect("an answer");
            answer
        };
        assert!(again.starts_with("HTTP/1.1 401 "), "{what}: {path}: {again}");
    }
    // Later events reach only clients with access.
    daemon.tell(&["suspend", "web"]);
    daemon.tell(&["resume", "web"]);
    let mut heard = Vec::new();
    eventually(&format!("{what}: somebody else is told"), || {
        let mut part = [0; 4096];
        let length = goes_on.read(&mut part).expect("it is told");
        assert_ne!(length, 0, "{what}: somebody else's stream has ended");
        heard.extend_from_slice(&part[..length]);
        String::from_utf8_lossy(&heard).contains("\"moved\":[\"web\"]").then_some(())
    });
}

#[test]
fn the_streams_of_a_user_end_with_another_password_with_another_role_and_with_the_user() {
    let (root, daemon, console) = console();
    for name in ["ann", "bob", "eve"] {
        with_password(&root, &["user", "add", name, "--role", "control"], PASSWORD);
    }
    let (ann, bob, eve) = (sign_in(console, "ann"), sign_in(console, "bob"), sign_in(console, "eve"));
    all_end(&daemon, console, "password", &ann, || {
        with_password(&root, &["user", "password", "ann"], ANOTHER);
    });
    all_end(&daemon, console, "role", &bob, || drop(daemon.tell(&["user", "role", "bob", "monitor"])));
    all_end(&daemon, console, "removed", &eve, || drop(daemon.tell(&["user", "remove", "eve"])));
}

#[test]
fn the_streams_of_a_token_end_when_it_is_revoked_and_when_it_expires() {
    let (_root, daemon, console) = console();
    let revoked = token(&daemon, "revoked", &[]);
    all_end(&daemon, console, "revoked", &revoked, || drop(daemon.tell(&["token", "revoke", "revoked"])));
    // Long enough for all streams to be opened on a busy machine.
    let expiring = token(&daemon, "expiring", &["--expires", "45s"]);
    all_end(&daemon, console, "expires", &expiring, || ());
}
