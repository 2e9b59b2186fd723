//! One application under the real daemon, from its start to its end.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Child as Client, Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_tests::answers::{Event, State};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::root::Root;
use rustix::process::Signal;

use super::application::{Application, Ask, Child, Laid, Question, recipe};
use super::place::Place;
use super::table::{Row, seconds};
use super::transfer::Transfer;
use super::trees::{Process, processes_of};

const MODULE: &str = "app";
const FILE: &str = "modules/app.toml";
/// Longer than a checker needs for `fall` failures while it runs every 100 ms.
const SLOW: u32 = 6;
/// The differences from the recipe, so that a failure in a test does not wait for the one before it.
const SOON: &str = "backoff = { first = \"50ms\", max = \"500ms\" }";

/// Fields are dropped in this order.
pub(crate) struct Trial {
    daemon: Daemon,
    remains: Remains,
    application: &'static Application,
    laid: Laid,
    row: Row,
    root: Root,
    place: Place,
}

/// All processes that the application has had. Those that are alive at the end of a failed test are killed.
#[derive(Default)]
struct Remains(BTreeSet<Process>);

impl Drop for Remains {
    fn drop(&mut self) {
        for process in &self.0 {
            process.signal(Signal::KILL);
        }
    }
}

/// A client that is connected, or works.
enum Guest {
    Connected { _stream: TcpStream },
    Program(Client),
}

impl Guest {
    fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Tcp(address, send) => {
                let mut stream = TcpStream::connect(address).expect("it listens");
                stream.write_all(send).expect("it hears");
                Self::Connected { _stream: stream }
            }
            Ask::Run(command) => {
                let mut client = Command::new(&command[0]);
                client.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                Self::Program(client.spawn().expect("the client can be run"))
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Self::Program(client) = self {
            drop(client.kill());
            drop(client.wait());
        }
    }
}

impl Trial {
    /// Starts it, and stores its data.
    pub(crate) fn begin(application: &'static Application) -> Self {
        let root = Root::default();
        let place = Place::new(application.name);
        let laid = (application.lay_out)(&place);
        root.write(FILE, module(application, &laid, 0));
        let begun = Instant::now();
        let daemon = Daemon::run(root.path(), root.health);
        let remains = Remains::default();
        let mut trial = Self { daemon, remains, application, laid, row: Row::default(), root, place };
        trial.until_serves();
        trial.row.started = seconds(begun.elapsed());
        if let Some(data) = &trial.laid.data {
            until_answered("its data is confirmed", &data.write);
        }
        trial.until_serves();
        trial
    }

    /// Waits until the node is ready, clients are answered, and the data exists. Returns the main process.
    fn until_serves(&mut self) -> u32 {
        self.daemon.until_ready(MODULE);
        until_answered("it serves", &self.laid.question);
        if let Some(data) = self.laid.data.as_ref().filter(|_| !self.row.started.is_empty()) {
            until_answered("its data is there", &data.read);
        }
        let main = self.main().expect("a process of the kept command");
        self.processes(main);
        main
    }

    fn main(&self) -> Option<u32> {
        self.daemon.processes(MODULE).first().copied()
    }

    /// All of its present processes that end with it.
    fn processes(&mut self, main: u32) -> BTreeSet<Process> {
        let mut found = processes_of(main, self.place.path());
        self.remains.0.extend(&found);
        if let Some(part) = self.laid.outlives {
            found.retain(|process| !process.command_line().contains(part));
        }
        found
    }

    /// The same once another main process serves, and no process of the previous one is left.
    fn until_another_serves(&mut self, before: u32, all: &BTreeSet<Process>) {
        eventually(&format!("{} is started again\n{}", self.application.name, self.daemon.log()), || {
            self.main().filter(|now| *now != before)
        });
        self.until_serves();
        let left: Vec<_> = all.iter().filter(|process| process.is_alive()).collect();
        let lines: Vec<_> = left.iter().map(|process| process.command_line()).collect();
        assert!(lines.is_empty(), "left of the last run: {lines:?}\n{}", self.daemon.tell(&["why", MODULE]));
    }

    /// Resets the count of restarts: each failure is tested separately.
    fn forget(&self) {
        self.daemon.tell(&["reset", MODULE]);
    }

