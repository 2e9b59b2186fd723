//! Components that try to access the files, the variables and the network of the host: they get what is granted,
//! and nothing else, however they try.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually};
use bellwether_tests::guest;
use bellwether_tests::invocation::{Ended, bellwether_ends};
use bellwether_tests::root::Root;
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Longer than any of these takes.
const TIMEOUT: &str = "60s";
/// The message for a run that exceeded its time limit.
const HUNG: &str = "ended after";

/// Runs the guest once.
fn reach(act: &str, target: &str, grants: &[String]) -> Ended {
    reach_within(TIMEOUT, act, target, grants)
}

fn reach_within(timeout: &str, act: &str, target: &str, grants: &[String]) -> Ended {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let component = folder.path().join("reach.wasm");
    fs::write(&component, guest::REACH).expect("the component can be written");
    let config = serde_json::json!({ "act": act, "target": target }).to_string();
    let component = component.display().to_string();
    let mut arguments = vec!["check", "--component", &component, "--config", &config, "--timeout", timeout];
    for grant in grants {
        arguments.extend(["--grant", grant]);
    }
    bellwether_ends(&arguments)
}

fn grant(kind: &str, value: impl std::fmt::Display) -> Vec<String> {
    vec![format!("{kind}={value}")]
}

/// Asserts that it passed with these words, without any refusal.
fn passes(ended: &Ended, words: &str) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains(&format!("pass: {words}  (took")), "`{words}`: {ended:?}");
    assert!(!ended.out.contains("refused"), "{ended:?}");
}

/// Asserts that it got nothing, and that the operator is informed.
fn refused(ended: &Ended, refusal: &str) {
    assert_eq!(ended.code, Some(3), "{ended:?}");
    // On a line of its own, or in the result, which is then the only place.
    assert_eq!(ended.out.matches(refusal).count(), 1, "`{refusal}`: {ended:?}");
}

/// A granted directory, and others beside it.
struct Files(tempfile::TempDir);

impl Files {
    fn lay_out() -> Self {
        let files = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::create_dir_all(files.path("granted/below")).expect("a folder");
        fs::write(files.path("granted/file"), "content").expect("a file");
        fs::write(files.path("granted/below/deep"), "deep").expect("a file");
        fs::write(files.path("secret"), "hunter2").expect("a file");
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn grant(&self) -> Vec<String> {
        grant("read", self.path("granted"))
    }

    /// Everything here that a component could have changed.
    fn state(&self) -> Vec<String> {
        let mut state = Vec::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let about = path.symlink_metadata().expect("it is there");
                let content = if about.is_file() { fs::read(&path).expect("readable") } else { Vec::new() };
                let numbers = [about.mode().into(), about.nlink(), about.len(), about.ino()];
                let modified = (about.mtime(), about.mtime_nsec());
                state.push(format!("{} {numbers:?} {modified:?} {content:?}", path.display()));
                if about.is_dir() {
                    folders.push(path);
                }
            }
        }
        state.sort();
        state
    }
}

const LEADS_OUT: &str = "it is outside the directory that is granted";

#[test]
fn files_in_a_granted_directory_are_read_and_listed() {
    let files = Files::lay_out();
    symlink("below/../file", files.path("granted/link")).expect("a link");
    symlink("below", files.path("granted/folder")).expect("a link");
    let read = |act: &str, path: &str| reach(act, &files.path(path), &files.grant());
    passes(&read("read", "granted/file"), "content");
    passes(&read("read", "granted/below/../file"), "content");
    passes(&read("read", "granted/link"), "content");
    passes(&read("read", "granted/folder/deep"), "deep");
    passes(&read("list", "granted"), "below file folder link");
    passes(&read("list", "granted/folder/"), "deep");
    passes(&read("stat", "granted/file"), "file of 7 bytes");
    // A directory that is not granted does not exist for the component: it is not accessed.
    for path in ["secret", "granted/../secret", "grantedly/file"] {
        let ended = read("read", path);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(!ended.out.contains("hunter2"), "{ended:?}");
    }
    assert_eq!(reach("read", &files.path("granted/file"), &[]).code, Some(3));
    let ended = read("read", "granted/none");
    assert!(ended.out.contains("fail: NotFound: ") && !ended.out.contains("refused"), "{ended:?}");
}

