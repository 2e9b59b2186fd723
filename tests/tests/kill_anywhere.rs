//! `kill -9` at any instant is a supported way to stop: repeatedly, during every kind of work.
//!
//! ```text
//!   begin ──▶ work: commands, deaths, reloads, swaps ──▶ kill -9 at a random instant ──┐
//!     ▲                                                                                │
//!     └──── every tenth time: let it come to rest, and compare it with what must be ◀──┘
//! ```
//! `BELLWETHER_KILLS` is the number of kills, `BELLWETHER_SEED` repeats the random choices. By default, every run
//! kills 60 times, a long one (`BELLWETHER_LONG=1`) 300 times: each kill has its own random instant and work, so
//! fewer of them are the same test with fewer attempts. 60 are six comparisons, and every kind of work some ten
//! times.

mod wanted;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use bellwether_tests::answers::{Commanded, Event, Module, State, Wanted as Wish, read_lines};
use bellwether_tests::api;
use bellwether_tests::chance::Chance;
use bellwether_tests::composed::witness;
use bellwether_tests::daemon::{Daemon, kept};
use bellwether_tests::eventually::eventually;
use bellwether_tests::long;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::Root;
use rustix::process::Signal;

use wanted::Wanted;

const KILLS: u64 = 60;
const KILLS_OF_A_LONG_RUN: u64 = 300;
/// The number of kills between two comparisons.
const CYCLES: u64 = 10;

/// An application that records each of its starts. It takes a moment to exit.
fn application(name: &str) -> String {
    format!(
        r#"
[restart]
budget = {{ restarts = 1000, within = "24h" }}
backoff = {{ first = "10ms", max = "20ms" }}
[commands]
start = {{ run = ["/bin/sh", "-c", "echo $$ >> {name}.starts; exec sleep 100000"], keep = true, timeout = "30s" }}
[health]
drain = "20ms"
[[checker]]
name = "process"
process = {{ kept = "start" }}
fall = 1
rise = 1
"#
    )
}

/// The good checker, which reports when it ran twice with the same number.
fn watched(revision: u64) -> String {
    let mut file = application("watched");
    let written = write!(
        file,
        "# {revision}\n[[checker]]\nname = \"witness\"\ncomponent = \"witness\"\ninterval = \"100ms\"\n\
         timeout = \"10s\"\nrise = 1\non-down = \"notify\"\n"
    );
    written.expect("a text takes all");
    file
}

/// Fields are dropped in this order.
#[derive(Debug)]
struct Trial {
    daemon: Daemon,
    root: Root,
    chance: Chance,
    wanted: Wanted,
    /// Reasons for a start, by module, carried out or not.
    causes: BTreeMap<&'static str, u64>,
    acknowledged: BTreeMap<&'static str, u64>,
    sent: BTreeMap<&'static str, u64>,
    steady: u32,
    last_record: u64,
    last_run: f64,
    last_restarts: u64,
    revision: u64,
    /// The work since the last comparison.
    done: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Command(&'static str),
    KillMortal,
    EditFile,
    SwapComponent,
    Wait,
}

const ACTS: [Act; 12] = [
    Act::Command("start"),
    Act::Command("stop"),
    Act::Command("stop"),
    Act::Command("restart"),
    Act::Command("restart"),
    Act::Command("suspend"),
    Act::Command("resume"),
    Act::KillMortal,
    Act::KillMortal,
    Act::EditFile,
    Act::SwapComponent,
    Act::Wait,
];

const MODULES: [&str; 4] = ["steady", "commanded", "mortal", "watched"];

#[test]
fn a_daemon_that_is_killed_at_any_instant_loses_nothing_and_restarts_nothing_without_cause() {
    let kills = long::amount("BELLWETHER_KILLS", KILLS, KILLS_OF_A_LONG_RUN);
    let begun = Instant::now();
    let mut trial = Trial::begin();
    for kill in 1..=kills {
        trial.cycle();
        if kill % CYCLES == 0 || kill == kills {
            trial.compare();
        }
    }
    let starts: Vec<_> = MODULES.iter().map(|module| (*module, trial.starts(module).len())).collect();
    println!("{kills} kills in {:?}; starts {starts:?}; {:?}", begun.elapsed(), trial.acknowledged);
}

impl Trial {
    fn begin() -> Self {
        let root = Root::default();
        root.write("checkers/witness.wasm", witness(1));
        for module in ["steady", "commanded", "mortal"] {
            root.write(&format!("modules/{module}.toml"), application(module));
        }
        root.write("modules/watched.toml", watched(0));
        let daemon = Daemon::run(root.path(), root.health);
        for module in MODULES {
            daemon.until_ready(module);
        }
        let mut trial = Self {
            root,
            daemon,
            chance: Chance::new(),
            wanted: Wanted { started: Some(true), suspended: Some(false), restarted_from: None },
            causes: MODULES.map(|module| (module, 1)).into(),
            acknowledged: BTreeMap::new(),
            sent: BTreeMap::new(),
            steady: 0,
            last_record: 0,
            last_run: 0.0,
            last_restarts: 0,
            revision: 0,
            done: Vec::new(),
        };
        trial.have_said_so();
        trial.steady = *trial.starts("steady").last().expect("it has started");
        trial.daemon.kill();
        trial
    }

