//! What the service manager is told, word for word (`sd_notify(3)`).

use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::signal;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;
use rustix::process::Signal;

use super::application;

/// A service manager that listens.
struct Manager(UnixDatagram, Vec<String>);

impl Manager {
    fn listen(root: &Root) -> (Self, std::path::PathBuf) {
        let path = root.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        (Self(socket, Vec::new()), path)
    }

    /// Everything that was said so far, a line each.
    fn heard(&mut self) -> &[String] {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.0.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.1.extend(text.lines().map(str::to_owned));
        }
        &self.1
    }

    fn until(&mut self, line: &str) {
        eventually(&format!("the service manager is told {line}; it was told {:?}", self.1), || {
            self.heard().iter().any(|heard| heard.starts_with(line)).then_some(())
        });
    }

    fn position(&self, line: &str) -> usize {
        self.1
            .iter()
            .position(|heard| heard.starts_with(line))
            .unwrap_or_else(|| panic!("no {line}: {:?}", self.1))
    }
}

#[test]
fn it_is_told_all_that_happens_from_the_start_to_the_end() {
    let root = Root::new("node-1", "[shutdown]\napplications = \"drain\"\n");
    let web = Web::lay_out(&root);
    let (mut manager, path) = Manager::listen(&root);
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

    manager.1.clear();
    signal(daemon.pid(), Signal::HUP);
    manager.until("RELOADING=1");
    manager.until("MONOTONIC_USEC=");
    manager.until("READY=1");
    assert!(manager.position("RELOADING=1") < manager.position("READY=1"));

    manager.1.clear();
    signal(daemon.pid(), Signal::TERM);
    assert_eq!(daemon.until_ended(), Some(0), "{}", daemon.log());
    manager.heard();
    assert!(manager.position("STOPPING=1") < manager.position("EXTEND_TIMEOUT_USEC="));
    assert!(web.ask().is_some());
}

#[test]
fn a_daemon_that_has_nothing_to_run_is_never_said_to_be_ready() {
    let root = Root::default();
    root.write("modules/web.toml", "[commands]\nstart = 7\n");
    let (mut manager, path) = Manager::listen(&root);
    let ended = std::process::Command::new(bellwether_tests::binary::bellwether())
        .args(["run", "--root"])
        .arg(root.path())
        .env("NOTIFY_SOCKET", path)
        .output()
        .expect("the daemon runs");
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    assert!(!manager.heard().iter().any(|line| line == "READY=1"), "{:?}", manager.1);
}
