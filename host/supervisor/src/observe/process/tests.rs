use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bellwether_core::id::CommandName;
use bellwether_core::plan::Signal;

use super::*;
use bellwether_config::spec::ProcessBounds;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::pidfd::PidFd;

/// Longer than any test, so that everything that comes earlier came without polling.
const NEVER: Duration = Duration::from_hours(1);

/// Kills its child even if a test fails.
struct Guard(Child);
impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that is found by its unique argument.
fn marked(word: &str) -> Guard {
    use std::io::Read;
    let mut child = Guard(
        Command::new("/bin/sh")
            .args(["-c", "echo ready; read line", &marker(word)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    // Right after its start, its command line is not visible yet.
    child.0.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    child
}

fn marker(word: &str) -> String {
    format!("{word}-of-{}", std::process::id())
}

fn by_marker(word: &str, at_least: u32) -> ProcessSpec {
    let pattern = format!(" {}$", marker(word));
    spec(Find::Arguments(regex::Regex::new(&pattern).unwrap()), at_least)
}

fn spec(find: Find, at_least: u32) -> ProcessSpec {
    ProcessSpec {
        find,
        at_least,
        at_most: None,
        containers: false,
        of: bellwether_os::process::find::Of::Host,
        bounds: ProcessBounds::default(),
    }
}

struct Watch {
    seen: mpsc::Receiver<Observation>,
    task: JoinHandle<()>,
    context: ProcessContext,
}

impl Watch {
    fn begin(spec: ProcessSpec, interval: Duration, eager: bool) -> Self {
        let context = ProcessContext {
            clock: Clock::start(),
            table: ProcessTable::default(),
            kept: KeptTable::default(),
            module: ModuleName::new("web").unwrap(),
        };
        let (out, seen) = mpsc::channel(8);
        let task = tokio::spawn(watch_processes(spec, interval, eager, context.clone(), out));
        Self { seen, task, context }
    }

    async fn next(&mut self) -> (Status, String) {
        let next = tokio::time::timeout(Duration::from_secs(30), self.seen.recv()).await;
        let observation = next.expect("an observation is due").expect("the watch goes on");
        (observation.status, observation.summary)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_death_and_a_new_process_are_seen_between_two_intervals() {
    let child = marked("single");
    let pid = child.0.id();
    let mut watch = Watch::begin(by_marker("single", 1), NEVER, true);
    let (status, summary) = watch.next().await;
    assert_eq!(status, Status::Pass);
    assert!(summary.ends_with(&format!("(pid {pid})")), "{summary}");
    // Not reaped: a zombie does not count as alive.
    PidFd::of_child(&child.0).unwrap().signal(Signal::Kill).unwrap();
    let (status, summary) = watch.next().await;
    assert_eq!(status, Status::Fail);
    assert!(summary.starts_with(&format!("pid {pid} has ended; no process matching")), "{summary}");
    let again = marked("single");
    let (status, summary) = watch.next().await;
    assert_eq!(status, Status::Pass);
    assert!(summary.ends_with(&format!("(pid {})", again.0.id())), "{summary}");
}

#[tokio::test]
async fn the_death_of_one_of_several_is_told_while_enough_remain() {
    let (first, second) = (marked("several"), marked("several"));
    let mut watch = Watch::begin(by_marker("several", 1), NEVER, false);
    assert_eq!(watch.next().await.0, Status::Pass);
    let pid = first.0.id();
    drop(first);
    let (status, summary) = watch.next().await;
    assert_eq!(status, Status::Pass);
    assert!(summary.starts_with(&format!("pid {pid} has ended; 1 process matching")), "{summary}");
    drop(second);
    assert_eq!(watch.next().await.0, Status::Fail);
}

#[tokio::test]
async fn each_interval_measures_and_reports() {
    let child = marked("measured");
    let mut watch = Watch::begin(by_marker("measured", 1), Duration::from_millis(50), false);
    let first = watch.seen.recv().await.unwrap();
    let second = watch.seen.recv().await.unwrap();
    assert_eq!(first.processes, second.processes);
    assert_eq!(first.processes[0].pid, child.0.id());
    let names = |seen: &Observation| -> Vec<String> {
        seen.measurements.iter().map(|measured| measured.name.clone()).collect()
    };
    assert!(!names(&first).contains(&"cpu".to_owned()), "there is nothing to compare with yet");
    for name in ["processes", "resident-memory", "cpu", "open-files", "threads", "uptime"] {
        assert!(names(&second).contains(&name.to_owned()), "{name}");
    }
    assert!(second.at.since(first.at) >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_kept_process_is_followed_without_looking_for_it() {
    let command = CommandName::new("start").unwrap();
    let mut watch = Watch::begin(spec(Find::Kept(command.clone()), 1), NEVER, false);
    let (kept, module) = (watch.context.kept.clone(), watch.context.module.clone());
    assert_eq!(watch.next().await, (Status::Fail, "process `start` has not been started".to_owned()));
    let child = marked("kept");
    let id = ProcessId::of(child.0.id()).unwrap();
    kept.publish(&module, &command, KeptState::Running(id));
    assert_eq!(watch.next().await, (Status::Pass, format!("1 process `start` (pid {})", id.pid)));
    drop(child);
    let at = watch.context.clock.now();
    let ended = KeptState::Ended { pid: id.pid, how: "was ended by SIGKILL".to_owned(), at };
    kept.publish(&module, &command, ended);
    let summary = format!("process `start` (pid {}) was ended by SIGKILL", id.pid);
    assert_eq!(watch.next().await, (Status::Fail, summary));
}

#[tokio::test]
async fn a_watch_ends_when_nobody_receives() {
    let child = marked("unheard");
    let mut watch = Watch::begin(by_marker("unheard", 1), Duration::from_millis(20), false);
    watch.next().await;
    watch.seen.close();
    let ended = tokio::time::timeout(Duration::from_secs(30), &mut watch.task).await;
    ended.expect("it ends").unwrap();
    drop(child);
}
