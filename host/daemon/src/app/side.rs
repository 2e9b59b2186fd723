//! Loops beside the core whose standstill nothing else would show: the watchdog sees them beat.

use std::net::SocketAddr;

use bellwether_core::watchdog::WatchedTask;
use tokio::task::JoinSet;

use crate::watchdog::{ADDRESSES, ANNOUNCER, DESCENDANTS, ORPHANS, PROBERS, UNCLAIMED, Watched};
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_health::probers;
use bellwether_os::address;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::process::orphans;
use bellwether_supervisor::act::kept::Kept;
use bellwether_supervisor::announcer::Announcer;
use bellwether_supervisor::unclaimed;

/// What they need.
#[derive(Debug)]
pub(super) struct Loops {
    pub(super) unclaimed: unclaimed::Watch,
    pub(super) probers: probers::Watch,
    pub(super) announcer: Announcer,
    /// All addresses that are listened on, and for what.
    pub(super) listeners: Vec<(String, SocketAddr)>,
    pub(super) problems: Diagnostics,
    pub(super) kept: Kept,
}

impl Loops {
    /// Begins them. Returns where they are seen to beat.
    pub(super) fn begin(self, side: &mut JoinSet<()>, clock: Clock) -> Vec<Watched> {
        let mut watched = Vec::new();
        let mut beating = |task: WatchedTask| {
            let heartbeat = Heartbeat::default();
            heartbeat.beat(clock);
            watched.push(Watched { task, heartbeat: heartbeat.clone() });
            heartbeat
        };
        side.spawn(self.unclaimed.run(beating(UNCLAIMED), clock));
        side.spawn(self.probers.run(beating(PROBERS)));
        side.spawn(self.announcer.run(beating(ANNOUNCER)));
        let problems = self.problems;
        let report = move |absent: &[String]| problems.set("addresses", absent);
        side.spawn(address::watch_forever(self.listeners, report, beating(ADDRESSES), clock));
        side.spawn(self.kept.look_forever(beating(DESCENDANTS), clock));
        if orphans::adopts() {
            side.spawn(orphans::reap_forever(beating(ORPHANS), clock));
        }
        watched
    }
}
