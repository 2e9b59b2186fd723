//! Some minutes of everything at once: 50 modules with 1,000 component checkers, applications
//! that die, files that change, commands. What the daemon holds stays as it is, and every restart
//! has a reason in the journal.
//!
//! ```text
//!   begin ──▶ warm up ──▶ early window ──▶ … ──▶ late window ──▶ rest ──▶ account for everything
//! ```
//! `BELLWETHER_SOAK_SECONDS` is how long, `BELLWETHER_SEED` repeats what chance did.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_tests::api;
use bellwether_tests::binary::bellwether;
use bellwether_tests::chance::Chance;
use bellwether_tests::control;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually, within};
use bellwether_tests::guest::{HOSTILE, versioned};
use bellwether_tests::probe::Probe;
use bellwether_tests::process::{Guarded, is_alive, signal};
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;
use rustix::process::Signal;
use serde_json::Value;

const SECONDS: u64 = 120;
const MODULES: usize = 50;
const CHECKERS: usize = 20;
/// One that nothing happens to.
const STEADY: &str = "m0";
/// These get commands and no deaths, the others deaths and no commands: so each restart has one reason.
const COMMANDED: usize = 15;
/// Between two acts.
const PACE: Duration = Duration::from_millis(60);
/// A component is compiled for each swap, which takes a debug build some seconds.
const SWAP_EVERY: Duration = Duration::from_secs(15);
/// What came up is left alone for so long.
const SETTLED: Duration = Duration::from_secs(3);

/// What the late window may hold more than the early one: memory in KiB, and what comes and goes.
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
    for checker in 0..CHECKERS {
        let written = write!(
            file,
            "[[checker]]\nname = \"c{checker}\"\ncomponent = \"behaved\"\ninterval = \"10s\"\n\
             timeout = \"10s\"\nrise = 1\non-down = \"notify\"\nconfig = {{ act = \"pass\" }}\n"
        );
        written.expect("a text takes all");
    }
    file
}

struct Soak {
    root: Root,
    daemon: Daemon,
    chance: Chance,
    revision: u64,
    swapped: Instant,
    /// Each death by our hand, with whose it was.
    killed: Vec<(String, u32)>,
    /// When one was killed last.
    last_killed: BTreeMap<String, Instant>,
    /// Reasons for a start that were given by commands.
    ordered: BTreeMap<String, usize>,
    commands: usize,
}

