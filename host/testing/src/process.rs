//! Processes of a test: found by their working directory, and killed when the test is over.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bellwether_core::id::CommandName;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

/// Longer than other processes take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A running process, as described by `proc_pid_stat(5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub pid: u32,
    /// Its process group; 0 if that was created outside this PID namespace.
    pub group: u32,
    /// The name of its program in the kernel.
    pub name: String,
}

impl Running {
    /// The process of this id, unless it has ended.
    fn read(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain any characters, including parentheses and spaces.
        let (before, after) = text.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let mut fields = after.split_whitespace();
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let runs = !matches!(state, "Z" | "X" | "x");
        runs.then(|| Self { pid, group, name: name.to_owned() })
    }
}

/// Processes with this working directory.
pub fn processes_of(root: &Path) -> Vec<Running> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == root))
        .filter_map(Running::read)
        .collect()
}

/// A folder for one test. Processes that were started in it are killed with it, even if the test fails.
#[derive(Debug)]
pub struct Root(TempDir);

impl Root {
    /// A new one, empty.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(path)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let own = Running::read(std::process::id()).map(|own| own.group).unwrap_or_default();
        for process in processes_of(self.0.path()) {
            let pid = |id: u32| i32::try_from(id).ok().and_then(Pid::from_raw);
            // A process without a group of its own is in that of the tests.
            match pid(process.group).filter(|_| process.group != own) {
                Some(group) => _ = kill_process_group(group, Signal::KILL),
                None => _ = pid(process.pid).map(|pid| kill_process(pid, Signal::KILL)),
            }
        }
    }
}

/// Waits until a condition holds for which there is no event, because other processes cause it.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The name of a command.
pub fn command(name: &str) -> CommandName {
    CommandName::new(name).unwrap()
}

/// Polls a future once, and says whether it is still pending.
pub async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
}
