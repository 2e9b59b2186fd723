//! Runs a declared command and captures its output.
//!
//! ```text
//!   start ──▶ its outputs are read, 64 KiB of each kept ──▶ it ends ──▶ its group is killed,
//!                 │ its time is up: killed with its group                 the rest is read
//!                 ▼
//!              Overdue
//! ```
//! Steps of plans are not run this way: what they start may live on, and must not write into a pipe that is no
//! longer read.

use std::io;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bellwether_core::moment::plain;
use bellwether_core::text::without_control;
use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;

use super::child::{Home, Launch, Streams};
use super::running::Running;
use crate::process::ending::Ending;

/// The maximum that is kept of each output, in bytes.
pub const MAX_KEPT: usize = 64 << 10;
/// The maximum length of the last line that is shown, in characters.
const MAX_SAID: usize = 200;
/// Processes that have left the group of a command that has ended may keep its outputs open. They are waited for no
/// longer than this.
const REST: Duration = Duration::from_millis(100);

/// A command that has completed, successfully or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The exit code or signal.
    pub ending: Ending,
    /// The first 64 KiB of its standard output.
    pub stdout: Vec<u8>,
    /// The first 64 KiB of its standard error.
    pub stderr: Vec<u8>,
    /// Whether it wrote more than that.
    pub truncated: bool,
    /// The time from its start to its end.
    pub took: Duration,
}

impl Captured {
    /// The last line that it wrote, preferably to standard error. Truncated to the number of characters that are
    /// shown.
    pub fn last_words(&self) -> Option<String> {
        let said = String::from_utf8_lossy(if self.stderr.is_empty() { &self.stdout } else { &self.stderr });
        let line = said.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(without_control(line).trim().chars().take(MAX_SAID).collect())
    }
}

/// Why a command did not complete.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It cannot be started, or cannot be monitored.
    #[error("{0:#}")]
    Start(anyhow::Error),
    /// It exceeded its time limit and was killed.
    #[error("did not end within {} and was killed", plain(*.0))]
    Overdue(Duration),
}

/// Runs the command with a time limit. It is killed with its process group when its time is up, when it has ended
/// itself, and when the future is dropped. Must be called in a tokio runtime.
pub async fn run(
    home: &Home,
    launch: &Launch<'_>,
    stdin: Option<Vec<u8>>,
    within: Duration,
) -> Result<Captured, CaptureError> {
    let began = Instant::now();
    let (running, mut pipes) = start(home, launch, stdin).map_err(CaptureError::Start)?;
    let talk = async {
        let mut pumping = pin!(pipes.pump().fuse());
        let mut end = pin!(running.end_alone());
        let ending = loop {
            tokio::select! {
                ending = &mut end => break ending,
                () = &mut pumping => {}
            }
        };
        let took = began.elapsed();
        if !pumping.is_terminated() {
            // An error: a process keeps them open, and what has been read is sufficient.
            let _ = tokio::time::timeout(REST, pumping).await;
        }
        ending.map(|ending| (ending, took))
    };
    let talked = tokio::time::timeout(within, talk).await.map_err(|_| CaptureError::Overdue(within))?;
    let (ending, took) = talked.map_err(|error| CaptureError::Start(error.into()))?;
    let Pipes { stdout, stderr, .. } = pipes;
    let truncated = stdout.truncated || stderr.truncated;
    Ok(Captured { ending, stdout: stdout.kept, stderr: stderr.kept, truncated, took })
}

fn start(home: &Home, launch: &Launch<'_>, stdin: Option<Vec<u8>>) -> anyhow::Result<(Running, Pipes)> {
    let no_pipe = || format!("cannot make a pipe for command `{}`", launch.command);
    let (ours, stdout) = io::pipe().with_context(no_pipe)?;
    let stdout_kept = Catch::new(ours).with_context(no_pipe)?;
    let (ours, stderr) = io::pipe().with_context(no_pipe)?;
    let stderr_kept = Catch::new(ours).with_context(no_pipe)?;
    let (said, stdin) = match stdin {
        Some(bytes) => {
            let (theirs, ours) = io::pipe().with_context(no_pipe)?;
            let ours = pipe::Sender::from_owned_fd(ours.into()).with_context(no_pipe)?;
            (Some((ours, bytes)), theirs.into())
        }
        None => (None, Stdio::null()),
    };
    let streams = Streams { stdin, stdout: stdout.into(), stderr: stderr.into() };
    let running = Running::start(home, launch, streams)?;
    Ok((running, Pipes { said, stdout: stdout_kept, stderr: stderr_kept }))
}

/// The daemon's ends of the pipes.
struct Pipes {
    said: Option<(pipe::Sender, Vec<u8>)>,
    stdout: Catch,
    stderr: Catch,
}

impl Pipes {
    /// Runs until both outputs are at their end.
    async fn pump(&mut self) {
        let Self { said, stdout, stderr } = self;
        let say = async {
            if let Some((mut pipe, bytes)) = said.take() {
                // A command need not read all of its input.
                let _ = pipe.write_all(&bytes).await;
            }
        };
        tokio::join!(say, stdout.fill(), stderr.fill());
    }
}

/// The part of an output that is kept. The rest is read as well, because otherwise the command would block.
struct Catch {
    pipe: pipe::Receiver,
    kept: Vec<u8>,
    truncated: bool,
}

