//! Loops beside the core whose stall nothing else would show, which is why the watchdog looks at their heartbeats; and the
//! rotation of logs.

use bellwether_health::probers;
use bellwether_os::address;
use bellwether_os::process::orphans;
use bellwether_os::spawn::log_file::rotate_forever;
use bellwether_supervisor::announcer::Announcer;
use bellwether_supervisor::unclaimed;

use super::base::Base;
use super::listeners;
use super::supervision::Supervision;
use super::tasks::Tasks;
use crate::watchdog::{ADDRESSES, ANNOUNCER, DESCENDANTS, ORPHANS, PROBERS, UNCLAIMED};

pub(super) fn start(base: &Base, supervision: &Supervision, tasks: &mut Tasks) {
    let clock = base.clock;
    let unclaimed = unclaimed::Watch {
        root: base.root.clone(),
        kept: supervision.kept.clone(),
        loaded_modules: supervision.context.loaded_modules.clone(),
        published: base.published.clone(),
        problems: base.problems.clone(),
    };
    let heartbeat = tasks.heartbeat(UNCLAIMED, clock);
    tasks.spawn(unclaimed.run(heartbeat, clock));
    let probers = probers::Watch {
        probers: base.probers.clone(),
        published: base.published.clone(),
        clock,
        messages: base.events.clone(),
    };
    let heartbeat = tasks.heartbeat(PROBERS, clock);
    tasks.spawn(probers.run(heartbeat));
    let announcer = Announcer {
        home: supervision.home.clone(),
        loaded_modules: supervision.context.loaded_modules.clone(),
        published: base.published.clone(),
        clock,
        messages: base.events.clone(),
        problems: base.problems.clone(),
    };
    let heartbeat = tasks.heartbeat(ANNOUNCER, clock);
    tasks.spawn(announcer.run(heartbeat));
    let problems = base.problems.clone();
    let report = move |absent: &[String]| problems.set("addresses", absent);
    let heartbeat = tasks.heartbeat(ADDRESSES, clock);
    tasks.spawn(address::watch_forever(listeners::addresses(&base.node), report, heartbeat, clock));
    let heartbeat = tasks.heartbeat(DESCENDANTS, clock);
    tasks.spawn(supervision.kept.clone().look_forever(heartbeat, clock));
    if orphans::adopts() {
        let heartbeat = tasks.heartbeat(ORPHANS, clock);
        tasks.spawn(orphans::reap_forever(heartbeat, clock));
    }
    tasks.spawn(rotate_forever(base.root.clone()));
}
