//! The console's listener on a real daemon: which clients reach the guard, and the certificate.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bellwether_tests::daemon::{Conditions, Daemon};
use bellwether_tests::eventually::{PATIENCE, eventually};
use bellwether_tests::http;
use bellwether_tests::invocation::{Ended, bellwether_ends, ends_with_configuration, with_password};
use bellwether_tests::root::{Root, default_ports};
use bellwether_tests::secure::{Authority, Pair};
use bellwether_tests::usage::Usage;
use bellwether_tests::web::Web;

/// Not only on the loopback, like a console of several nodes; the tests use the loopback all the same.
const EVERYWHERE: &str = "[console]\nlisten = \"0.0.0.0:0\"\n";
const WITH_FILES: &str =
    "[console]\nlisten = \"127.0.0.1:0\"\ncertificate = \"console.pem\"\nkey = \"console.key\"\n";

/// A daemon with the module `web`, which serves.
fn serving(more: &str) -> (Root, Daemon) {
    let root = Root::new("node-1", more);
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    (root, daemon)
}

/// A client on another host, as far as this host can simulate one.
struct Client<'d> {
    daemon: &'d Daemon,
    how: Vec<String>,
}

impl<'d> Client<'d> {
    /// A client that knows the console's fingerprint, and has a token with this role.
    fn with_role(daemon: &'d Daemon, root: &Root, role: &str) -> Self {
        let file = write_token(root.path(), role, &daemon.token(role, role, &[]), 0o600);
        let how = ["--fingerprint".to_owned(), fingerprint(daemon), "--token-file".to_owned(), file];
        Self { daemon, how: how.into() }
    }

    fn ask(&self, arguments: &[&str]) -> Ended {
        let url = format!("https://{}", self.daemon.console());
        let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        all.extend(["--url".to_owned(), url]);
        all.extend(self.how.clone());
        bellwether_ends(&all)
    }
}

fn write_token(root: &Path, name: &str, token: &str, mode: u32) -> String {
    let path = root.join(format!("{name}.token"));
    fs::write(&path, token).expect("a token's file");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
    path.to_str().expect("a plain path").to_owned()
}

fn fingerprint(daemon: &Daemon) -> String {
    let console = daemon.status().console.expect("there is a console");
    console.fingerprint.unwrap_or_else(|| panic!("no fingerprint: {}", console.url))
}

#[test]
fn off_the_loopback_everything_is_encrypted_by_a_certificate_that_is_kept() {
    let (_root, mut daemon) = serving(EVERYWHERE);
    let console = daemon.status().console.expect("there is a console");
    assert!(console.url.starts_with("https://"), "{console:?}");
    let shown = fingerprint(&daemon);
    assert!(daemon.log().contains(&shown), "{}", daemon.log());

    let plain = http::get(daemon.console(), "/login").expect("an answer");
    assert_eq!(plain.status, 400);
    assert!(plain.body.contains("https://"), "{plain:?}");

    daemon.end();
    daemon.run_again();
    assert_eq!(fingerprint(&daemon), shown, "clients that trust it need not learn another one");
}

