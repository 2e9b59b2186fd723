//! What the standard checkers detect in real services: a process that is stopped, TLS, Unix sockets, UDP. And the
//! notification when a checker can no longer determine its status.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bellwether_tests::answers::{Checker, Outcome, Verdict};
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http;
use bellwether_tests::invocation::{Ended, bellwether_ends};
use bellwether_tests::process::{signal, start};
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::secure::Authority;
use bellwether_tests::web::Web;
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// Runs a standard checker once.
fn check(component: &str, config: &Value, grants: &[String], timeout: &str) -> Ended {
    let config = config.to_string();
    let mut arguments = vec!["check", "--component", component, "--config", &config, "--timeout", timeout];
    arguments.extend(grants.iter().flat_map(|grant| ["--grant", grant.as_str()]));
    bellwether_ends(&arguments)
}

fn told(ended: &Ended, code: i32, words: &str) {
    assert!(ended.code == Some(code) && ended.out.contains(words), "`{words}` in {ended:?}");
}

#[test]
fn tcp_sees_a_service_that_is_stopped_without_expecting_anything_of_it() {
    let address = free_address().to_string();
    let mut demo = Command::new(bellwether());
    let service = start(demo.args(["demo-app", "--listen", &address]));
    let parsed: SocketAddr = address.parse().expect("an address");
    eventually("the service serves", || http::get(parsed, "/"));
    let (config, grants) = (json!({ "address": address }), [format!("connect={address}")]);
    told(&check("tcp", &config, &grants, "20s"), 0, "connected to");

    assert!(signal(service.0.id(), Signal::STOP));
    let stopped = check("tcp", &config, &grants, "8s");
    told(&stopped, 3, "has not accepted it: it hangs or is stopped");
    assert!(stopped.out.contains(&format!(" {} (stopped)", service.0.id())), "{stopped:?}");
    let off = json!({ "address": address, "expect-accept": false });
    told(&check("tcp", &off, &grants, "20s"), 0, "connected to");

    assert!(signal(service.0.id(), Signal::CONT));
    told(&check("tcp", &config, &grants, "20s"), 0, "connected to");
}

#[test]
fn a_service_that_never_accepts_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    let ended = check("tcp", &json!({ "address": address }), &[format!("connect={address}")], "8s");
    told(&ended, 3, "has not accepted it");
}

#[test]
fn a_unix_socket_and_udp_are_asked_where_they_are_granted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("app.sock");
    let service = UnixListener::bind(&path).expect("a socket");
    std::thread::spawn(move || {
        for mut peer in service.incoming().flatten() {
            let mut asked = [0; 4];
            // A client that has disconnected needs no answer.
            drop(peer.read_exact(&mut asked).and_then(|()| peer.write_all(b"\xffpong")));
        }
    });
    let address = format!("unix:{}", path.display());
    let config = json!({ "address": address, "send-bytes": r"\x00\x01\r\n", "expect-bytes": r"\xffpong" });
    told(&check("tcp", &config, &[format!("connect={address}")], "20s"), 0, "said");
    let refused = check("tcp", &config, &[], "20s");
    told(&refused, 3, &format!("is not granted: add `connect = [\"{address}\"]` to the checker's `grant`"));

    let service = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = format!("udp:{}", service.local_addr().expect("its address"));
    std::thread::spawn(move || {
        let mut asked = [0; 16];
        while let Ok((length, from)) = service.recv_from(&mut asked) {
            drop(service.send_to(&asked[..length], from));
        }
    });
    let config = json!({ "address": address, "send": "ping", "expect": "ping" });
    told(&check("tcp", &config, &[format!("connect={address}")], "20s"), 0, "said `ping`");
    told(&check("tcp", &config, &[], "20s"), 3, &format!("connect = [\"{address}\"]"));
}

/// An authority for the test, and a service with a certificate of it that expires in this year.
fn secure_service(ca: &Path, ends: i32) -> SocketAddr {
    let authority = Authority::default();
    std::fs::write(ca, authority.pem()).expect("the file can be written");
    let pair = authority.issue_until(ends);
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate");
    let private = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .expect("the key is that of the certificate");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(session) = ServerConnection::new(Arc::clone(&config)) else { return };
            let mut stream = StreamOwned::new(session, stream);
            let mut asked = [0; 4096];
            // A client that does not trust the certificate disconnects here.
            let Ok(1..) = stream.read(&mut asked) else { continue };
            drop(
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 5, 5\r\n\r\nhello"),
            );
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
    });
    address
}

#[test]
fn http_asks_by_tls_and_trusts_only_what_it_should() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ca, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    let port = secure_service(&ca, 2090).port();
    let url = format!("https://localhost:{port}/");
    let grants = [format!("connect=localhost:{port}"), format!("read={}", folder.path().display())];
    let with = |tls: Value| json!({ "url": url, "expect-body": "hello", "tls": tls });

    let trusted = check("http", &with(json!({ "ca": ca })), &grants, "20s");
    told(&trusted, 0, "answered 200");
    assert!(trusted.out.contains("certificate-days: "), "{trusted:?}");
    told(&check("http", &with(json!({})), &grants, "20s"), 3, "cannot be trusted");
    told(&check("http", &with(json!({ "verify": false })), &grants, "20s"), 0, "answered 200");
    let elsewhere = json!({ "ca": ca, "server-name": "elsewhere.test" });
    told(&check("http", &with(elsewhere), &grants, "20s"), 3, "cannot be trusted");
    let refused = check("http", &with(json!({ "verify": false })), &[], "20s");
    told(&refused, 3, &format!("connect = [\"localhost:{port}\"]"));

    let port = secure_service(&other, 2021).port();
    let expired = json!({ "url": format!("https://localhost:{port}/"), "tls": { "ca": other } });
    let grants = [format!("connect=localhost:{port}"), format!("read={}", folder.path().display())];
    told(&check("http", &expired, &grants, "20s"), 3, "fail: the certificate of");

    let plain = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = plain.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            let mut asked = [0; 4096];
            // Read first: closing with unread data would discard the answer.
            drop(stream.read(&mut asked).and_then(|_| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
        }
    });
    let config = json!({ "url": format!("https://localhost:{port}/") });
    told(&check("http", &config, &[format!("connect=localhost:{port}")], "20s"), 3, "does not speak TLS");
}