    /// The processes of the application, according to its own records.
    fn starts(&self, module: &str) -> Vec<u32> {
        let text = fs::read_to_string(self.root.path().join(format!("{module}.starts"))).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Waits until each application that runs, according to the daemon, has recorded its start: it is up before it
    /// has come to that.
    fn have_said_so(&self) {
        for name in MODULES {
            eventually(&format!("{name} has written down its start"), || {
                let (module, starts) = (self.daemon.module(name), self.starts(name));
                module.pids().iter().all(|pid| starts.contains(pid)).then_some(())
            });
        }
    }

    fn running(&self, module: &str) -> Option<u32> {
        self.starts(module).last().copied().filter(|pid| is_alive(*pid))
    }

    /// The lifetime of one daemon.
    fn cycle(&mut self) {
        self.daemon.begin_again();
        if self.chance.below(5) == 0 {
            // At its start, possibly at the first instruction.
            std::thread::sleep(Duration::from_micros(self.chance.below(150_000)));
            self.daemon.kill();
            return;
        }
        self.answers();
        let acts: Vec<Act> = (0..=self.chance.below(3)).map(|_| *self.chance.one_of(&ACTS)).collect();
        let instant = Duration::from_micros(self.chance.below(60_000));
        let pid = self.daemon.pid();
        let gently = self.chance.below(10) == 0;
        self.done.push(format!("killed after {instant:?}, gently: {gently}"));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(instant);
            if gently {
                // In the middle of its shutdown, most likely.
                signal(pid, Signal::TERM);
                std::thread::sleep(instant / 4);
            }
            signal(pid, Signal::KILL);
        });
        for act in acts {
            self.carry_out(act);
        }
        killer.join().expect("the killer does not panic");
        self.daemon.kill();
        self.done.push(self.memory());
    }

