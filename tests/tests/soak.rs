//! Everything at the same time for a while: 50 modules with 1,000 component checkers, applications that die, files
//! that change, commands. The resources of the daemon stay constant, and every restart has a reason in the journal.
//!
//! ```text
//!   begin ──▶ warm up ──▶ early window ──▶ … ──▶ late window ──▶ rest ──▶ account for everything
//! ```
//! `BELLWETHER_SOAK_SECONDS` is the duration, `BELLWETHER_SEED` repeats the random choices. By default, every run
//! lasts for 30 seconds, a long one (`BELLWETHER_LONG=1`) for 120. In both each kind of act happens, or the work
//! continues until it has. The windows of 30 seconds are 10 seconds each: with some deaths, commands and edits a
//! second in them, they show a leak of a thread or a descriptor by any of these; slower leaks show in a long run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_tests::answers::{Event, Module, State, Wanted, read_lines};
use bellwether_tests::api;
use bellwether_tests::binary::bellwether;
use bellwether_tests::chance::Chance;
use bellwether_tests::control;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually, wait, within};
use bellwether_tests::guest::{HOSTILE, versioned};
use bellwether_tests::long;
use bellwether_tests::probe::Probe;
use bellwether_tests::process::{Guarded, is_alive, signal};
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;
use rustix::process::Signal;

const SECONDS: u64 = 30;
const SECONDS_OF_A_LONG_RUN: u64 = 120;
const MODULES: usize = 50;
const CHECKERS: usize = 20;
/// A module without any acts.
const STEADY: &str = "m0";
/// These get commands and no deaths, the others deaths and no commands: so each restart has one reason.
const COMMANDED: usize = 15;
/// The number of modules that are created at the same time.
const AT_ONCE: usize = 10;
/// The interval of a checker, in seconds: in a long run each runs ten times and more, in every run once or twice.
const INTERVAL: u64 = 25;
const INTERVAL_OF_A_LONG_RUN: u64 = 10;
/// The interval between two acts.
const PACE: Duration = Duration::from_millis(60);
/// A component is compiled for each swap, which takes a debug build some seconds: the interval and the number are
/// limited, so that the warm-up and each of the windows have one.
const SWAP_EVERY: Duration = Duration::from_secs(15);
const SWAPS: u32 = 6;
/// An application that came up is left alone for this long.
const SETTLED: Duration = Duration::from_secs(3);

/// The allowed growth from the early to the late window: memory in KiB, and fluctuations.
const GROWTH: u64 = 32 << 10;
const DESCRIPTORS: usize = 16;
const THREADS: usize = 4;

fn name(module: usize) -> String {
    format!("m{module}")
}

fn file(module: &str, revision: u64) -> String {
    let mut file = format!(
        r#"
# {revision}
[restart]
budget = {{ restarts = 1000, within = "24h" }}
backoff = {{ first = "50ms", max = "200ms" }}
[commands]
start = {{ run = ["/bin/sh", "-c", "echo $$ >> {module}.starts; exec sleep 100000"], keep = true, timeout = "30s" }}
[health]
drain = "50ms"
[[checker]]
name = "process"
process = {{ kept = "start" }}
fall = 1
rise = 1
"#
    );
    let interval = long::part(INTERVAL, INTERVAL_OF_A_LONG_RUN);
    for checker in 0..CHECKERS {
        let written = write!(
            file,
            "[[checker]]\nname = \"c{checker}\"\ncomponent = \"behaved\"\ninterval = \"{interval}s\"\n\
             timeout = \"60s\"\nrise = 1\non-down = \"notify\"\nconfig = {{ act = \"pass\" }}\n"
        );
        written.expect("a text takes all");
    }
    file
}

