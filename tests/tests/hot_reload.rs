//! Files that are added, replaced, damaged, corrected and removed while the daemon runs.

use std::time::{Duration, Instant};

use bellwether_tests::answers::{Checker, Component, Event, Outcome, State, Verdict};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::guest::{self, versioned};
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::lateness::Lateness;
use bellwether_tests::process::{is_alive, kill_group, signal};
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::web::{CHECK_PROCESS, Web};
use bellwether_tests::writing::Way;
use rustix::process::Signal;

/// The documented time, on a machine that has nothing else to do.
const PROMISED: Duration = Duration::from_secs(2);

/// Waits for the effect of a changed file, and returns how long it took.
fn soon<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    let (begun, lateness) = (Instant::now(), Lateness::begin());
    let seen = eventually(what, look);
    let (took, late) = (begun.elapsed(), lateness.so_far());
    println!("{what}: {took:?}; the machine was late for {late:?}");
    if took >= PROMISED + late {
        let allowed = PROMISED + late + 12 * time_to_load();
        assert!(took < allowed, "{what}: {took:?}, more than {allowed:?}");
    }
    seen
}

/// How long this machine takes at present to start the binary and compile one component.
fn time_to_load() -> Duration {
    let root = Root::default();
    let file = root.write("hostile.wasm", guest::HOSTILE).display().to_string();
    let begun = Instant::now();
    assert_eq!(bellwether_ends(&["inspect", &file]).code, Some(0));
    begun.elapsed()
}

const SENTINEL: &str = r#"
[[checker]]
name = "sentinel"
component = "sentinel"
interval = "100ms"
rise = 1
fall = 1
grace = "0s"
config = { act = "pass" }
"#;

/// A root with the module `web`, which also has a checker with an added component.
fn with_sentinel() -> (Root, Web, Daemon) {
    let root = Root::default();
    root.write("checkers/sentinel.wasm", guest::HOSTILE);
    let web = Web::lay_out(&root);
    web.write(&root, SENTINEL);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until("web", "ready, with every checker up", |module| {
        module.ready && module.checkers.iter().all(|checker| checker.verdict == Verdict::Up)
    });
    (root, web, daemon)
}

fn component(daemon: &Daemon, name: &str) -> Component {
    daemon.component(name).unwrap_or_else(|| panic!("no component {name}: {:#?}", daemon.status()))
}

fn problem(daemon: &Daemon, part: &str) -> Option<String> {
    daemon.status().problem(part).map(str::to_owned)
}

/// Waits until a checker has completed one more run, and returns it.
fn next_run(daemon: &Daemon, checker: &str) -> Checker {
    let at = |checker: &Checker| checker.last.as_ref().map(|last| last.at.clone());
    let runs_again = |before: &Checker| {
        let before = at(before);
        daemon.until_checker("web", checker, "run again", |now| at(now) != before)
    };
    runs_again(&runs_again(&daemon.checker("web", checker)))
}

/// It is up, and its last run passed.
fn is_well(checker: &Checker) -> bool {
    let said = checker.last.as_ref().map(|last| last.summary.as_str());
    checker.verdict == Verdict::Up && said == Some("behaved")
}

/// What a reload must not change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Life {
    state: State,
    ready: bool,
    since: String,
    restarts: u64,
    pids: Vec<u32>,
}

fn undisturbed(daemon: &Daemon) -> Life {
    let module = daemon.module("web");
    let pids = module.pids();
    Life { state: module.state, ready: module.ready, since: module.since, restarts: module.restarts, pids }
}

/// An edit of the module has not affected it. If the file was not written without a pause, a part of it may have
/// been active for a moment, with fewer checkers; even then the application is not touched.
fn goes_on(daemon: &Daemon, before: &mut Life, whole: bool) {
    let now = undisturbed(daemon);
    if whole {
        assert_eq!(now, *before);
    } else {
        println!("the file was written with a pause");
        daemon.until_ready("web");
        let now = undisturbed(daemon);
        assert_eq!((&now.pids, now.restarts), (&before.pids, before.restarts));
        *before = now;
    }
}

fn reloads(daemon: &Daemon, file: &str, ok: bool) -> Vec<Event> {
    daemon.events().into_iter().filter(|event| event.is_reload(file, ok)).collect()
}