    pub(crate) fn child_killed(&mut self) {
        let main = self.until_serves();
        let (part, is_replaced) = match self.application.child {
            Child::None => return,
            Child::IsReplaced(part) => (part, true),
            Child::EndsAll(part) => (part, false),
        };
        let all = self.processes(main);
        let child = all.iter().find(|process| process.pid != main && process.command_line().contains(part));
        let lines: Vec<_> = all.iter().map(|process| process.command_line()).collect();
        let child = *child.unwrap_or_else(|| panic!("no process with {part:?} in {lines:?}"));
        let begun = Instant::now();
        assert!(child.signal(Signal::KILL));
        if !is_replaced {
            self.until_another_serves(main, &all);
            self.row.child = format!("all restarted, {}", seconds(begun.elapsed()));
            return self.forget();
        }
        eventually("the main process has another child", || {
            let now = processes_of(main, self.place.path());
            now.iter().any(|now| !all.contains(now) && now.command_line().contains(part)).then_some(())
        });
        "replaced by its parent".clone_into(&mut self.row.child);
        assert_eq!(self.until_serves(), main, "it went on by itself");
    }

    /// With a client that is connected and sends nothing.
    pub(crate) fn killed(&mut self) {
        let address = match &self.laid.question.ask {
            Ask::Tcp(address, _) => Some(*address),
            Ask::Run(_) => None,
        };
        let idle = address.map(|address| Guest::of(&Ask::Tcp(address, Vec::new())));
        let main = self.until_serves();
        self.row.killed = seconds(self.kill(main));
        drop(idle);
    }

    /// Kills the main process. Returns how long it took until another one served.
    fn kill(&mut self, main: u32) -> Duration {
        let all = self.processes(main);
        let seq = self.last_event();
        let begun = Instant::now();
        let killed = all.iter().find(|process| process.pid == main).expect("it is there");
        assert!(killed.signal(Signal::KILL));
        self.until_another_serves(main, &all);
        let took = begun.elapsed();
        let events = self.events_after(seq);
        assert!(events.iter().any(|event| event.text.contains("ended by SIGKILL")), "{events:#?}");
        self.forget();
        took
    }

    pub(crate) fn killed_while_busy(&mut self) {
        let Some(work) = self.laid.work.clone() else { return };
        let main = self.until_serves();
        let before = self.processes(main);
        let client = Guest::of(&work);
        eventually("it works", || {
            let has_more = self.processes(main).len() > before.len();
            (has_more || self.place.working().exists()).then_some(())
        });
        self.row.busy = seconds(self.kill(main));
        drop(client);
    }

    /// Stops all of its processes.
    pub(crate) fn hung(&mut self) {
        let main = self.until_serves();
        let all = self.processes(main);
        let before = self.last_event();
        let begun = Instant::now();
        for process in &all {
            process.signal(Signal::STOP);
        }
        self.until_another_serves(main, &all);
        let took = seconds(begun.elapsed());
        let down =
            self.events_after(before).into_iter().find(Event::is_down).expect("a checker has noticed it");
        let checker = down.checker.expect("a verdict is one of a checker");
        assert_ne!(checker, "process", "it was there all the while");
        self.row.hung = format!("{took}, by `{checker}`");
        self.forget();
    }

    pub(crate) fn daemon_killed(&mut self) {
        let main = self.until_serves();
        let all = self.processes(main);
        self.daemon.kill();
        self.daemon.run_again();
        assert_eq!(self.until_serves(), main, "it was found again\n{}", self.daemon.log());
        let ended: Vec<_> = all.iter().filter(|process| !process.is_alive()).collect();
        self.row.daemon = if ended.is_empty() {
            "keeps running".to_owned()
        } else {
            "main process keeps running".to_owned()
        };
    }