#[test]
fn some_minutes_of_everything_leave_nothing_behind_and_every_restart_has_its_reason() {
    let seconds = std::env::var("BELLWETHER_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let mut soak = Soak::begin();
    let (events, follower) = soak.follow();
    let control = Probe::begin(control::server(), "/", 20);
    let probe = Probe::begin(soak.root.health, &format!("/health/{STEADY}"), 20);

    let usages = soak.work(length);
    soak.rest();
    let (health, control) = (probe.finish(), control.finish());
    let (p99, control_p99) = (health.percentile(99), control.percentile(99));
    println!(
        "{length:?}: {} deaths, {} commands, {} reloads; {} answers, p99 {p99:?} (control {control_p99:?})",
        soak.killed.len(),
        soak.commands,
        soak.revision,
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
        for module in 0..MODULES {
            root.write(&format!("modules/m{module}.toml"), file(&name(module), 0));
        }
        let daemon = Daemon::run(root.path(), root.health);
        let soak = Self {
            root,
            daemon,
            chance: Chance::new(),
            revision: 0,
            swapped: Instant::now(),
            killed: Vec::new(),
            last_killed: BTreeMap::new(),
            ordered: BTreeMap::new(),
            commands: 0,
        };
        soak.all_are("up");
        soak
    }

    fn modules(&self) -> Vec<Value> {
        let status = api::ask(self.root.path(), "GET", "/status");
        status.and_then(|(_, status)| status["modules"].as_array().cloned()).unwrap_or_default()
    }

    fn all_are(&self, state: &str) {
        within(2 * PATIENCE, &format!("all modules are {state}"), || {
            std::thread::sleep(Duration::from_millis(200));
            let modules = self.modules();
            let there = modules.len() == MODULES && modules.iter().all(|module| module["state"] == state);
            there.then_some(())
        });
    }

    /// Somebody who follows the events from before the first act.
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

    /// Acts without a pause. Returns what the daemon held, second by second.
    fn work(&mut self, length: Duration) -> Vec<Usage> {
        let begun = Instant::now();
        let mut usages = Vec::new();
        while begun.elapsed() < length {
            self.act();
            if begun.elapsed() >= Duration::from_secs(usages.len() as u64) {
                usages.push(Usage::of(self.daemon.pid()));
            }
            // It keeps a pace; it waits for nothing.
            std::thread::sleep(PACE);
        }
        usages
    }

    fn act(&mut self) {
        if self.swapped.elapsed() > SWAP_EVERY {
            self.swapped = Instant::now();
            self.revision += 1;
            let version = format!("{}", self.revision);
            self.root.write("checkers/behaved.wasm", versioned(HOSTILE, &version));
            return;
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
            }
            _ => drop(self.modules()),
        }
    }

    /// Only one that is up, and has been for a while: its death is an incident then.
    fn kill(&mut self, module: &str) {
        if self.last_killed.get(module).is_some_and(|last| last.elapsed() < SETTLED) {
            return;
        }
        let Some(status) = api::module(self.root.path(), module) else { return };
        let pid = status["processes"][0]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        if let Some(pid) = pid.filter(|pid| status["state"] == "up" && is_alive(*pid)) {
            self.last_killed.insert(module.to_owned(), Instant::now());
            signal(pid, Signal::KILL);
            self.killed.push((module.to_owned(), pid));
        }
    }

    fn command(&mut self, module: &str) {
        let word = *self.chance.one_of(&["start", "stop", "restart", "suspend", "resume", "reset"]);
        self.order(module, word);
    }

    fn order(&mut self, module: &str, word: &str) {
        let answer = api::ask(self.root.path(), "POST", &format!("/modules/{module}/{word}"));
        let (status, _) = answer.expect("the daemon answers");
        assert!(status == 200 || status == 409, "{module} {word}: {status}");
        self.commands += 1;
        if matches!(word, "start" | "restart" | "resume") && status == 200 {
            *self.ordered.entry(module.to_owned()).or_default() += 1;
        }
    }

    /// Every module runs again.
    fn rest(&mut self) {
        for module in 1..=COMMANDED {
            let module = name(module);
            self.order(&module, "resume");
            eventually(&format!("{module} takes a start"), || {
                self.order(&module, "start");
                let status = api::module(self.root.path(), &module)?;
                (status["wanted"] == "started").then_some(())
            });
        }
        self.all_are("up");
    }

    fn starts(&self, module: &str) -> Vec<u32> {
        let text = fs::read_to_string(self.root.path().join(format!("{module}.starts"))).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// What was followed, once the follower has the latest record.
    fn all_of(&self, followed: &std::path::Path) -> String {
        let (_, latest) = api::ask(self.root.path(), "GET", "/events?limit=1").expect("it answers");
        let latest = latest[0]["seq"].as_u64().expect("a record");
        eventually("the follower has all", || {
            let text = fs::read_to_string(followed).ok()?;
            let last: Value = serde_json::from_str(text.lines().last()?).ok()?;
            (last["seq"].as_u64()? >= latest).then_some(text)
        })
    }

    fn accounts_for_all(&self, followed: &str) {
        let events: Vec<Value> =
            followed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let numbers: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a record is missing");
        let incidents: Vec<&Value> = events.iter().filter(|event| event["kind"] == "incident").collect();
        for (module, pid) in &self.killed {
            let mine = |event: &&&Value| {
                event["module"] == **module && said(event).contains(&format!("(pid {pid})"))
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
            let starts = self.starts(&module).len();
            assert!(
                starts <= 1 + deaths + ordered && starts > deaths,
                "{module}: {starts} starts, {deaths} deaths, {ordered} orders: {:#?}",
                story(&events, &module)
            );
        }
        assert_eq!(self.starts(STEADY).len(), 1);
    }
}

/// The sentence of a record.
fn said(event: &Value) -> &str {
    event["text"].as_str().unwrap_or_default()
}

fn story<'a>(events: &'a [Value], module: &str) -> Vec<&'a str> {
    events.iter().filter(|event| event["module"] == *module).map(said).collect()
}

fn median<T: Ord + Copy>(window: &[Usage], of: impl Fn(&Usage) -> T) -> T {
    let mut values: Vec<T> = window.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// The medians of an early and a late window are the same, but for what comes and goes.
fn flat(usages: &[Usage]) {
    let third = usages.len() / 3;
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
