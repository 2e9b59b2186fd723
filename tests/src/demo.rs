//! A running `bellwether demo`, and its output.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use rustix::process::Signal;

use crate::binary::bellwether;
use crate::daemon::end_applications;
use crate::eventually::{PATIENCE, eventually};
use crate::failed::{keep_folder, keep_text};
use crate::process::{Guarded, signal};

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
        let mut command = Command::new(bellwether());
        command.arg("demo").env("TMPDIR", temporary).env_remove("BELLWETHER_ROOT");
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
        let found = self
            .urls()
            .into_iter()
            .find_map(|url| url.strip_prefix("http://")?.strip_suffix(end)?.parse().ok());
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
        end_applications(&self.root);
        keep_text("demo", || self.printed.join("\n"));
        // Before it has printed the path of its root, it has none.
        if self.root.is_dir() {
            keep_folder(&self.root, "root");
        }
    }
}
