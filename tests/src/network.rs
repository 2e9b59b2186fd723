//! A network of its own for a test: hosts that can be cut off from each other.
//!
//! Each host is a network namespace, which exists as long as the process that holds it. They are connected by a
//! bridge in another one, so nothing of it is visible on this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use crate::eventually::eventually;
use crate::process::{Guarded, start};
use crate::program::{is_installed, run};

const UNSHARE: &str = "unshare";
const TOOLS: [&str; 4] = [UNSHARE, "nsenter", "ip", "nft"];

/// The hosts. They are gone when this is dropped.
#[derive(Debug)]
pub struct Network {
    bridge: Guarded,
    hosts: Vec<Guarded>,
}

impl Network {
    /// With this many hosts, which reach each other. If there can be none, reports on standard error that the test is
    /// skipped.
    pub fn new(hosts: usize) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !TOOLS.iter().all(|tool| is_installed(tool)) {
            eprintln!("skipped: needs root, and {TOOLS:?}");
            return None;
        }
        let may = run(UNSHARE, &["--net", "ip", "link", "add", "bridge0", "type", "bridge"]).is_some()
            && run(UNSHARE, &["--net", "nft", "add", "table", "inet", "test"]).is_some();
        if !may {
            eprintln!("skipped: there is no network of a test's own to be had");
            return None;
        }
        let bridge = namespace();
        inside(bridge.0.id(), &["ip", "link", "add", "bridge0", "type", "bridge"]);
        inside(bridge.0.id(), &["ip", "link", "set", "bridge0", "up"]);
        let network = Self { hosts: (0..hosts).map(|_| namespace()).collect(), bridge };
        for index in 0..hosts {
            network.connect(index);
        }
        Some(network)
    }

    fn connect(&self, index: usize) {
        let (bridge, host) = (self.bridge.0.id(), self.host(index));
        let (port, address) = (format!("port{index}"), format!("{}/24", self.address(index)));
        let peer = ["peer", "name", "eth0", "netns", &host.to_string()];
        inside(bridge, &[&["ip", "link", "add", &port, "type", "veth"], peer.as_slice()].concat());
        inside(bridge, &["ip", "link", "set", &port, "master", "bridge0", "up"]);
        inside(host, &["ip", "address", "add", &address, "dev", "eth0"]);
        inside(host, &["ip", "link", "set", "eth0", "up"]);
        inside(host, &["ip", "link", "set", "lo", "up"]);
        inside(host, &["nft", "add", "table", "inet", "cut"]);
        inside(
            host,
            &["nft", "add", "chain", "inet", "cut", "in", "{ type filter hook input priority 0 ; }"],
        );
    }

    /// The process that holds a host's namespace.
    pub fn host(&self, index: usize) -> u32 {
        self.hosts[index].0.id()
    }

    /// The address of a host.
    ///
    /// # Panics
    /// If the index has no address: there are at most 254 hosts.
    pub fn address(&self, index: usize) -> IpAddr {
        let last = u8::try_from(index + 1).expect("there are few hosts");
        Ipv4Addr::new(10, 77, 0, last).into()
    }

    /// From now on, nothing that `from` sends arrives at `to`.
    pub fn cut(&self, from: usize, to: usize) {
        let from = self.address(from).to_string();
        inside(self.host(to), &["nft", "add", "rule", "inet", "cut", "in", "ip", "saddr", &from, "drop"]);
    }

    /// From now on, no other host reaches this one, and this one reaches no other.
    pub fn cut_off(&self, host: usize) {
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.cut(other, host);
            self.cut(host, other);
        }
    }

    /// Everything arrives again.
    pub fn heal(&self) {
        for host in &self.hosts {
            inside(host.0.id(), &["nft", "flush", "chain", "inet", "cut", "in"]);
        }
    }
}

/// A process in a network namespace of its own.
fn namespace() -> Guarded {
    let mut command = Command::new(UNSHARE);
    command.args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).stdout(Stdio::null());
    let child = start(&mut command);
    let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let own = of("self");
    eventually("the process has its own network", || {
        (of(&child.0.id().to_string()).is_some_and(|it| Some(it) != own)).then_some(())
    });
    child
}

/// Runs a program in a namespace.
fn inside(process: u32, arguments: &[&str]) {
    let namespace = format!("--net=/proc/{process}/ns/net");
    let arguments = [&[namespace.as_str()], arguments].concat();
    assert!(run("nsenter", &arguments).is_some(), "nsenter {arguments:?}");
}