#[test]
fn no_path_leads_out_of_a_granted_directory() {
    let files = Files::lay_out();
    symlink("../secret", files.path("granted/relative")).expect("a link");
    symlink(files.path("secret"), files.path("granted/absolute")).expect("a link");
    symlink("..", files.path("granted/up")).expect("a link");
    symlink("/dev/zero", files.path("granted/zero")).expect("a link");
    let before = files.state();
    for path in
        ["relative", "relative/", "absolute", "up/secret", "up/granted/file", "zero", "below/../../secret"]
    {
        let path = files.path(&format!("granted/{path}"));
        for act in ["read", "stat"] {
            let ended = reach(act, &path, &files.grant());
            assert!(!ended.out.contains("hunter2") && !ended.out.contains("content"), "{ended:?}");
            assert_eq!(ended.code, Some(3), "{path}: {ended:?}");
            if !path.contains("/..") {
                refused(&ended, &format!("refused: read {path}; {LEADS_OUT}"));
                assert!(ended.out.contains("fail: PermissionDenied: "), "{ended:?}");
            }
        }
    }
    let up = files.path("granted/up");
    refused(&reach("list", &up, &files.grant()), &format!("refused: read {up}; {LEADS_OUT}"));
    assert_eq!(files.state(), before);
}

#[test]
fn a_file_with_a_second_name_is_refused() {
    let files = Files::lay_out();
    fs::hard_link(files.path("secret"), files.path("granted/linked")).expect("a hard link");
    let path = files.path("granted/linked");
    let ended = reach("read", &path, &files.grant());
    let why = "it has 2 names (hard links), and not all of them need be in the directory that is granted";
    refused(&ended, &format!("refused: read {path}; {why}"));
    assert!(!ended.out.contains("hunter2"), "{ended:?}");
}

#[test]
fn pipes_sockets_and_devices_are_refused_at_once() {
    let files = Files::lay_out();
    let pipe = files.path("granted/pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let socket = files.path("granted/socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let devices = grant("read", "/dev");
    for (path, grants, kind) in [
        (pipe.as_str(), files.grant(), "pipe"),
        (&socket, files.grant(), "socket"),
        ("/dev/zero", devices.clone(), "device"),
        ("/dev/tty", devices, "device"),
    ] {
        let ended = reach("count", path, &grants);
        let why = format!("it is a {kind}, and only regular files and directories are read");
        refused(&ended, &format!("refused: read {path}; {why}"));
        assert!(!ended.out.contains(HUNG), "{ended:?}");
    }
    // Reading its metadata is not reading it.
    passes(&reach("stat", &pipe, &files.grant()), "something else of 0 bytes");
}

#[test]
fn nothing_is_changed_in_a_granted_directory() {
    let files = Files::lay_out();
    let before = files.state();
    let path = files.path("granted/file");
    let ended = reach("change", &path, &files.grant());
    assert!(!ended.out.contains("=done"), "{ended:?}");
    for what in ["write", "rename", "remove", "set the size of", "set the times of"] {
        let refusal = format!("refused: {what} {path}; components can read files, but not change them");
        assert!(ended.out.lines().any(|line| line == refusal), "{refusal}: {ended:?}");
    }
    let refusal = format!("refused: create {path}.other; components can read files, but not change them");
    assert!(ended.out.lines().any(|line| line == refusal), "{ended:?}");
    assert_eq!(files.state(), before);
}

#[test]
fn a_huge_file_and_too_many_open_files_stay_within_limits() {
    let files = Files::lay_out();
    let huge = fs::File::create(files.path("granted/huge")).expect("a file");
    huge.set_len(1 << 40).expect("a sparse file");
    let path = files.path("granted/huge");
    passes(&reach("stat", &path, &files.grant()), &format!("file of {} bytes", 1_u64 << 40));
    let ended = reach_within("500ms", "count", &path, &files.grant());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.out.contains("unknown: ") && ended.out.contains("ended after 500ms"), "{ended:?}");
    let whole = reach("read", &path, &files.grant());
    assert_eq!(whole.code, Some(3), "{whole:?}");

    let ended = reach("hoard", &files.path("granted/file"), &files.grant());
    assert!(ended.out.contains("pass: 64 files, then "), "{ended:?}");
    let refusal = "refused: open more files at once; a run may not hold more of the host";
    assert!(ended.out.lines().any(|line| line == refusal), "{ended:?}");
}

