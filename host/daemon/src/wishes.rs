//! What people want of the modules, kept in `state/wishes.json` so that it
//! outlives the daemon and the machine.
//!
//! ```text
//!   core ──remember──▶ task: write, sync, rename ──▶ the command's answer
//! ```
//! A command is answered after what it changes is on disk. The disk is waited
//! for by a task of its own, never by the core.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::command::CommandOutcome;
use bellwether_core::event::Wish;
use bellwether_core::id::ModuleName;
use tokio::sync::{mpsc, oneshot};

use crate::durable;

type All = BTreeMap<ModuleName, Wish>;

/// Jobs that wait for the disk. A person gives one command at a time.
const WAITING: usize = 256;

/// Remembers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wishes(mpsc::Sender<Job>);

#[derive(Debug)]
enum Job {
    Remember(ModuleName, Wish),
    Answer(oneshot::Sender<CommandOutcome>, CommandOutcome),
}

impl Wishes {
    /// What was wanted before, and the task that writes what is wanted from now on.
    /// A damaged file is set aside, and reported in the second value.
    pub fn open(root: &Path) -> (Self, All, Option<String>) {
        let path = root.join("state/wishes.json");
        let (all, problem) = match read(&path) {
            Ok(all) => (all, None),
            Err(error) => {
                let aside = path.with_extension("json.damaged");
                let moved = fs::rename(&path, &aside).map_or("could not be set aside", |()| "is set aside");
                let problem = format!(
                    "state/wishes.json {moved}: {error}; every module counts as wanted started, none as suspended"
                );
                (All::new(), Some(problem))
            }
        };
        let (sender, jobs) = mpsc::channel(WAITING);
        tokio::spawn(work(path, all.clone(), jobs));
        (Self(sender), all, problem)
    }

    /// Writes a wish down.
    pub fn remember(&self, module: ModuleName, wish: Wish) {
        self.send(Job::Remember(module, wish));
    }

    /// Answers a command, once all that was to be remembered before is on disk.
    pub fn answer(&self, answer: oneshot::Sender<CommandOutcome>, outcome: CommandOutcome) {
        self.send(Job::Answer(answer, outcome));
    }

    fn send(&self, job: Job) {
        let Err(error) = self.0.try_send(job) else { return };
        tracing::error!("the disk does not keep up with commands");
        match error.into_inner() {
            // The command was carried out: that is said, and what is missing with it.
            Job::Answer(answer, outcome) => tell(answer, outcome, Some("the disk does not keep up")),
            Job::Remember(module, _) => {
                tracing::error!(%module, "what a person wants will not survive this daemon");
            }
        }
    }
}

/// Answers a command. One that was carried out and could not be written down says so.
fn tell(answer: oneshot::Sender<CommandOutcome>, outcome: CommandOutcome, unwritten: Option<&str>) {
    let outcome = match (outcome, unwritten) {
        (CommandOutcome::Accepted(what), Some(why)) => CommandOutcome::Accepted(format!(
            "{what}; but it could not be written down and will not survive a restart of the daemon: {why}"
        )),
        (outcome, _) => outcome,
    };
    // A client that has gone away misses nothing.
    drop(answer.send(outcome));
}

async fn work(path: PathBuf, mut all: All, mut jobs: mpsc::Receiver<Job>) {
    let mut unwritten: Option<String> = None;
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Remember(module, wish) => {
                all.insert(module, wish);
                let (path, all) = (path.clone(), all.clone());
                let written = tokio::task::spawn_blocking(move || write(&path, &all)).await;
                match written.map_err(io::Error::other).and_then(|written| written) {
                    Ok(()) => unwritten = None,
                    Err(error) => {
                        tracing::error!(%error, "what a person wants could not be written to state/wishes.json");
                        unwritten = Some(error.to_string());
                    }
                }
            }
            Job::Answer(answer, outcome) => tell(answer, outcome, unwritten.as_deref()),
        }
    }
}

fn read(path: &Path) -> io::Result<All> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(All::new()),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, all: &All) -> io::Result<()> {
    durable::replace(path, &serde_json::to_vec_pretty(all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        root
    }

    #[tokio::test]
    async fn a_wish_is_on_disk_before_its_command_is_answered() {
        let root = root();
        let (wishes, before, _) = Wishes::open(root.path());
        assert!(before.is_empty());
        let web: ModuleName = "web".parse().unwrap();
        let stopped = Wish { started: false, suspended: true };
        wishes.remember(web.clone(), stopped);
        let (answer, answered) = oneshot::channel();
        wishes.answer(answer, CommandOutcome::Accepted(String::new()));
        answered.await.unwrap();
        let (_, after, problem) = Wishes::open(root.path());
        assert_eq!((after.get(&web), problem), (Some(&stopped), None));
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_and_reported() {
        let root = root();
        fs::write(root.path().join("state/wishes.json"), "{ \"web\": ").unwrap();
        let (_, all, problem) = Wishes::open(root.path());
        assert!(all.is_empty());
        assert!(problem.unwrap().contains("is set aside"));
        assert!(root.path().join("state/wishes.json.damaged").exists());
    }
}