#[test]
fn a_client_elsewhere_needs_the_fingerprint_and_a_token_and_can_do_what_its_role_may() {
    let (root, daemon) = serving(EVERYWHERE);
    let anybody = Client { daemon: &daemon, how: Vec::new() };
    let refused = anybody.ask(&["status"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    for part in ["is not trusted", &fingerprint(&daemon), "--fingerprint", "--ca FILE"] {
        assert!(refused.error.contains(part), "{part}: {refused:?}");
    }

    let wrong = "AB:".repeat(31) + "AB";
    let mistaken = Client { daemon: &daemon, how: vec!["--fingerprint".to_owned(), wrong.clone()] };
    let refused = mistaken.ask(&["status"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.error.contains(&wrong) && refused.error.contains(&fingerprint(&daemon)), "{refused:?}");

    let known = Client { daemon: &daemon, how: vec!["--fingerprint".to_owned(), fingerprint(&daemon)] };
    let refused = known.ask(&["status"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.error.contains("--token-file"), "{refused:?}");

    let monitor = Client::with_role(&daemon, &root, "monitor");
    for (command, says) in [
        (&["status"][..], "web"),
        (&["status", "web", "--json"], "\"ready\": true"),
        (&["why", "web"], "web"),
        (&["events", "--module", "web"], "starting"),
    ] {
        let told = monitor.ask(command);
        assert!(told.code == Some(0) && told.out.contains(says), "{command:?}: {told:?}");
    }
    let refused = monitor.ask(&["restart", "web"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.error.contains("role"), "{refused:?}");

    let control = Client::with_role(&daemon, &root, "control");
    let unconfirmed = control.ask(&["stop", "web"]);
    assert_eq!(unconfirmed.code, Some(3), "no other node serves it: {unconfirmed:?}");
    assert!(
        unconfirmed.error.contains("not confirmed") && unconfirmed.error.contains("--yes"),
        "{unconfirmed:?}"
    );
    assert!(daemon.events().into_iter().all(|event| event.kind != "command"), "it was not given yet");
    for command in [&["stop", "web", "--yes"][..], &["start", "web"], &["check", "web", "home"]] {
        let told = control.ask(command);
        assert_eq!(told.code, Some(0), "{command:?}: {told:?}");
    }
    let stopped = daemon.events().into_iter().find(|event| event.kind == "command");
    let by = stopped.and_then(|stopped| stopped.by).expect("it is written down");
    assert!(by.contains("token control") && by.contains("127.0.0.1"), "{by}");
}

#[test]
fn what_making_a_token_prints_is_the_file_that_a_client_wants() {
    let (root, daemon) = serving(EVERYWHERE);
    let printed = daemon.tell(&["token", "create", "laptop", "--role", "monitor"]);
    assert!(printed.starts_with("bw_") && printed.lines().count() == 1, "{printed:?}");
    let file = write_token(root.path(), "laptop", &printed, 0o600);
    let how = ["--fingerprint".to_owned(), fingerprint(&daemon), "--token-file".to_owned(), file];
    let client = Client { daemon: &daemon, how: how.into() };
    assert_eq!(client.ask(&["status"]).code, Some(0));
    let refused = client.ask(&["stop", "web"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.error.contains("bellwether token create laptop-control --role control"), "{refused:?}");
    assert!(!refused.error.contains("user role"), "a token is no user: {refused:?}");

    let file = write_token(root.path(), "wrong", "bw_wrong", 0o600);
    let how = ["--fingerprint".to_owned(), fingerprint(&daemon), "--token-file".to_owned(), file.clone()];
    let wrong = Client { daemon: &daemon, how: how.into() }.ask(&["status"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    let said = format!("does not accept the token in {file}: it is wrong, has expired or was revoked");
    assert!(wrong.error.contains(&said) && wrong.error.contains("bellwether token list"), "{wrong:?}");
    let health = format!("http://{}", root.health);
    let other = bellwether_ends(&["status", "--url", &health]);
    assert_eq!(other.code, Some(1), "{other:?}");
    let said = format!("what answers at {health} is not the console of Bellwether");
    assert!(other.error.contains(&said) && other.error.contains("9013 by default"), "{other:?}");
}

#[test]
fn a_url_or_a_token_that_is_none_is_told_without_asking_anybody() {
    let place = tempfile::tempdir().expect("a folder");
    let open = write_token(place.path(), "open", "bw_secret", 0o644);
    for (arguments, code, says) in [
        (&["status", "--url", "http://192.0.2.1:9013"][..], 2, "only for this host"),
        (&["status", "--url", "https://192.0.2.1/console"], 2, "https://host:9013"),
        (&["status", "--url", "https://192.0.2.1", "--token-file", &open], 2, "chmod 600"),
        (&["status", "--url", "https://192.0.2.1", "--fingerprint", "AB"], 2, "64 hexadecimal digits"),
        (&["validate", "--url", "https://192.0.2.1"], 2, "files of this host"),
        (&["status", "--url", "https://192.0.2.1", "--ca", "/nonexistent"], 2, "cannot be read"),
    ] {
        let ended = bellwether_ends(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.error.contains(says), "{arguments:?}: {ended:?}");
        assert!(!ended.error.contains("bw_secret"), "{ended:?}");
    }
    let nobody = bellwether_tests::root::free_address();
    let ended = bellwether_ends(&["status", "--url", &format!("http://{nobody}")]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
}

#[test]
fn a_profile_stands_for_a_daemon_its_certificate_and_its_token() {
    let (root, daemon) = serving(EVERYWHERE);
    let place = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| ends_with_configuration(place.path(), arguments);
    let url = format!("https://{}", daemon.console());
    let shown = fingerprint(&daemon);
    let token = write_token(root.path(), "monitor", &daemon.token("monitor", "monitor", &[]), 0o600);
    let add = ["profile", "add", "farm", "--url", &url, "--token-file", &token];
    let trusting = [&add[..], &["--fingerprint", &shown]].concat();

    let refused = run(&add);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.error.contains(&shown), "what to add is said: {refused:?}");
    assert_eq!(run(&["status", "--profile", "farm"]).code, Some(11), "nothing was saved");

    let added = run(&trusting);
    assert!(added.code == Some(0) && added.out.contains("node node-1"), "{added:?}");
    assert_eq!(run(&trusting).code, Some(3), "another one of this name is not replaced");
    let told = run(&["status", "web", "--profile", "farm"]);
    assert!(told.code == Some(0) && told.out.contains("web"), "{told:?}");
    let listed = run(&["profile", "list", "--json"]);
    assert!(listed.out.contains(&url) && listed.out.contains(&shown), "{listed:?}");

    for (arguments, code, says) in [
        (&["status", "--profile", "farn"][..], 11, "use one of these: farm"),
        (&["status", "--profile", "farm", "--url", &url], 2, "cannot be used with"),
        (&["validate", "--profile", "farm"], 2, "does not support --profile"),
        (&["profile", "add", "other"], 2, "--url"),
        (&["restart", "web", "--profile", "farm"], 3, "role"),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(ended.error.contains(says), "{arguments:?}: {ended:?}");
    }

    let file = place.path().join("bellwether/profiles/farm.toml");
    fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("it is ours");
    let refused = run(&["status", "--profile", "farm"]);
    assert!(refused.code == Some(2) && refused.error.contains("written by other users"), "{refused:?}");
    assert_eq!(run(&["profile", "remove", "farm"]).code, Some(0));
    assert_eq!(run(&["profile", "remove", "farm"]).code, Some(11));
}

fn write_pair(root: &Root, pair: &Pair) {
    root.write("console.pem", &pair.certificate);
    root.write("console.key", &pair.key);
}

#[test]
fn a_certificate_that_changes_is_taken_over_and_a_bad_one_leaves_the_one_before() {
    let authority = Authority::default();
    let root = Root::new("node-1", WITH_FILES);
    write_pair(&root, &authority.issue());
    let ca = root.write("ca.pem", authority.pem());
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    let address = daemon.console();
    let first = fingerprint(&daemon);
    let mut kept = authority.connect(address);
    assert_eq!(kept.get("/login").status, 200);

    write_pair(&root, &authority.issue());
    eventually("the new certificate is in use", || (fingerprint(&daemon) != first).then_some(()));
    let second = fingerprint(&daemon);
    assert_eq!(authority.connect(address).get("/login").status, 200);
    let told = daemon.events().iter().any(|event| event.text.contains(&second));
    assert!(told, "it is written down");
    // Requests on a connection are ten seconds apart at most: this one is kept busy while it waits.
    let trusted = bellwether_ends(&trusting(&ca, address));
    assert!(trusted.error.contains("--token-file"), "the authority is trusted: {trusted:?}");

    let other = authority.issue();
    root.write("console.key", &other.key);
    eventually("the problem is shown", || {
        daemon.problems().contains("does not belong to the certificate").then_some(())
    });
    assert_eq!(authority.connect(address).get("/login").status, 200);
    assert_eq!(fingerprint(&daemon), second);

    root.write("console.pem", &other.certificate);
    eventually("all is well again", || daemon.problems().is_empty().then_some(()));
    assert_ne!(fingerprint(&daemon), second);
}

fn trusting(ca: &Path, address: SocketAddr) -> Vec<String> {
    let ca: PathBuf = ca.to_owned();
    ["status", "--url", &format!("https://{address}"), "--ca", ca.to_str().expect("a plain path")]
        .map(str::to_owned)
        .into()
}

#[test]
fn an_open_connection_outlives_a_change_of_the_certificate() {
    let authority = Authority::default();
    let root = Root::new("node-1", WITH_FILES);
    write_pair(&root, &authority.issue());
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    let first = fingerprint(&daemon);
    let mut kept = authority.connect(daemon.console());
    write_pair(&root, &authority.issue());
    // One request after the other on the same connection, before and after the change.
    eventually("the new certificate is in use", || {
        assert_eq!(kept.get("/login").status, 200);
        (fingerprint(&daemon) != first).then_some(())
    });
    assert_eq!(kept.get("/login").status, 200);
}

#[test]
fn files_that_are_no_pair_are_mistakes_with_their_line() {
    let authority = Authority::default();
    let root = Root::new("node-1", WITH_FILES);
    let [one, other] = [authority.issue(), authority.issue()];
    for (pair, says) in [
        (None, "`certificate` cannot be read"),
        (Some((&one.certificate, &other.key)), "`key` does not belong to the certificate"),
        (Some((&one.key, &one.key)), "`certificate` contains no certificate"),
    ] {
        if let Some((certificate, key)) = pair {
            root.write("console.pem", certificate);
            root.write("console.key", key);
        }
        let path = root.path().to_str().expect("a plain path");
        let ended = bellwether_ends(&["run", "--root", path]);
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(ended.error.contains(says) && ended.error.contains("bellwether.toml:"), "{says}: {ended:?}");
    }
}

#[test]
fn an_address_that_is_taken_is_an_error_if_it_was_chosen_and_else_a_problem() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let chosen = Root::new("node-1", &format!("[console]\nlisten = \"{address}\"\n"));
    let ended = bellwether_ends(&["run", "--root", chosen.path().to_str().expect("a plain path")]);
    assert_eq!(ended.code, Some(6), "{ended:?}");

    let _ports = default_ports();
    // If another program has the default port already, it is in use all the same.
    let _held = TcpListener::bind("127.0.0.1:9013");
    let root = Root::new("node-1", "");
    let health = root.health;
    root.write("bellwether.toml", format!("[health]\nlisten = \"{health}\"\n"));
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let problems = daemon.problems();
    assert!(problems.contains("console") && problems.contains("127.0.0.1:9013 is in use"), "{problems}");
    assert_eq!(daemon.status().console, None);
}

#[test]
fn a_console_that_is_switched_off_is_not_there() {
    let (root, daemon) = serving("[console]\nenabled = false\n");
    assert_eq!(daemon.status().console, None);
    assert_eq!(daemon.problems(), "");
    // And the local socket has no pages, only the API.
    assert!(bellwether_tests::api::status(root.path()).is_some());
    let mut socket =
        std::os::unix::net::UnixStream::connect(root.path().join("bellwether.sock")).expect("the socket");
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it can be asked");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

/// Waits until the server closes the connection.
fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut said = Vec::new();
    // An error is an end as well, but not the test's own time limit.
    if let Err(error) = stream.read_to_end(&mut said) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    }
    said
}

#[test]
fn clients_that_say_nothing_are_let_go() {
    let authority = Authority::default();
    let root = Root::new("node-1", WITH_FILES);
    write_pair(&root, &authority.issue());
    let secured = Daemon::run(root.path(), root.health);
    let (_plain_root, plain) = serving("");

    let mut half_asked = TcpStream::connect(plain.console()).expect("a connection");
    half_asked.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\n").expect("it can be asked");
    let silent = TcpStream::connect(plain.console()).expect("a connection");
    let mut half_shaken = TcpStream::connect(secured.console()).expect("a connection");
    half_shaken.write_all(&[0x16, 3, 1, 2, 0]).expect("it can be begun");
    let unshaken = TcpStream::connect(secured.console()).expect("a connection");
    let mut idle = authority.connect(secured.console());
    assert_eq!(idle.get("/login").status, 200);
    for stream in [half_asked, silent, half_shaken, unshaken] {
        until_closed(stream);
    }
    assert_eq!(
        http::get(plain.console(), "/assets/console.css").expect("an answer").status,
        421,
        "Host: test"
    );
}

#[test]
fn a_browser_is_asked_to_sign_in_and_another_hosts_name_is_none_of_ours() {
    let (_root, daemon) = serving("");
    let ask = |host: &str, path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        http::request(daemon.console(), &head).expect("an answer")
    };
    let page = ask("localhost", "/");
    assert_eq!(page.status, 303, "{page:?}");
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{page:?}");
    assert_eq!(ask("localhost", "/login").status, 200);
    assert_eq!(ask("localhost", "/assets/console.css").status, 200);
    assert_eq!(ask("127.0.0.1", "/api/v1/status").status, 401);
    assert_eq!(ask("evil.example", "/login").status, 421);
    assert_eq!(ask("node-1", "/login").status, 200, "the node's own name");
}

/// An endless form, from a client that is not signed in.
fn begin_a_form(console: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(console).expect("the console listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: {console}\r\nOrigin: http://{console}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nname="
    );
    stream.write_all(head.as_bytes()).expect("it can be asked");
    stream
}

#[test]
fn posts_that_never_end_are_let_go_and_others_are_answered_again() {
    let root = Root::new("node-1", "[console]\nlisten = \"127.0.0.1:0\"\n");
    Web::lay_out(&root);
    // The console takes a quarter of them, and from one address half of that: 32.
    let few_files = Conditions { most_open_files: Some(256), ..Conditions::default() };
    let daemon = Daemon::run_under(few_files, root.path(), root.health);
    daemon.until_ready("web");
    let console = daemon.console();
    // As many as there is room for from one address, and a few more, which are rejected.
    let endless: Vec<TcpStream> = (0..40).map(|_| begin_a_form(console)).collect();
    let (mut let_go, mut turned_away) = (0, 0);
    for mut stream in endless {
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            read => {
                read.expect("the connection ends before our patience does");
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        if answer.is_empty() {
            turned_away += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            let_go += 1;
        }
    }
    assert!(
        let_go >= 32 && turned_away > 0,
        "{let_go} let go, {turned_away} turned away: the room was not full"
    );
    assert_eq!(http::get(console, "/login").map(|answer| answer.status), Some(421), "by another name");
    let head = format!("GET /login HTTP/1.1\r\nHost: {console}\r\nConnection: close\r\n\r\n");
    assert_eq!(http::request(console, &head).map(|answer| answer.status), Some(200));
}

#[test]
fn what_is_not_among_the_assets_is_not_there() {
    let (_root, daemon) = serving("[console]\nlisten = \"127.0.0.1:0\"\n");
    let console = daemon.console();
    for path in ["/assets/a", "/assets/a/b", "/icon/1/2", "/login/a/b"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {console}\r\nConnection: close\r\n\r\n");
        let answer = http::request(console, &head).expect("an answer");
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(!answer.body.contains("axum") && !answer.body.contains("Extension"), "{answer:?}");
    }
}

#[test]
fn signing_in_again_and_again_takes_no_memory() {
    let (root, daemon) = serving("[console]\nlisten = \"127.0.0.1:0\"\n");
    let console = daemon.console();
    with_password(&root, &["user", "add", "ann", "--role", "control"], "correct horse battery");
    let sign_in = || {
        let form = "name=ann&password=correct+horse+battery";
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: {console}\r\nOrigin: http://{console}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        assert_eq!(http::request(console, &request).map(|answer| answer.status), Some(200));
    };
    // The buffer of the hashing thread is allocated by the first one.
    (0..3).for_each(|_| sign_in());
    let before = Usage::of(daemon.pid());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..15).for_each(|_| sign_in()));
        }
    });
    let after = Usage::of(daemon.pid());
    // One buffer of argon2 has 19 MiB; sixty of them were kept.
    assert!(after.memory < before.memory + (16 << 10), "{before:?} {after:?}");
}