impl Catch {
    fn new(pipe: io::PipeReader) -> io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(pipe.into())?;
        Ok(Self { pipe, kept: Vec::new(), truncated: false })
    }

    async fn fill(&mut self) {
        let mut buffer = [0; 4096];
        // An error ends the output as well: what was read so far is kept.
        while let Ok(length @ 1..) = self.pipe.read(&mut buffer).await {
            let read = buffer.get(..length).unwrap_or_default();
            let room = MAX_KEPT - self.kept.len();
            self.kept.extend(read.iter().take(room));
            self.truncated |= length > room;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::harness::{Harness, shell};
    use bellwether_testing::process::{PATIENCE, command, processes_of};

    const LONG: Duration = PATIENCE;

    async fn captured(
        harness: &Harness,
        script: &str,
        stdin: Option<&[u8]>,
        within: Duration,
    ) -> Result<Captured, CaptureError> {
        let (name, spec) = (command("probe"), shell(script, false));
        let launch = Launch { module: &harness.module, command: &name, spec: &spec, arguments: &[] };
        run(&harness.home(), &launch, stdin.map(<[u8]>::to_vec), within).await
    }

    #[tokio::test]
    async fn both_outputs_and_the_ending_are_kept() {
        let harness = Harness::new();
        let told = captured(&harness, "cat; echo no >&2; exit 3", Some(b"in"), LONG).await.unwrap();
        assert_eq!(told.ending, Ending::Exited(3));
        assert_eq!((told.stdout.as_slice(), told.stderr.as_slice()), (&b"in"[..], &b"no\n"[..]));
        assert!(!told.truncated);
        let told = captured(&harness, "cat; kill -9 $$", None, LONG).await.unwrap();
        assert_eq!(told.ending, Ending::Signaled { signal: 9, dumped: false });
        assert_eq!(told.stdout, b"", "there is nothing to read");
        // A command that does not read its input ends all the same.
        let told = captured(&harness, "exit 0", Some(&vec![b'x'; 64 << 10]), LONG).await.unwrap();
        assert_eq!(told.ending, Ending::Exited(0));
    }

    #[tokio::test]
    async fn of_a_flood_the_first_of_it_is_kept_and_the_command_comes_to_its_end() {
        let harness = Harness::new();
        let script = "head -c 1000000 /dev/zero | tr '\\0' x; head -c 65536 /dev/zero >&2; exit 7";
        let told = captured(&harness, script, None, LONG).await.unwrap();
        assert_eq!((told.ending, told.truncated), (Ending::Exited(7), true));
        assert!(told.stdout.len() == MAX_KEPT && told.stdout.iter().all(|byte| *byte == b'x'));
        assert_eq!(told.stderr.len(), MAX_KEPT);
    }

    #[tokio::test]
    async fn it_gets_no_descriptor_but_its_three_streams() {
        let harness = Harness::new();
        // One descriptor that the daemon opened, and one that it inherited.
        let ours = std::fs::File::open("/dev/null").unwrap();
        let _inherited = rustix::io::dup(&ours).unwrap();
        crate::process::inherited::close_on_exec();
        let told = captured(&harness, "exec ls /proc/self/fd", None, LONG).await.unwrap();
        // The last one is the folder that is being listed.
        assert_eq!(String::from_utf8_lossy(&told.stdout), "0\n1\n2\n3\n");
    }

    #[tokio::test]
    async fn what_takes_too_long_or_is_given_up_is_killed_with_its_group() {
        let harness = Harness::new();
        let error = captured(&harness, "sleep 600 & sleep 601", None, Duration::from_millis(100)).await;
        assert_eq!(error.unwrap_err().to_string(), "did not end within 100ms and was killed");
        harness.nobody_is_left().await;
        let given_up = captured(&harness, "sleep 600 & sleep 601", None, LONG);
        assert!(tokio::time::timeout(Duration::from_millis(100), given_up).await.is_err());
        harness.nobody_is_left().await;
    }

    #[tokio::test]
    async fn what_it_leaves_behind_ends_with_it() {
        let harness = Harness::new();
        let told = captured(&harness, "sleep 600 & echo done", None, LONG).await.unwrap();
        assert_eq!((told.ending, told.stdout.as_slice()), (Ending::Exited(0), &b"done\n"[..]));
        harness.nobody_is_left().await;
    }

    #[tokio::test]
    async fn one_that_has_left_its_group_with_the_outputs_open_is_not_waited_for() {
        let harness = Harness::new();
        // It reports when it has left the group; otherwise it would be killed with the others.
        let script = "mkfifo left; setsid sh -c 'echo > left; exec sleep 600' & read line < left; echo done";
        let told = captured(&harness, script, None, LONG).await.unwrap();
        assert_eq!((told.ending, told.stdout.as_slice()), (Ending::Exited(0), &b"done\n"[..]));
        // If the outputs were waited for, its end would be waited for.
        assert_eq!(processes_of(harness.root.path()).len(), 1);
    }

    #[tokio::test]
    async fn one_that_cannot_be_started_says_why() {
        let harness = Harness::new();
        let (name, mut spec) = (command("probe"), shell("", false));
        spec.run = vec!["/no/such/program".to_owned()];
        let launch = Launch { module: &harness.module, command: &name, spec: &spec, arguments: &[] };
        let error = run(&harness.home(), &launch, None, LONG).await.unwrap_err().to_string();
        assert!(error.contains("there is no program /no/such/program"), "{error}");
    }
}
