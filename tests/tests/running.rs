//! A daemon in long-term operation: signals, messages to the service manager, and stalled parts.

use bellwether_tests::daemon::Daemon;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

mod doctor;
mod install;
mod log;
mod service_manager;
mod signals;
mod upgrade;
mod watchdogs;

/// A daemon with the module `web`, which serves, with `more` in the node's file.
fn serving(more: &str) -> (Root, Web, Daemon, u32) {
    let root = Root::new("node-1", more);
    let web = Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let pid = application(&daemon);
    (root, web, daemon, pid)
}

/// The process id of the module's application.
fn application(daemon: &Daemon) -> u32 {
    let pids = daemon.processes("web");
    assert_eq!(pids.len(), 1, "{:?}", daemon.module("web"));
    *pids.first().expect("there is one")
}