/// Fields are dropped in this order.
struct Soak {
    daemon: Daemon,
    root: Root,
    chance: Chance,
    revision: u64,
    swapped: Instant,
    /// Each death caused by the test, with its module.
    killed: Vec<(String, u32)>,
    /// When one was killed last.
    last_killed: BTreeMap<String, Instant>,
    /// Reasons for a start by commands.
    ordered: BTreeMap<String, usize>,
    /// How often each kind of act has happened.
    done: BTreeMap<&'static str, usize>,
}

const COMMANDS: [&str; 6] = ["start", "stop", "restart", "suspend", "resume", "reset"];
/// The kinds of other acts.
const OTHER_ACTS: [&str; 4] = ["kill", "edit", "swap", "look"];

#[test]
fn everything_at_once_leaves_nothing_behind_and_every_restart_has_its_reason() {
    let seconds = long::amount("BELLWETHER_SOAK_SECONDS", SECONDS, SECONDS_OF_A_LONG_RUN);
    let length = Duration::from_secs(seconds);
    let mut soak = Soak::begin();
    let (events, follower) = soak.follow();
    let control = Probe::begin(control::server(), "/", 20);
    let probe = Probe::begin(soak.root.health, &format!("/health/{STEADY}"), 20);

    let usages = soak.work(length);
    soak.rest();
    let (health, control) = (probe.finish(), control.finish());
    let (p99, control_p99) = (health.percentile(99), control.percentile(99));
    println!(
        "{length:?}: {:?}; {} answers, p99 {p99:?} (control {control_p99:?})",
        soak.done,
        health.count(),
    );
    assert_eq!(health.statuses.keys().collect::<Vec<_>>(), [&200], "{:?}", health.statuses);
    health.were_as_fast_as(&control);
    flat(&usages);
    let text = soak.all_of(&events);
    drop(follower);
    soak.accounts_for_all(&text);
}

impl Soak {
    fn begin() -> Self {
        let root = Root::default();
        root.write("checkers/behaved.wasm", HOSTILE);
        root.write(&format!("modules/{STEADY}.toml"), file(STEADY, 0));
        let daemon = Daemon::run(root.path(), root.health);
        let mut soak = Self {
            root,
            daemon,
            chance: Chance::new(),
            revision: 0,
            swapped: Instant::now(),
            killed: Vec::new(),
            last_killed: BTreeMap::new(),
            ordered: BTreeMap::new(),
            done: BTreeMap::new(),
        };
        // Some at a time: all of them at once are more than a busy machine starts within the daemon's limits, and
        // concurrent starts are not the subject of this test.
        for module in 0..MODULES {
            soak.root.write(&format!("modules/m{module}.toml"), file(&name(module), 0));
            if module % AT_ONCE == AT_ONCE - 1 {
                soak.all_are_up(module + 1);
            }
        }
        soak.all_are_up(MODULES);
        soak
    }

    fn modules(&self) -> Vec<Module> {
        api::status(self.root.path()).map(|status| status.modules).unwrap_or_default()
    }

    /// Waits until there are this many modules, and all of them up. One that a machine is too busy to start within
    /// the daemon's limits is started by a command.
    fn all_are_up(&mut self, count: usize) {
        within(3 * PATIENCE, &format!("{count} modules are up"), || {
            std::thread::sleep(Duration::from_millis(200));
            let modules = self.modules();
            for failed in modules.iter().filter(|module| module.state == State::Failed) {
                self.order(&failed.name, "start");
            }
            let there = modules.len() == count && modules.iter().all(|module| module.state == State::Up);
            there.then_some(())
        });
    }

    /// A client that follows the events from before the first act.
    fn follow(&self) -> (std::path::PathBuf, Guarded) {
        let path = self.root.path().join("followed");
        let out = File::create(&path).expect("a file");
        let child = Command::new(bellwether())
            .args(["events", "--json", "--follow", "--limit", "100000", "--root"])
            .arg(self.root.path())
            .stdin(Stdio::null())
            .stdout(out)
            .spawn()
            .expect("the client runs");
        eventually("it follows", || fs::metadata(&path).is_ok_and(|file| file.len() > 0).then_some(()));
        (path, Guarded(child))
    }