    /// What the next daemon will know about the module that gets commands.
    fn memory(&self) -> String {
        let text = fs::read_to_string(self.root.path().join("state/modules/commanded.json"));
        text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn answers(&mut self) {
        eventually("the daemon answers", || {
            if let Some(ended) = self.daemon.ended() {
                panic!("the daemon has ended: {ended}\n{}", self.daemon.log());
            }
            api::status(self.root.path())
        });
    }

    fn carry_out(&mut self, act: Act) {
        match act {
            Act::Command(word) => self.command(word),
            Act::KillMortal => {
                if let Some(pid) = self.running("mortal") {
                    *self.causes.entry("mortal").or_default() += 1;
                    signal(pid, Signal::KILL);
                }
            }
            Act::EditFile => {
                self.revision += 1;
                self.root.write("modules/watched.toml", watched(self.revision));
            }
            Act::SwapComponent => {
                self.revision += 1;
                let version = u32::try_from(self.revision).expect("few of them");
                self.root.write("checkers/witness.wasm", witness(version));
            }
            Act::Wait => std::thread::sleep(Duration::from_millis(self.chance.below(30))),
        }
    }

    fn command(&mut self, word: &'static str) {
        if matches!(word, "start" | "restart" | "resume") {
            *self.causes.entry("commanded").or_default() += 1;
        }
        let before = self.running("commanded");
        *self.sent.entry(word).or_default() += 1;
        let answer =
            api::ask(self.root.path(), "POST", &format!("/modules/commanded/{word}?confirm=commanded"));
        self.done.push(format!("{word}: {answer:?}"));
        let Some(answer) = answer else { return self.wanted.perhaps(word) };
        // 404: the module's file has not been read yet, and nothing was done.
        *self.acknowledged.entry(word).or_default() += u64::from(answer.status != 404);
        // If it is stopped already, that is the desired state from now on, too.
        if answer.status == 200 && (answer.read::<Commanded>().outcome == "accepted" || word == "stop") {
            self.wanted.accepted(word, before);
        }
    }

    /// Lets a daemon come to rest, compares, and kills it, too.
    fn compare(&mut self) {
        self.daemon.begin_again();
        self.answers();
        let module = self.at_rest();
        for other in ["steady", "mortal", "watched"] {
            self.daemon.until_ready(other);
        }
        self.have_said_so();
        self.is_as_wanted(&module);
        assert_eq!(self.starts("steady"), [self.steady], "nobody had a reason to touch it");
        assert!(is_alive(self.steady));
        for module in MODULES {
            let (starts, causes) = (self.starts(module).len() as u64, self.causes[module]);
            assert!(
                starts <= causes,
                "{module}: {starts} starts for {causes} reasons\n{}",
                self.story(module)
            );
        }
        self.nobody_is_lost();
        self.nothing_is_forgotten();
        self.done.clear();
        self.daemon.kill();
    }

    /// The module that gets commands, once nothing is in progress in it.
    fn at_rest(&self) -> Module {
        self.daemon.until("commanded", "at rest", |module| {
            let held = module.suspended && module.state == State::Starting;
            module.state == State::Up || module.state == State::Stopped || held
        })
    }

    fn is_as_wanted(&mut self, module: &Module) {
        let wanted = std::mem::take(&mut self.wanted);
        let story = || format!("{module:#?}\n{}", self.story("commanded"));
        let (started, suspended) = (module.wanted == Wish::Started, module.suspended);
        if let Some(wanted) = wanted.started {
            assert_eq!(started, wanted, "a command that was acknowledged is lost: {}", story());
        }
        if let Some(wanted) = wanted.suspended {
            assert_eq!(suspended, wanted, "a command that was acknowledged is lost: {}", story());
        }
        let running = self.running("commanded");
        if !started {
            assert_eq!((running, module.state), (None, State::Stopped), "{}", story());
        } else if !suspended {
            assert!(running.is_some() && module.state == State::Up, "{}", story());
        }
        if let Some(before) = wanted.restarted_from {
            assert_ne!(running, Some(before), "a restart that was accepted has not happened: {}", story());
        }
        self.wanted = Wanted { started: Some(started), suspended: Some(suspended), restarted_from: None };
    }

    /// Everything that runs under this root is known to the daemon, and each application runs once.
    fn nobody_is_lost(&self) {
        let mut known = kept(self.root.path());
        known.sort_unstable();
        let found = eventually(&format!("only {known:?} run"), || {
            let mut found = processes_in(self.root.path());
            found.retain(|pid| *pid != self.daemon.pid());
            found.sort_unstable();
            (found == known).then_some(found)
        });
        // An application that has only just been started records its process id a moment later.
        eventually(&format!("each of {found:?} is an application, once"), || {
            let mut applications: Vec<u32> =
                MODULES.iter().filter_map(|module| self.running(module)).collect();
            applications.sort_unstable();
            (applications == found).then_some(())
        });
    }

    fn nothing_is_forgotten(&mut self) {
        let events: Vec<Event> = read_lines(&self.daemon.tell(&["events", "--json", "--limit", "100000"]));
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "a number was given out twice: {numbers:?}");
        let last = numbers.last().copied().unwrap_or_default();
        assert!(last >= self.last_record, "{last} after {}", self.last_record);
        self.last_record = last;
        for (word, acknowledged) in &self.acknowledged {
            let of_it = |event: &&Event| event.command.as_deref() == Some(*word);
            let written = events.iter().filter(of_it).count() as u64;
            assert!(
                (*acknowledged..=self.sent[word]).contains(&written),
                "{written} of {acknowledged} acknowledged commands `{word}` are in the journal"
            );
        }
        let restarts = self.daemon.module("mortal").restarts;
        assert!(restarts >= self.last_restarts, "{restarts} after {}", self.last_restarts);
        assert!(restarts < self.causes["mortal"], "{restarts}");
        self.last_restarts = restarts;
        let run =
            eventually("the witness has run", || self.daemon.last("watched", "witness")?.measured("run"));
        assert!(run > self.last_run, "run {run} after run {}", self.last_run);
        self.last_run = run;
    }

    fn story(&self, module: &str) -> String {
        let log = self.daemon.log();
        let alarming = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN"));
        let alarming: Vec<&str> = alarming.collect();
        let last = alarming.iter().rev().take(10).rev().copied().collect::<Vec<_>>().join("\n");
        let file = format!("state/modules/{module}.json");
        let memory = fs::read_to_string(self.root.path().join(file)).unwrap_or_default();
        let events = self.daemon.tell(&["events", "--module", module, "--limit", "150"]);
        format!("{events}\n{memory}\n{last}\n{:#?}", self.done)
    }
}

/// Processes with this working directory.
fn processes_in(folder: &std::path::Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder))
        .filter(|pid| is_alive(*pid))
        .collect()
}
