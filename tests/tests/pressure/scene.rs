//! A daemon with the module `web`, which serves, and a load balancer that probes.

use bellwether_tests::control;
use bellwether_tests::daemon::{Conditions, Daemon, kept};
use bellwether_tests::eventually::eventually;
use bellwether_tests::probe::Probe;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

pub(super) struct Scene {
    pub(super) daemon: Daemon,
    pub(super) root: Root,
    probe: Option<(Probe, Probe)>,
}

impl Scene {
    pub(super) fn begin() -> Self {
        Self::begin_on(Root::default(), Conditions::default(), "")
    }

    /// On this root, with `more` in the module's file.
    pub(super) fn begin_on(root: Root, conditions: Conditions, more: &str) -> Self {
        Web::lay_out(&root).write(&root, more);
        own(&root, &conditions);
        let daemon = Daemon::run_under(conditions, root.path(), root.health);
        daemon.until_ready("web");
        let probe =
            Some((Probe::begin(control::server(), "/", 50), Probe::begin(root.health, "/health/web", 50)));
        Self { daemon, root, probe }
    }

    /// The application according to the daemon's record, because the daemon may have no descriptor for a request.
    pub(super) fn application(&self) -> u32 {
        let pids = kept(self.root.path());
        assert_eq!(pids.len(), 1, "{}", self.daemon.log());
        *pids.first().expect("there is one")
    }

    /// Kills the application and returns its process id.
    pub(super) fn kill(&self) -> u32 {
        let pid = self.application();
        signal(pid, Signal::KILL);
        pid
    }

    /// Waits for the next application.
    pub(super) fn another_than(&self, before: u32) -> u32 {
        eventually("the application is started again", || {
            kept(self.root.path()).into_iter().find(|pid| *pid != before && is_alive(*pid))
        })
    }

    /// Asserts that the health check passes.
    pub(super) fn serves(&self) {
        eventually("health says yes", || (self.daemon.health("web").status == 200).then_some(()));
    }

    /// Asserts that the health check fails.
    pub(super) fn serves_not(&self) {
        eventually("health says no", || (self.daemon.health("web").status == 503).then_some(()));
    }

    /// Reduces a resource limit of the daemon to `most`, or restores it.
    pub(super) fn limit(&self, resource: Resource, most: Option<u64>) {
        let maximum = getrlimit(resource).maximum;
        let pid = i32::try_from(self.daemon.pid()).ok().and_then(Pid::from_raw);
        let current = most.or(maximum);
        prlimit(pid, resource, Rlimit { current, maximum }).expect("the daemon is ours");
    }

    /// Stops the load balancer. Its answers were only these, and on time.
    pub(super) fn answered(&mut self, name: &str, statuses: &[u16]) {
        let (control, health) = self.probe.take().expect("it asks since the beginning");
        let (control, health) = (control.finish(), health.finish());
        let (p99, control_p99) = (health.percentile(99), control.percentile(99));
        println!("{name}: {:?}, p99 {p99:?} (control {control_p99:?})", health.statuses);
        assert!(health.statuses.keys().all(|status| statuses.contains(status)), "{:?}", health.statuses);
        health.were_as_fast_as(&control);
    }

    /// A load balancer that probes from now on, in place of the previous one.
    pub(super) fn ask_anew(&mut self) {
        self.answered("until now", &[200, 503]);
        self.probe = Some((
            Probe::begin(control::server(), "/", 50),
            Probe::begin(self.root.health, "/health/web", 50),
        ));
    }

    /// A field of `/proc/PID/status` of the daemon, in KiB.
    pub(super) fn holds(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.pid()));
        let status = status.expect("the daemon is there");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect("a number")
    }

    /// Automatic restarts that count against the budget.
    pub(super) fn restarts(&self) -> u64 {
        self.daemon.module("web").restarts
    }
}

/// Gives the root to the daemon's user.
fn own(root: &Root, conditions: &Conditions) {
    let Some(user) = conditions.user else { return };
    let mut folders = vec![root.path().to_owned()];
    while let Some(path) = folders.pop() {
        std::os::unix::fs::chown(&path, Some(user), Some(user)).expect("root may");
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            folders.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
}
