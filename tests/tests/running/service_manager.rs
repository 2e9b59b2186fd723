//! The messages to the service manager, word for word (`sd_notify(3)`).

use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_tests::compiled;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, wait};
use bellwether_tests::process::signal;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;
use rustix::process::Signal;

use super::application;

/// A service manager that reads all the time: messages without room would be lost.
struct Manager(Arc<Mutex<Vec<String>>>);

impl Manager {
    fn listen(root: &Root) -> (Self, std::path::PathBuf) {
        let path = root.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&lines);
        // Until the test process ends.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend(text.lines().map(str::to_owned));
            }
        });
        (Self(lines), path)
    }

    /// All messages so far, one on each line.
    fn heard(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this message, and returns its line number.
    fn until(&self, line: &str) -> usize {
        let place = || self.heard().iter().position(|heard| heard.starts_with(line));
        wait(PATIENCE, place).unwrap_or_else(|| panic!("no {line}: {:?}", self.heard()))
    }
}

#[test]
fn it_is_told_all_that_happens_from_the_start_to_the_end() {
    let root = Root::new("node-1", "[shutdown]\napplications = \"drain\"\n");
    let web = Web::lay_out(&root);
    let (manager, path) = Manager::listen(&root);
    let environment = [("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", OsStr::new("60000000"))];
    let mut daemon = Daemon::run_in(root.path(), root.health, &environment);
    manager.until("READY=1");
    daemon.until_ready("web");
    manager.until("STATUS=1 module, 1 ready");
    manager.until("WATCHDOG=1");

    let environment =
        std::fs::read(format!("/proc/{}/environ", application(&daemon))).expect("its environment");
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{environment:?}");

    manager.heard().clear();
    signal(daemon.pid(), Signal::HUP);
    manager.until("MONOTONIC_USEC=");
    assert!(manager.until("RELOADING=1") < manager.until("READY=1"));

    manager.heard().clear();
    signal(daemon.pid(), Signal::TERM);
    assert_eq!(daemon.until_ended(), Some(0), "{}", daemon.log());
    assert!(manager.until("STOPPING=1") < manager.until("EXTEND_TIMEOUT_USEC="));
    assert!(web.ask().is_some());
}

#[test]
fn a_daemon_that_has_nothing_to_run_is_never_said_to_be_ready() {
    let root = Root::default();
    compiled::lay_into(root.path());
    root.write("modules/web.toml", "[commands]\nstart = 7\n");
    let (manager, path) = Manager::listen(&root);
    let ended = std::process::Command::new(bellwether_tests::binary::bellwether())
        .args(["run", "--root"])
        .arg(root.path())
        .env("NOTIFY_SOCKET", &path)
        .output()
        .expect("the daemon runs");
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    // Messages are in order: the last one comes after all others of the daemon.
    let last = UnixDatagram::unbound().expect("a socket");
    last.send_to(b"THE END", &path).expect("it listens");
    manager.until("THE END");
    assert!(!manager.heard().iter().any(|line| line == "READY=1"), "{:?}", manager.heard());
}