    /// By a user, in the way of the recipe.
    pub(crate) fn stopped(&mut self) {
        let main = self.until_serves();
        let all = self.processes(main);
        let before = self.last_event();
        let transfer = self.laid.transfer.map(Transfer::begin);
        let begun = Instant::now();
        self.daemon.tell(&["stop", MODULE]);
        if let Some(transfer) = transfer {
            eventually("it is told to end", || {
                self.events_after(before).iter().any(|event| event.text.contains("sent SIG")).then_some(())
            });
            assert!(transfer.ends_whole(), "the stop has cut off a client: {:#?}", self.events_after(before));
        }
        self.daemon.until_state(MODULE, State::Stopped);
        let took = seconds(begun.elapsed());
        let events = self.events_after(before);
        let killed =
            events.iter().find(|event| event.text.contains("SIGKILL") || event.text.contains("kill "));
        assert!(killed.is_none(), "it did not end in the time of its recipe: {events:#?}");
        let sent = events.iter().filter(|event| event.text.contains("sent SIG")).count();
        assert!(sent <= 1, "the first signal of its recipe was not enough: {events:#?}");
        let left: Vec<_> = all.iter().filter(|process| process.is_alive()).collect();
        let lines: Vec<_> = left.iter().map(|process| process.command_line()).collect();
        assert!(lines.is_empty(), "a stop leaves nothing: {lines:?}");
        self.row.stopped = took;
    }

    /// It comes up late, after more failures of its checkers than would take it down once it was up.
    pub(crate) fn slow_start(&mut self) {
        let before = self.last_event();
        self.root.write(FILE, module(self.application, &self.laid, SLOW));
        eventually("the other file is in force", || {
            self.events_after(before).iter().any(|event| event.is_reload(FILE, true)).then_some(())
        });
        let begun = Instant::now();
        self.daemon.tell(&["start", MODULE]);
        let main = eventually("it is started", || self.main());
        assert_eq!(self.until_serves(), main, "one start was enough\n{}", self.daemon.tell(&["events"]));
        let took = begun.elapsed();
        assert!(took >= Duration::from_secs(SLOW.into()), "{took:?}");
        assert_eq!(self.daemon.module(MODULE).restarts, 0);
        self.row.slow = format!("waited for, {}", seconds(took));
    }

    pub(crate) fn end(mut self) {
        let main = self.until_serves();
        let all = self.processes(main);
        self.daemon.tell(&["stop", MODULE]);
        self.daemon.until_state(MODULE, State::Stopped);
        assert!(!all.iter().any(|process| process.is_alive()), "a stop leaves nothing");
        self.row.write(self.application);
    }

    fn last_event(&self) -> u64 {
        self.daemon.events().iter().map(|event| event.seq).max().unwrap_or_default()
    }

    fn events_after(&self, seq: u64) -> Vec<Event> {
        self.daemon.events().into_iter().filter(|event| event.seq > seq).collect()
    }
}

fn until_answered(what: &str, question: &Question) {
    eventually(what, || question.is_answered().then_some(()));
}

/// The recipe with the differences for the test. It starts `slow` seconds late.
fn module(application: &Application, laid: &Laid, slow: u32) -> String {
    let mut text = recipe(application.name);
    for (recipe, here) in &laid.changes {
        assert!(text.contains(recipe), "the recipe of {} has no {recipe:?}", application.name);
        text = text.replace(recipe, here);
    }
    if !may_raise_limits() {
        let is_limit = |line: &&str| line.starts_with("limits = ") || line.starts_with("oom-score = -");
        text = text.lines().filter(|line| !is_limit(line)).flat_map(|line| [line, "\n"]).collect();
    }
    if slow > 0 {
        let start = text.find("[commands.start]\n").expect("the recipe keeps a command");
        let run = text[start..].find("\nrun = [").expect("it says what it runs") + start + "\nrun = [".len();
        let late = format!("\"/bin/sh\", \"-c\", \"sleep {slow}; exec \\\"$0\\\" \\\"$@\\\"\", ");
        text.insert_str(run, &late);
    }
    let text = match text.split_once("[restart]\n") {
        Some((before, after)) => format!("{before}[restart]\n{SOON}\n{after}"),
        None => format!("[restart]\n{SOON}\n{text}"),
    };
    format!("{text}\n[health]\ndrain = \"0s\"\n")
}

/// In some containers root may not (`CAP_SYS_RESOURCE`).
fn may_raise_limits() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    capabilities
        .and_then(|all| u64::from_str_radix(all.trim(), 16).ok())
        .is_some_and(|all| all >> 24 & 1 == 1)
}