#[test]
fn a_module_becomes_active_when_the_component_that_it_misses_arrives() {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let late = Web { address: free_address() };
    root.write("modules/late.toml", late.file(SENTINEL));
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let before = undisturbed(&daemon);
    assert_eq!(daemon.find_module("late"), None);
    assert!(
        problem(&daemon, "sentinel").is_some_and(|why| why.starts_with("modules/late.toml:")),
        "{:#?}",
        daemon.status()
    );
    assert_eq!(reloads(&daemon, "modules/late.toml", false).len(), 1);

    root.write("checkers/sentinel.wasm", guest::HOSTILE);
    soon("the module is there", || daemon.find_module("late"));
    daemon.until_ready("late");
    assert_eq!(problem(&daemon, "sentinel"), None);
    assert_eq!(undisturbed(&daemon), before);
    assert_eq!(web.ask().map(|answer| answer.status), Some(200));
}

#[test]
fn a_component_is_replaced_however_it_is_written_and_its_checker_runs_on() {
    let (root, _web, daemon) = with_sentinel();
    let (before, since) = (undisturbed(&daemon), daemon.checker("web", "sentinel").since);
    let path = root.path().join("checkers/sentinel.wasm");
    for way in [Way::ALL.as_slice(), &[Way::LinkSwap]].concat() {
        let digest = component(&daemon, "sentinel").digest;
        way.write(&path, &versioned(guest::HOSTILE, &digest));
        let now = soon(&format!("replaced by {way:?}"), || {
            Some(component(&daemon, "sentinel")).filter(|now| now.digest != digest)
        });
        assert_eq!((now.origin.as_str(), now.error), ("file", None));
        let checker = next_run(&daemon, "sentinel");
        assert!(is_well(&checker) && checker.since == since, "since {since}: {checker:?}");
    }
    assert_eq!(undisturbed(&daemon), before);
    // Its first load and five replacements; each became active.
    assert_eq!(reloads(&daemon, "checkers/sentinel.wasm", true).len(), 6, "{:#?}", daemon.events());
}

#[test]
fn whatever_is_no_component_leaves_the_last_good_one_in_force() {
    let (root, _web, daemon) = with_sentinel();
    let (before, digest) = (undisturbed(&daemon), component(&daemon, "sentinel").digest);
    let half = guest::HOSTILE.get(..guest::HOSTILE.len() / 2).expect("a half");
    // Of a file that is written in pieces, a part may be read before it is complete.
    let whole_half = format!("out of bounds (bound = {})", half.len());
    let bad: [(&str, &[u8], Way); 3] = [
        ("the file is not WebAssembly", b"garbage", Way::InPlace),
        ("the file is empty", b"", Way::Rename),
        (&whole_half, half, Way::SlowPieces),
    ];
    let path = root.path().join("checkers/sentinel.wasm");
    for (why, bytes, way) in bad {
        way.write(&path, bytes);
        let now = soon(&format!("it is refused, for {why}"), || {
            let now = component(&daemon, "sentinel");
            now.error.as_ref().is_some_and(|error| error.contains(why)).then_some(now)
        });
        assert_eq!((&now.digest, now.origin.as_str()), (&digest, "file"), "{now:?}");
        assert!(problem(&daemon, "checkers/sentinel.wasm: ").is_some(), "{:#?}", daemon.status());
        let told = eventually("an event tells of it", || {
            let mut told = reloads(&daemon, "checkers/sentinel.wasm", false).into_iter();
            told.find(|told| told.text.contains(why))
        });
        assert!(told.detail.as_ref().is_some_and(|detail| detail.contains("stays active")), "{told:?}");
        let checker = next_run(&daemon, "sentinel");
        assert!(is_well(&checker), "{checker:?}");
    }
    root.write("checkers/sentinel.wasm", versioned(guest::HOSTILE, "mended"));
    let now = soon("the mended one is in force", || {
        Some(component(&daemon, "sentinel")).filter(|now| now.digest != digest)
    });
    assert_eq!(now.error, None);
    assert_eq!(problem(&daemon, "sentinel"), None);
    assert_eq!(undisturbed(&daemon), before);
}

#[test]
fn a_component_that_is_removed_gives_way_to_the_embedded_one_or_to_nothing() {
    let (root, _web, daemon) = with_sentinel();
    let before = undisturbed(&daemon);
    let embedded = component(&daemon, "tcp");
    assert_eq!(embedded.origin, "embedded", "{embedded:?}");
    root.write("checkers/tcp.wasm", versioned(guest::TCP, "my own"));
    soon("the dropped one is in force", || {
        Some(component(&daemon, "tcp")).filter(|now| now.origin == "file")
    });
    root.remove("checkers/tcp.wasm");
    let now = soon("the embedded one is back", || {
        Some(component(&daemon, "tcp")).filter(|now| now.origin == "embedded")
    });
    assert_eq!(now.digest, embedded.digest);

    root.remove("checkers/sentinel.wasm");
    let last = soon("the checker cannot tell", || {
        daemon.last("web", "sentinel").filter(|last| last.status == Outcome::Unknown)
    });
    assert!(last.summary.contains("put it into checkers/sentinel.wasm"), "{last:?}");
    next_run(&daemon, "sentinel");
    assert_eq!(undisturbed(&daemon), before, "what nobody can tell is no failure");
    root.write("checkers/sentinel.wasm", guest::HOSTILE);
    soon("the checker tells again", || {
        daemon.last("web", "sentinel").filter(|last| last.status == Outcome::Pass)
    });
    assert_eq!(undisturbed(&daemon), before);
}