#[test]
fn a_granted_directory_that_is_not_there_is_told_and_the_others_are_read() {
    let files = Files::lay_out();
    let none = files.path("none");
    let grants = [grant("read", &none), files.grant(), grant("read", files.path("secret"))].concat();
    let ended = reach("read", &files.path("granted/file"), &grants);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("pass: content"), "{ended:?}");
    for (path, why) in [
        (none, "No such file or directory (os error 2)"),
        (files.path("secret"), "Not a directory (os error 20)"),
    ] {
        let refusal = format!("refused: read {path}; the directory cannot be opened: {why}");
        assert!(ended.out.lines().any(|line| line == refusal), "{refusal}: {ended:?}");
    }
}

#[test]
fn only_granted_variables_are_seen() {
    let path = std::env::var("PATH").expect("a path");
    let variables = |grants: &[String]| reach("environment", "", grants);
    passes(&variables(&[]), "0 arguments, variables:");
    let granted = [grant("env", "PATH"), grant("env", "BELLWETHER_NOT_SET")].concat();
    let ended = variables(&granted);
    assert!(ended.out.contains(&format!("pass: 0 arguments, variables: PATH={path}")), "{ended:?}");
    let seen = ended.out.lines().find(|line| line.contains("variables:")).expect("what the guest has seen");
    assert_eq!(seen.matches('=').count(), 1 + path.matches('=').count(), "{ended:?}");
    assert!(ended.out.contains("not used in this run: the grant env=BELLWETHER_NOT_SET"), "{ended:?}");
}

/// Answers `hello` once: first from another socket, then from the one that was addressed. Reports whether there was
/// a request.
fn udp_server() -> (u16, std::thread::JoinHandle<bool>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let port = socket.local_addr().expect("its address").port();
    let server = std::thread::spawn(move || {
        let mut asked = [0; 64];
        let Ok((length, from)) = socket.recv_from(&mut asked) else { return false };
        if &asked[..length] == b"stop" {
            return false;
        }
        let other = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        other.send_to(b"from elsewhere", from).expect("it can be sent");
        socket.send_to(&asked[..length], from).expect("it can be sent");
        true
    });
    (port, server)
}

#[test]
fn udp_goes_where_it_is_granted_and_only_from_there_an_answer_is_heard() {
    let (port, server) = udp_server();
    let address = format!("127.0.0.1:{port}");
    let ended = reach("udp", &address, &grant("connect", format_args!("udp:{address}")));
    passes(&ended, &format!("`hello` from {address}"));
    assert!(server.join().expect("it ends"));
}

#[test]
fn udp_that_is_not_granted_reaches_nobody() {
    let (port, server) = udp_server();
    let address = format!("127.0.0.1:{port}");
    let refusal = format!(
        "refused: send UDP to {address}; to allow it add grant = {{ connect = [\"udp:{address}\"] }}"
    );
    // A grant for TCP, or for another port, does not include this.
    for grants in [vec![], grant("connect", &address), grant("connect", "udp:127.0.0.1:9")] {
        refused(&reach("udp", &address, &grants), &refusal);
    }
    let last = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    last.send_to(b"stop", &address).expect("it can be sent");
    assert!(!server.join().expect("it ends"), "something was sent");
}

