//! Loops beside the core whose standstill nothing else would show: the watchdog sees them beat.

use std::net::SocketAddr;

use bellwether_core::watchdog::Ward;
use tokio::task::JoinSet;

use crate::act::kept::Kept;
use crate::announcer::Announcer;
use crate::clock::Clock;
use crate::problems::Problems;
use crate::process::orphans;
use crate::pulse::Pulse;
use crate::serve::address;
use crate::watchdog::{ADDRESSES, ANNOUNCER, DESCENDANTS, ORPHANS, PROBERS, UNCLAIMED, Watched};
use crate::{probers, unclaimed};

/// What they need.
#[derive(Debug)]
pub(super) struct Loops {
    pub(super) unclaimed: unclaimed::Watch,
    pub(super) probers: probers::Watch,
    pub(super) announcer: Announcer,
    /// All addresses that are listened on, and for what.
    pub(super) listeners: Vec<(String, SocketAddr)>,
    pub(super) problems: Problems,
    pub(super) kept: Kept,
}

impl Loops {
    /// Begins them. Returns where they are seen to beat.
    pub(super) fn begin(self, side: &mut JoinSet<()>, clock: Clock) -> Vec<Watched> {
        let mut watched = Vec::new();
        let mut beating = |ward: Ward| {
            let pulse = Pulse::default();
            pulse.beat(clock);
            watched.push(Watched { ward, pulse: pulse.clone() });
            pulse
        };
        side.spawn(self.unclaimed.run(beating(UNCLAIMED), clock));
        side.spawn(self.probers.run(beating(PROBERS)));
        side.spawn(self.announcer.run(beating(ANNOUNCER)));
        side.spawn(address::watch_forever(self.listeners, self.problems, beating(ADDRESSES), clock));
        side.spawn(self.kept.look_forever(beating(DESCENDANTS), clock));
        if orphans::adopts() {
            side.spawn(orphans::reap_forever(beating(ORPHANS), clock));
        }
        watched
    }
}