#[test]
fn a_module_is_edited_however_it_is_written_and_its_life_goes_on() {
    let (root, web, daemon) = with_sentinel();
    // A restart first: it must still be counted.
    let first = daemon.processes("web");
    signal(*first.first().expect("the application runs"), Signal::KILL);
    eventually("it has come back", || {
        let module = daemon.module("web");
        (module.ready && module.restarts == 1).then_some(())
    });
    let mut before = undisturbed(&daemon);
    let path = root.path().join("modules/web.toml");
    for (round, way) in [Way::ALL.as_slice(), &[Way::LinkSwap]].concat().into_iter().enumerate() {
        let (added, removed) = (format!("extra-{round}"), format!("extra-{}", round.wrapping_sub(1)));
        // Another checker, one less, and another interval of a third one.
        let interval = format!("interval = \"{}ms\"", 150 + 10 * round);
        let more = SENTINEL.replace("name = \"sentinel\"", &format!("name = \"{added}\""));
        let file = web.file(SENTINEL).replace("interval = \"200ms\"", &interval) + &more;
        let whole = way.write(&path, file.as_bytes());
        soon(&format!("edited by {way:?}"), || daemon.find_checker("web", &added).filter(is_well));
        assert_eq!(daemon.find_checker("web", &removed), None);
        let home = next_run(&daemon, "home");
        assert!(home.verdict == Verdict::Up || !whole, "{home:?}");
        goes_on(&daemon, &mut before, whole);
    }
    assert_eq!(daemon.health("web").status, 200);
}

#[test]
fn an_edit_with_mistakes_leaves_the_last_good_module_in_force() {
    let (root, web, daemon) = with_sentinel();
    let mut before = undisturbed(&daemon);
    let path = root.path().join("modules/web.toml");
    for way in Way::ALL {
        let file = web.file(SENTINEL) + &format!("timeouts = \"1s\" # {way:?}\n");
        let line = file.lines().count();
        let whole = way.write(&path, file.as_bytes());
        let why = soon(&format!("refused after {way:?}"), || problem(&daemon, "`timeouts`"));
        assert!(why.starts_with(&format!("modules/web.toml:{line}:1: ")), "{why}");
        assert!(why.contains("`timeout`"), "{why}");
        let told = eventually("an event tells of it", || reloads(&daemon, "modules/web.toml", false).pop());
        assert_eq!(told.module.as_deref(), Some("web"), "{told:?}");
        assert_eq!(next_run(&daemon, "sentinel").verdict, Verdict::Up);
        goes_on(&daemon, &mut before, whole);
        let whole = way.write(&path, web.file(SENTINEL).as_bytes());
        soon(&format!("mended by {way:?}"), || problem(&daemon, "modules/web.toml").is_none().then_some(()));
        goes_on(&daemon, &mut before, whole);
    }
}

#[test]
fn a_module_comes_with_its_file_and_goes_with_it_and_its_application_is_left_alone() {
    let (root, _web, daemon) = with_sentinel();
    let before = undisturbed(&daemon);
    let second = Web { address: free_address() };
    root.write("modules/second.toml", second.application("0s") + CHECK_PROCESS);
    soon("the module is there", || daemon.find_module("second"));
    daemon.until_ready("second");
    eventually("its application serves", || second.ask());
    let pids = daemon.processes("second");
    let _ended = Ending(pids.clone());
    assert_eq!(daemon.health("second").status, 200);

    root.remove("modules/second.toml");
    soon("the module is gone", || daemon.find_module("second").is_none().then_some(()));
    assert_eq!(daemon.health("second").status, 503);
    assert!(pids.len() == 1 && pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    assert_eq!(second.ask().map(|answer| answer.status), Some(200));

    // It is found again when the module comes back.
    root.write("modules/second.toml", second.application("0s") + CHECK_PROCESS);
    let module = daemon.until_ready("second");
    assert_eq!((daemon.processes("second"), module.restarts), (pids, 0), "{module:?}");
    assert_eq!(undisturbed(&daemon), before);
}

/// Kills these processes when the test ends.
struct Ending(Vec<u32>);

impl Drop for Ending {
    fn drop(&mut self) {
        for pid in &self.0 {
            kill_group(*pid);
        }
    }
}