#[test]
fn names_are_looked_up_only_where_a_grant_names_them() {
    let look_up = |name: &str, grants: &[String]| reach("look-up", name, grants);
    for grants in [grant("resolve", "localhost"), grant("connect", "localhost:80")] {
        let ended = look_up("localhost", &grants);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains("127.0.0.1") || ended.out.contains("::1"), "{ended:?}");
        assert!(!ended.out.contains("refused"), "{ended:?}");
    }
    for (name, grants) in [
        ("localhost", vec![]),
        ("hunter2.attacker.example", grant("resolve", "localhost")),
        ("localhost", grant("resolve", "*.localhost")),
    ] {
        let ended = look_up(name, &grants);
        let way = format!("grant = {{ resolve = [\"{name}\"] }}");
        refused(
            &ended,
            &format!(
                "refused: look up `{name}`; to allow it add {way}, or connect = [\"{name}:PORT\"] with the port it connects to"
            ),
        );
    }
}

#[test]
fn a_name_does_not_widen_what_may_be_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("it can be asked without waiting");
    let port = listener.local_addr().expect("its address").port();
    // Resolving is one thing, connecting another.
    let ended = reach("connect", &format!("localhost:{port}"), &grant("resolve", "localhost"));
    let refusal = format!("refused: connect to 127.0.0.1:{port}; ");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.out.contains(&refusal) || ended.out.contains(&format!("connect to [::1]:{port}")),
        "{ended:?}"
    );
    // IPv4 as a mapped IPv6 address.
    let disguised = format!("[::ffff:127.0.0.1]:{port}");
    assert_eq!(reach("connect", &disguised, &[]).code, Some(3));
    assert!(listener.accept().is_err(), "somebody came through");
    let ended =
        reach("connect", &format!("127.0.0.1:{port}"), &grant("connect", format_args!("127.0.0.1:{port}")));
    passes(&ended, &format!("connected to 127.0.0.1:{port}"));
}

#[test]
fn components_take_no_connections() {
    for address in ["0.0.0.0:0", "127.0.0.1:0"] {
        let ended = reach("listen", address, &grant("connect", "127.0.0.1:80"));
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let why = "components can open connections, but not accept any";
        assert!(ended.out.contains("refused: ") && ended.out.contains(why), "{ended:?}");
    }
}

fn checker(name: &str, target: &Path, grant: &str) -> String {
    format!(
        r#"
[[checker]]
name = "{name}"
component = "reach"
interval = "500ms"
timeout = "60s"
grace = "0s"
config = {{ act = "read", target = "{}" }}
grant = {{ {grant} }}
"#,
        target.display()
    )
}

#[test]
fn a_module_grants_directories_relative_to_the_root() {
    let root = Root::default();
    root.write("checkers/reach.wasm", guest::REACH);
    root.write("data/file", "content");
    root.write("secret", "hunter2");
    symlink("../secret", root.path().join("data/out")).expect("a link");
    let checkers = [
        checker("good", Path::new("data/file"), r#"read = ["data"]"#),
        checker("out", Path::new("data/out"), r#"read = ["data"]"#),
        checker("none", Path::new("data/file"), ""),
    ];
    root.write(
        "modules/files.toml",
        "commands.start = { run = [\"/bin/true\"] }\n".to_owned() + &checkers.concat(),
    );
    let daemon = Daemon::run(root.path(), root.health);
    let summary = |name: &str| eventually("it has run", || daemon.last("files", name)).summary;
    assert_eq!(summary("good"), "content");
    let out = summary("out");
    assert!(out.ends_with(&format!("(refused: read data/out; {LEADS_OUT})")), "{out}");
    assert!(summary("none").starts_with("NotFound: "), "{}", summary("none"));
}