    /// Acts without a pause, until all kinds of acts have happened. Returns the daemon's resources, second by
    /// second.
    fn work(&mut self, length: Duration) -> Vec<Usage> {
        let (begun, swap_every) = (Instant::now(), (length / SWAPS).min(SWAP_EVERY));
        let mut usages = Vec::new();
        let all_done =
            |soak: &Self| COMMANDS.iter().chain(&OTHER_ACTS).all(|act| soak.done.contains_key(act));
        while begun.elapsed() < length || !all_done(self) {
            assert!(begun.elapsed() < length + PATIENCE, "there was no act of some kind: {:?}", self.done);
            self.act(swap_every);
            if begun.elapsed() >= Duration::from_secs(usages.len() as u64) {
                usages.push(Usage::of(self.daemon.pid()));
            }
            // This is the interval of the acts, not a wait for an event.
            std::thread::sleep(PACE);
        }
        usages
    }

    fn act(&mut self, swap_every: Duration) {
        if self.swapped.elapsed() > swap_every {
            self.swapped = Instant::now();
            self.revision += 1;
            let version = format!("{}", self.revision);
            self.root.write("checkers/behaved.wasm", versioned(HOSTILE, &version));
            return self.has_done("swap");
        }
        let mortal =
            COMMANDED + 1 + usize::try_from(self.chance.below((MODULES - COMMANDED - 1) as u64)).unwrap_or(0);
        let commanded = 1 + usize::try_from(self.chance.below(COMMANDED as u64)).unwrap_or(0);
        match self.chance.below(10) {
            0..=3 => self.kill(&name(mortal)),
            4..=6 => self.command(&name(commanded)),
            7 => {
                let module = name(usize::try_from(self.chance.below(MODULES as u64)).unwrap_or(0));
                self.revision += 1;
                self.root.write(&format!("modules/{module}.toml"), file(&module, self.revision));
                self.has_done("edit");
            }
            _ => {
                self.modules();
                self.has_done("look");
            }
        }
    }

    fn has_done(&mut self, act: &'static str) {
        *self.done.entry(act).or_default() += 1;
    }

    /// Only one that is up, and has been for a while: its death is an incident then.
    fn kill(&mut self, module: &str) {
        if self.last_killed.get(module).is_some_and(|last| last.elapsed() < SETTLED) {
            return;
        }
        let Some(status) = api::module(self.root.path(), module) else { return };
        // An application that is up may not have recorded its start yet.
        let has_said_so = |pid: &u32| self.starts(module).contains(pid);
        let pid = status.pids().first().copied().filter(has_said_so);
        if let Some(pid) = pid.filter(|pid| status.state == State::Up && is_alive(*pid)) {
            self.last_killed.insert(module.to_owned(), Instant::now());
            signal(pid, Signal::KILL);
            self.killed.push((module.to_owned(), pid));
            self.has_done("kill");
        }
    }

    fn command(&mut self, module: &str) {
        let word = *self.chance.one_of(&COMMANDS);
        self.order(module, word);
        self.has_done(word);
    }

    fn order(&mut self, module: &str, word: &str) {
        let answer =
            api::ask(self.root.path(), "POST", &format!("/modules/{module}/{word}?confirm={module}"));
        let status = answer.expect("the daemon answers").status;
        assert!(status == 200 || status == 409, "{module} {word}: {status}");
        if matches!(word, "start" | "restart" | "resume") && status == 200 {
            *self.ordered.entry(module.to_owned()).or_default() += 1;
        }
    }

    /// Waits until every module runs again.
    fn rest(&mut self) {
        for module in 1..=COMMANDED {
            let module = name(module);
            self.order(&module, "resume");
            eventually(&format!("{module} takes a start"), || {
                self.order(&module, "start");
                let status = api::module(self.root.path(), &module)?;
                (status.wanted == Wanted::Started).then_some(())
            });
        }
        self.all_are_up(MODULES);
    }