#[test]
fn an_https_url_with_an_address_has_to_say_how_the_certificate_is_verified() {
    let root = Root::default();
    let validate = |tls: &str| {
        let config = format!("{{ url = \"https://127.0.0.1:9/\"{tls} }}");
        root.write(
            "modules/web.toml",
            format!(
                "[[checker]]\nname = \"page\"\ncomponent = \"http\"\non-down = \"notify\"\nconfig = {config}\n\
                 grant = {{ connect = [\"127.0.0.1:9\"] }}\n"
            ),
        );
        bellwether_ends(&["validate", "--root", root.path().to_str().expect("UTF-8")])
    };
    let refused = validate("");
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.out.contains("`http` needs `tls`") && refused.out.contains("server-name"), "{refused:?}");
    for tls in [", tls = { server-name = \"shop.internal\" }", ", tls = { verify = false }"] {
        let taken = validate(tls);
        assert_eq!(taken.code, Some(0), "{taken:?}");
    }
}

#[test]
fn people_are_told_of_a_checker_that_cannot_tell_any_more() {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    daemon.until_verdict("web", "home", Verdict::Up);
    let file = web.file("");
    root.write("modules/web.toml", file.replace("grant = ", "# grant = "));
    daemon.until_outcome("web", "home", Outcome::Unknown);
    let told = eventually("it is an event", || {
        daemon.events().into_iter().find(|event| event.kind == "cannot-tell")
    });
    assert!(told.text.contains("checker `home` cannot tell: its last 3 runs were unknown"), "{told:?}");
    let module =
        daemon.until("web", "up, and said to be blind", |module| module.reason.contains("cannot tell"));
    assert!(module.ready, "{module:?}");
    let why = daemon.tell(&["why", "web"]);
    assert!(why.contains("Checker `home` cannot tell whether the application works: "), "{why}");
    assert!(why.contains("\n  bellwether check web home"), "{why}");
    let last = daemon.last("web", "home").map(|last| last.summary).unwrap_or_default();
    assert_eq!(last.matches("connect = [").count(), 1, "the missing grant is told once: {last}");

    root.write("modules/web.toml", file);
    daemon.until_verdict("web", "home", Verdict::Up);
    let times = daemon.events().into_iter().filter(|event| event.kind == "cannot-tell").count();
    assert_eq!(times, 1, "once for as long as it lasts");
}

#[test]
fn another_process_of_the_same_name_counts_only_where_that_is_asked_for() {
    let root = Root::default();
    let program = root.path().join("shop-worker");
    std::fs::copy("/bin/sleep", &program).expect("the program can be copied");
    let other = start(Command::new(&program).arg("1004"));
    let file = format!(
        r#"
[commands]
start = {{ run = ["{}", "1003"], keep = true }}
[health]
drain = "0s"
[[checker]]
name = "own"
process = {{ name = "shop-worker" }}
[[checker]]
name = "all"
process = {{ name = "shop-worker", of = "host", at-least = 2 }}
on-down = "notify"
"#,
        program.display()
    );
    root.write("modules/shop.toml", file);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("shop");
    let all = daemon.until_verdict("shop", "all", Verdict::Up);
    let own = daemon.until_verdict("shop", "own", Verdict::Up);
    let said = |checker: &Checker| checker.last.as_ref().map(|last| last.summary.clone()).unwrap_or_default();
    assert!(said(&all).starts_with("2 processes `shop-worker`"), "{all:?}");
    assert!(said(&own).starts_with("1 process `shop-worker`"), "{own:?}");
    assert!(!said(&own).contains(&format!("(pid {})", other.0.id())), "{own:?}");

    let ended = bellwether_ends(&["validate", "--root", &root.path().display().to_string()]);
    let words = "counts only processes that come from this module's commands; at present shop-worker ";
    assert!(ended.out.contains(words), "{ended:?}");

    // If the module keeps nothing, the host's processes count, and that is reported.
    let plain = Root::default();
    plain.write("modules/shop.toml", "[[checker]]\nname = \"own\"\nprocess = { name = \"shop-worker\" }\n");
    let ended = bellwether_ends(&["validate", "--root", &plain.path().display().to_string()]);
    assert!(ended.out.contains("no matter what started them, at present shop-worker "), "{ended:?}");
}

#[test]
fn a_standard_component_is_inspected_by_its_name() {
    let ended = bellwether_ends(&["inspect", "http", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let about: Value = serde_json::from_str(&ended.out).expect("JSON is written");
    assert_eq!(about["name"], "http");
    assert!(about["config_schema"]["properties"]["tls"].is_object(), "{about}");
}
