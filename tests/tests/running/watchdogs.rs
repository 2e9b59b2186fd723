//! A part of the daemon stalls, and that is noticed everywhere.
//!
//! The daemon itself injects the faults, which is possible in debug builds only.

use std::fs;
use std::path::PathBuf;

use bellwether_tests::answers::{Event, Outcome};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http;
use bellwether_tests::process::is_alive;
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::web::Web;

use super::application;

/// Fields are dropped in this order.
struct Faulty {
    daemon: Daemon,
    root: Root,
    _web: Web,
    faults: PathBuf,
}

impl Faulty {
    fn new() -> Self {
        let root = Root::default();
        let web = Web { address: free_address() };
        // Silence is reported soon.
        root.write("modules/web.toml", web.file("").replace("timeout = \"10s\"", "timeout = \"5s\""));
        let faults = root.path().join("faults");
        fs::create_dir(&faults).expect("a folder");
        let daemon = Daemon::run_in(root.path(), root.health, &[("BELLWETHER_FAULTS", faults.as_os_str())]);
        daemon.until_ready("web");
        Self { root, _web: web, daemon, faults }
    }

    /// That part of the daemon stalls for this long.
    fn stall(&self, part: &str, millis: u32) {
        // Beside it first, because a part of a number would be another number.
        let new = self.faults.join("new");
        fs::write(&new, millis.to_string()).expect("a file");
        fs::rename(new, self.faults.join(part)).expect("a file");
        eventually("the fault is there", || (!self.faults.join(part).exists()).then_some(()));
    }

    fn until_logged(&self, text: &str) {
        eventually(&format!("the log says {text}\n{}", self.daemon.log()), || {
            self.daemon.log().contains(text).then_some(())
        });
    }

    fn problems(&self) -> String {
        self.daemon.problems()
    }

    fn until_recorded(&self, text: &str) {
        let says = |event: &Event| event.text.contains(text);
        eventually(&format!("it is written down: {text}"), || {
            self.daemon.events().iter().any(says).then_some(())
        });
    }
}

#[test]
fn a_core_that_stalls_makes_health_say_no_and_is_told_when_it_turns_again() {
    let faulty = Faulty::new();
    let pid = application(&faulty.daemon);
    // Half a minute would exceed the limit.
    faulty.stall("core", 20_000);
    eventually("health says no", || (faulty.daemon.health("web").status == 503).then_some(()));
    faulty.until_logged("the core has stalled");
    faulty.until_logged("the core is running again");
    eventually("health says yes again", || (faulty.daemon.health("web").status == 200).then_some(()));
    faulty.until_recorded("the core has stalled");
    assert_eq!((application(&faulty.daemon), faulty.problems().as_str()), (pid, ""));
}

#[test]
fn a_health_thread_that_is_lost_ends_the_daemon_and_the_next_one_finds_the_application() {
    let mut faulty = Faulty::new();
    let pid = application(&faulty.daemon);
    faulty.stall("health", 600_000);
    eventually("status says so", || {
        faulty.problems().contains("the health endpoint's thread has stalled").then_some(())
    });
    assert!(http::get(faulty.root.health, "/health/web").is_none(), "nobody answers");
    assert_eq!(faulty.daemon.until_ended(), Some(10), "{}", faulty.daemon.log());
    assert!(
        faulty.daemon.log().contains("the daemon exits so that it is restarted"),
        "{}",
        faulty.daemon.log()
    );
    assert!(is_alive(pid));
    faulty.daemon.run_again();
    faulty.daemon.until_ready("web");
    assert_eq!((application(&faulty.daemon), faulty.daemon.health("web").status), (pid, 200));
}

#[test]
fn threads_of_components_that_stall_are_told() {
    let faulty = Faulty::new();
    faulty.stall("guests", 40_000);
    eventually("status says so", || {
        faulty.problems().contains("the threads that components run on").then_some(())
    });
    faulty.until_logged("the threads that components run on is running again");
    eventually("nothing is wrong any more", || faulty.problems().is_empty().then_some(()));
    faulty.until_recorded("the threads that components run on has stalled");
}

#[test]
fn a_checker_that_never_answers_is_told_and_begun_anew() {
    let faulty = Faulty::new();
    let pid = application(&faulty.daemon);
    faulty.stall("checker", 600_000);
    let last = eventually("it is told", || {
        faulty.daemon.last("web", "home").filter(|last| last.summary.contains("has not answered for"))
    });
    assert_eq!(last.status, Outcome::Unknown);
    faulty.daemon.until_outcome("web", "home", Outcome::Pass);
    let module = faulty.daemon.until_ready("web");
    assert_eq!((application(&faulty.daemon), module.restarts), (pid, 0), "nobody is restarted for that");
}