    fn starts(&self, module: &str) -> Vec<u32> {
        let text = fs::read_to_string(self.root.path().join(format!("{module}.starts"))).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// The events, once the follower has the latest record.
    fn all_of(&self, followed: &std::path::Path) -> String {
        let latest = api::ask(self.root.path(), "GET", "/events?limit=1").expect("it answers");
        let latest: Vec<Event> = latest.read();
        let latest = latest.first().expect("a record").seq;
        eventually("the follower has all", || {
            let text = fs::read_to_string(followed).ok()?;
            // The last line may be incomplete.
            let last: Event = serde_json::from_str(text.lines().last()?).ok()?;
            (last.seq >= latest).then_some(text)
        })
    }

    fn accounts_for_all(&self, followed: &str) {
        let events: Vec<Event> = read_lines(followed);
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a record is missing");
        let incidents: Vec<&Event> = events.iter().filter(|event| event.kind == "incident").collect();
        for (module, pid) in &self.killed {
            let mine = |event: &&&Event| {
                event.module.as_deref() == Some(module) && event.text.contains(&format!("(pid {pid})"))
            };
            assert_eq!(
                incidents.iter().filter(mine).count(),
                1,
                "{module}, pid {pid}: {:#?}",
                story(&events, module)
            );
        }
        assert_eq!(incidents.len(), self.killed.len(), "an incident without a death");
        for module in (0..MODULES).map(name) {
            let deaths = self.killed.iter().filter(|(of, _)| *of == module).count();
            let ordered = self.ordered.get(&module).copied().unwrap_or_default();
            // A start that exceeded its time limit is repeated, and that is recorded.
            let slow = |event: &&Event| {
                event.kind == "decision"
                    && event.module.as_deref() == Some(&module)
                    && event.text.contains("the start failed")
            };
            let again = events.iter().filter(slow).count();
            let starts =
                wait(PATIENCE, || Some(self.starts(&module).len()).filter(|starts| *starts > deaths));
            let starts = starts.unwrap_or_else(|| self.starts(&module).len());
            assert!(
                starts <= 1 + deaths + ordered + again && starts > deaths,
                "{module}: {starts} starts, {deaths} deaths, {ordered} orders, {again} slow starts: {:#?}",
                story(&events, &module)
            );
        }
        assert_eq!(self.starts(STEADY).len(), 1);
    }
}

fn story<'a>(events: &'a [Event], module: &str) -> Vec<&'a str> {
    let of_it = events.iter().filter(|event| event.module.as_deref() == Some(module));
    of_it.map(|event| event.text.as_str()).collect()
}

fn median<T: Ord + Copy>(window: &[Usage], of: impl Fn(&Usage) -> T) -> T {
    let mut values: Vec<T> = window.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// The medians of an early and a late window are the same, except for fluctuations.
fn flat(usages: &[Usage]) {
    let third = usages.len() / 3;
    assert!(third > 0, "{} seconds are too few to be compared", usages.len());
    // The first third is for warming up.
    let (early, late) = (&usages[third..2 * third], &usages[2 * third..]);
    let memory = (median(early, |usage| usage.memory), median(late, |usage| usage.memory));
    let descriptors = (median(early, |usage| usage.descriptors), median(late, |usage| usage.descriptors));
    let threads = (median(early, |usage| usage.threads), median(late, |usage| usage.threads));
    println!("early and late: {memory:?} KiB, {descriptors:?} descriptors, {threads:?} threads");
    assert!(memory.1 <= memory.0 + GROWTH, "{memory:?} KiB");
    assert!(descriptors.1 <= descriptors.0 + DESCRIPTORS, "{descriptors:?} descriptors");
    assert!(threads.1 <= threads.0 + THREADS, "{threads:?} threads");
}
