//! Several daemons that form a farm.

use std::net::SocketAddr;
use std::process::Output;

use crate::answers::{FarmNode, FarmStatus, Hearing, Status, read};
use crate::api;
use crate::daemon::{Conditions, Daemon};
use crate::eventually::{PATIENCE, eventually, wait};
use crate::http;
use crate::network::Network;
use crate::root::{Root, free_address};

/// A node that is, or may become, a node of a farm. It has a module `web` without checkers of its own.
#[derive(Debug)]
pub struct Member {
    pub daemon: Daemon,
    pub root: Root,
    pub name: String,
    /// The address of its metrics.
    pub metrics: SocketAddr,
}

const MODULE: &str =
    "[commands]\nstart = { run = [\"/bin/sleep\", \"1003\"], keep = true }\n[health]\ndrain = \"0s\"\n";

impl Member {
    /// A running node on the loopback that is in no farm.
    pub fn run(name: &str) -> Self {
        Self::run_under(name, free_address(), Conditions::default())
    }

    /// A running node that listens there for other nodes.
    pub fn run_under(name: &str, listen: SocketAddr, conditions: Conditions) -> Self {
        let metrics = free_address();
        let listeners = format!("[metrics]\nlisten = \"{metrics}\"\n[farm]\nlisten = \"{listen}\"\n");
        let root = Root::new(name, &listeners);
        root.write("modules/web.toml", MODULE);
        let daemon = Daemon::run_under(conditions, root.path(), root.health);
        Self { daemon, root, name: name.to_owned(), metrics }
    }

    /// The farm as this node sees it.
    ///
    /// # Panics
    /// If the daemon does not answer.
    pub fn farm(&self) -> FarmStatus {
        self.try_farm().unwrap_or_else(|| panic!("{} has no farm status\n{}", self.name, self.daemon.log()))
    }

    /// Without waiting for fresh pictures of the others.
    fn try_farm(&self) -> Option<FarmStatus> {
        let answer = api::ask(self.root.path(), "GET", "/farm?within_ms=0")?;
        (answer.status == 200).then(|| answer.read())
    }

    /// Waits until `wanted` is true for the farm as this node sees it.
    ///
    /// # Panics
    /// If it never is.
    pub fn until_farm(&self, what: &str, wanted: impl Fn(&FarmStatus) -> bool) -> FarmStatus {
        wait(PATIENCE, || self.try_farm().filter(&wanted)).unwrap_or_else(|| {
            panic!("{}: the farm is not {what} but {:#?}\n{}", self.name, self.try_farm(), self.daemon.log())
        })
    }

    /// Waits until `wanted` is true for another node as this one sees it.
    ///
    /// # Panics
    /// If it never is.
    pub fn until_sees(&self, other: &str, what: &str, wanted: impl Fn(&FarmNode) -> bool) -> FarmNode {
        let farm =
            self.until_farm(&format!("with {other} {what}"), |farm| farm.find(other).is_some_and(&wanted));
        farm.find(other).cloned().expect("it is there")
    }

    /// Waits until this node hears another one, or does not hear it.
    pub fn until_hearing(&self, other: &str, hearing: Hearing) -> FarmNode {
        self.until_sees(other, &format!("{hearing:?}"), |node| node.hearing == hearing)
    }

    /// Waits until this node hears all the others, and has a picture of each.
    pub fn until_hears_all(&self, others: &[&str]) -> FarmStatus {
        self.until_farm(&format!("{others:?}, all heard"), |farm| {
            farm.nodes.len() == others.len()
                && others.iter().all(|name| {
                    farm.find(name).is_some_and(|node| {
                        matches!(node.hearing, Hearing::This | Hearing::Heard) && node.status.is_some()
                    })
                })
        })
    }

    /// The value of a metric.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let page = http::get(self.metrics, "/metrics")?.body;
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.and_then(|value| value.trim().parse().ok())
    }

    /// A new invitation.
    ///
    /// # Panics
    /// If the node prints none.
    pub fn invite(&self) -> String {
        let said = self.daemon.tell(&["farm", "invite"]);
        said.split_whitespace().find(|word| word.starts_with("bw1.")).expect("an invitation").to_owned()
    }

    /// Tries to join with this invitation.
    pub fn join(&self, line: &str, more: &[&str]) -> Output {
        self.daemon.client(&[&["farm", "join", line], more].concat())
    }

    /// Whether nothing of a farm is in its state folder.
    pub fn is_without_traces(&self) -> bool {
        ["state/farm", "state/farm.joining"].iter().all(|path| !self.root.path().join(path).exists())
    }

    /// The status of another node, asked through this one.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn status_of(&self, other: &str) -> Status {
        read(&self.daemon.tell(&["status", "--json", "--node", other]))
    }
}

/// The members of a new farm, on the loopback. All hear each other.
pub fn found(names: &[&str]) -> Vec<Member> {
    together(names.iter().map(|name| Member::run(name)).collect())
}

/// The same in a network of their own, where they can be cut off. Nothing if there can be none; the reason is on
/// standard error.
pub fn found_apart(names: &[&str]) -> Option<(Vec<Member>, Network)> {
    let network = Network::new(names.len())?;
    let run = |(index, name): (usize, &&str)| {
        let listen = SocketAddr::new(network.address(index), 9014);
        let conditions = Conditions { network: Some(network.host(index)), ..Conditions::default() };
        Member::run_under(name, listen, conditions)
    };
    let members = names.iter().enumerate().map(run).collect();
    Some((together(members), network))
}

fn together(members: Vec<Member>) -> Vec<Member> {
    let (first, others) = members.split_first().expect("a farm has a node");
    first.daemon.tell(&["farm", "init"]);
    for other in others {
        other.daemon.tell(&["farm", "join", &first.invite()]);
    }
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    for member in &members {
        member.until_hears_all(&names);
    }
    members
}

/// Waits until a node's journal has a record of this kind with these words in it.
pub fn until_recorded(member: &Member, kind: &str, words: &str) {
    eventually(&format!("{} records {kind}: {words}", member.name), || {
        let events = member.daemon.events();
        events.iter().any(|event| event.kind == kind && event.text.contains(words)).then_some(())
    });
}
