//! A running `bellwether demo`, and its output.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use rustix::process::Signal;

use crate::binary::bellwether;
use crate::daemon::end_applications;
use crate::eventually::{PATIENCE, eventually, wait};
use crate::failed::{keep_folder, keep_text};
use crate::process::{Guarded, is_alive, signal};

/// More lines than a demo ever prints.
const MAX_LINES: usize = 10_000;

/// When it is dropped, it and its application are killed.
#[derive(Debug)]
pub struct Demo {
    child: Guarded,
    lines: Receiver<String>,
    /// Its output until it was ready.
    pub printed: Vec<String>,
    pub root: PathBuf,
}

impl Demo {
    /// Runs it until it has printed things to try. Without a root it creates a temporary one in `temporary`.
    ///
    /// # Panics
    /// If it does not get that far.
    pub fn run(root: Option<&Path>, temporary: &Path) -> Self {
        Self::run_with(&[], root, temporary)
    }

    /// The same with more arguments.
    ///
    /// # Panics
    /// If it does not get that far.
    pub fn run_with(arguments: &[&str], root: Option<&Path>, temporary: &Path) -> Self {
        let mut command = Command::new(bellwether());
        command.arg("demo").args(arguments).env("TMPDIR", temporary).env_remove("BELLWETHER_ROOT");
        if let Some(root) = root {
            command.arg("--root").arg(root);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the demo starts");
        let mut child = Guarded(child);
        let out = child.0.stdout.take().expect("it is piped");
        let (say, lines) = sync_channel(MAX_LINES);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok).take(MAX_LINES) {
                if say.try_send(line).is_err() {
                    break;
                }
            }
        });
        let mut demo = Self { child, lines, printed: Vec::new(), root: PathBuf::new() };
        while !demo.printed.last().is_some_and(|line| line.starts_with("Ctrl-C ends the demo")) {
            // It compiles all components first.
            let line = demo.lines.recv_timeout(2 * PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("the demo says no more: {:#?}", demo.printed));
            demo.printed.push(line);
        }
        let place = demo.printed.iter().find_map(|line| {
            let named = line.strip_prefix("Created an example in ").map(|rest| rest.trim_end_matches('.'));
            named.or_else(|| line.split_once(" already has modules").map(|(root, _)| root))
        });
        demo.root = place.expect("it says where its root is").into();
        demo
    }

    /// Waits for a further line that contains this text, and returns it.
    ///
    /// # Panics
    /// If it is not printed.
    pub fn until_printed(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}: {:#?}", self.printed));
            self.printed.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The addresses in all URLs with this ending, each once.
    pub fn addresses(&self, end: &str) -> Vec<SocketAddr> {
        let urls = self.urls().into_iter();
        let all = urls.filter_map(|url| url.strip_prefix("http://")?.strip_suffix(end)?.parse().ok());
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in all {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// The address of the load balancer.
    ///
    /// # Panics
    /// If there is none.
    pub fn traffic(&self) -> SocketAddr {
        let mut lines = self.printed.iter().map(|line| line.trim());
        let found =
            lines.find_map(|line| line.strip_prefix("traffic http://")?.strip_suffix('/')?.parse().ok());
        found.unwrap_or_else(|| panic!("no traffic: {:#?}", self.printed))
    }

    /// Its URLs, in the order of the output.
    pub fn urls(&self) -> Vec<&str> {
        self.printed
            .iter()
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("http://")))
            .collect()
    }

    /// The address in the first URL with this ending.
    ///
    /// # Panics
    /// If there is no such URL.
    pub fn address(&self, end: &str) -> SocketAddr {
        let found = self.addresses(end).first().copied();
        found.unwrap_or_else(|| panic!("no URL with {end}: {:#?}", self.printed))
    }

    /// Sends Ctrl-C, and waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub fn interrupt(&mut self) -> ExitStatus {
        signal(self.child.0.id(), Signal::INT);
        eventually("the demo ends", || self.child.0.try_wait().ok().flatten())
    }

    /// Kills only the demo itself.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill(&mut self) {
        self.child.0.kill().expect("the demo is there");
        self.child.0.wait().expect("it is our child");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.0.kill());
        drop(self.child.0.wait());
        // Its nodes end by themselves, and are not to disturb the next test.
        wait(PATIENCE, || processes_of(&self.root).iter().all(|process| !process.is_node).then_some(()));
        end_applications(&self.root);
        keep_text("demo", || self.printed.join("\n"));
        // Before it has printed the path of its root, it has none.
        if self.root.is_dir() {
            keep_folder(&self.root, "root");
        }
    }
}

/// A process that belongs to a demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoProcess {
    pub id: u32,
    /// Whether it is the daemon of a node, and not an application.
    pub is_node: bool,
    /// The folder of its node.
    pub root: PathBuf,
}

/// The processes of the demo on this root: the daemons of its nodes, and their applications.
pub fn processes_of(root: &Path) -> Vec<DemoProcess> {
    if root.as_os_str().is_empty() {
        return Vec::new();
    }
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let demo = ids.filter_map(|id| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut arguments = line.split('\0').skip(1);
        let (is_node, own) = match arguments.next()? {
            "demo-node" => (true, PathBuf::from(arguments.nth(1)?)),
            "demo-app" => (false, std::fs::read_link(format!("/proc/{id}/cwd")).ok()?),
            _ => return None,
        };
        (own.starts_with(root) && is_alive(id)).then_some(DemoProcess { id, is_node, root: own })
    });
    demo.collect()
}
