//! One module with a checker in Rust, one in Python and one in JavaScript. The two that contain a whole language
//! runtime are added while everything runs, without any effect on the rest.
//!
//! Then one of them is replaced by another version: in every run the smaller one, which is compiled in half the
//! time.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bellwether_tests::answers::{Checker, Event, Observation, Outcome, Verdict};
use bellwether_tests::control;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{eventually, within};
use bellwether_tests::guest::{self, versioned};
use bellwether_tests::long::part;
use bellwether_tests::probe::Probe;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

const LANGUAGES: [&str; 3] = ["rust", "python", "javascript"];

/// The interval of each checker.
const INTERVAL: Duration = Duration::from_millis(500);
/// The maximum delay of a run on a machine whose processors all compile. If it waited for a compilation to end, it
/// would be much later still.
const LATE: Duration = Duration::from_secs(2);
/// Two compilations, one after the other, on a machine that does much else.
const COMPILED: Duration = Duration::from_secs(1200);

/// The checker in Rust is the one that was built for the interface 1.0.0; the others use the present one.
fn config(language: &str) -> &'static str {
    match language {
        "rust" => r#"{ greet = "the others" }"#,
        "python" => r#"{ what = "the licence", ends = "9999-12-31", warn-days = 7 }"#,
        _ => "{ at-most-back-ms = 3600000 }",
    }
}

/// The checker's summary when it passes, and a line that it logs.
fn words(language: &str) -> (&'static str, &'static str) {
    match language {
        "rust" => ("node-1/web/rust greets the others", "hello the others"),
        "python" => ("the licence is good for ", "web/python: "),
        _ => ("the clock goes forward", "web/javascript: "),
    }
}

fn checker(language: &str) -> String {
    let config = config(language);
    format!(
        r#"
[[checker]]
name = "{language}"
component = "{language}"
interval = "500ms"
timeout = "10s"
rise = 1
fall = 1
grace = "0s"
config = {config}
"#
    )
}

/// Each run opens a connection to `address`, so that the test sees when it ran.
fn witnessed(address: SocketAddr) -> String {
    format!(
        r#"
[[checker]]
name = "witnessed"
component = "tcp"
interval = "500ms"
timeout = "10s"
config = {{ address = "{address}" }}
grant = {{ connect = ["{address}"] }}
"#
    )
}

/// Reports the time of each run of the witnessed checker, until the test ends.
fn witness() -> (SocketAddr, mpsc::Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    // More than can come within a test's time limit.
    let (told, tells) = mpsc::sync_channel(10_000);
    std::thread::spawn(move || {
        for _connection in listener.incoming().flatten() {
            if told.try_send(Instant::now()).is_err() {
                return;
            }
        }
    });
    (address, tells)
}

/// The longest time between two consecutive runs.
fn longest_gap(moments: &[Instant]) -> Duration {
    let gaps = moments.windows(2).map(|pair| pair[1].duration_since(pair[0]));
    gaps.max().unwrap_or_default()
}

fn runs(checker: &Checker) -> Option<u64> {
    // Counted in whole steps, and far below where a float would not be exact.
    format!("{}", checker.last.as_ref()?.measured("runs")?).parse().ok()
}

/// Waits until this checker has passed, with a state that counts at least this many runs.
fn passes(daemon: &Daemon, language: &str, at_least: u64) -> Observation {
    let seen = within(COMPILED, &format!("the checker in {language} has passed {at_least} times"), || {
        let seen = daemon.find_checker("web", language)?;
        (runs(&seen)? >= at_least).then_some(seen)
    });
    let (summary, _) = words(language);
    assert_eq!(seen.verdict, Verdict::Up, "{seen:?}");
    let last = seen.last.expect("it has run");
    assert!(last.status == Outcome::Pass && last.summary.starts_with(summary), "{last:?}");
    last
}

fn digest(daemon: &Daemon, name: &str) -> Option<String> {
    Some(daemon.component(name)?.digest)
}

/// No run of the witnessed checker was skipped or late, from the moment the others were added until they ran.
fn none_was_late(moments: &[Instant], dropped: Instant, took: Duration, allowed: Duration) {
    let longest = longest_gap(moments);
    println!("{} runs in {took:?}, at most {longest:?} between two", moments.len());
    assert!(longest < allowed, "{longest:?} without a run");
    let since = moments.last().map(|last| dropped + took - *last);
    assert!(since.is_some_and(|since| since < allowed), "no run for {since:?} at the end");
    let expected = took.as_millis() / INTERVAL.as_millis();
    assert!(moments.len() as u128 >= expected / 2, "{} runs of {expected}", moments.len());
}

/// Waits until another version of this checker is active; its state is never reset.
fn goes_on_counting_in_another_version(daemon: &Daemon, language: &str, old: Option<&str>) {
    let replaced = Instant::now();
    let mut counted = 0;
    let mut goes_on = || {
        let before = counted;
        counted = runs(&daemon.checker("web", language)).expect("each run measures");
        assert!(counted >= before, "it has forgotten: {counted} runs after {before}");
        counted
    };
    let counted_so_far = within(COMPILED, "the new version is active", || {
        let counted = goes_on();
        (digest(daemon, language).as_deref() != old).then_some(counted)
    });
    println!("replaced after {:?}, {counted_so_far} runs", replaced.elapsed());
    eventually("the new version goes on counting", || (goes_on() >= counted_so_far + 2).then_some(()));
}

#[test]
fn a_module_has_checkers_in_three_languages_and_the_large_ones_disturb_nobody_when_they_are_dropped_in() {
    let (Some(python), Some(javascript)) = (guest::built("python"), guest::built("javascript")) else {
        return;
    };
    let root = Root::default();
    root.write("checkers/rust.wasm", guest::KEPT_CHECKER);
    let web = Web::lay_out(&root);
    let (address, runs_at) = witness();
    let small = witnessed(address) + &checker("rust");
    web.write(&root, &small);
    let daemon = Daemon::run(root.path(), root.health);
    let before = daemon.until_ready("web");
    passes(&daemon, "rust", 2);

    let _earlier = runs_at.try_iter().count();
    let probe = Probe::begin(root.health, "/health/web", 100);
    // Delays of a machine that compiles do not count against the daemon.
    let control = Probe::begin(control::server(), "/", 100);
    let dropped = Instant::now();
    root.write("checkers/python.wasm", &python);
    root.write("checkers/javascript.wasm", &javascript);
    web.write(&root, &(small + &checker("python") + &checker("javascript")));
    for language in ["python", "javascript"] {
        passes(&daemon, language, 1);
        println!("{language} passes {:?} after it was dropped", dropped.elapsed());
    }
    let took = dropped.elapsed();
    let moments: Vec<_> = runs_at.try_iter().collect();
    let (answers, control) = (probe.finish(), control.finish());

    // When the machine stood still, every process did.
    none_was_late(&moments, dropped, took, INTERVAL + LATE + 3 * control.percentile(100));
    let p99s = [answers.percentile(99), control.percentile(99)];
    println!("{} answers, p99 and that of the control {p99s:?}", answers.count());
    assert_eq!(answers.statuses.keys().collect::<Vec<_>>(), [&200], "{:?}", answers.statuses);
    assert!(answers.count() >= 100, "{}", answers.count());
    answers.were_as_fast_as(&control);

    for language in LANGUAGES {
        let seen = passes(&daemon, language, 3);
        let (_, line) = words(language);
        assert!(daemon.log().contains(line), "{language} logs `{line}`: {}", daemon.log());
        println!("{language}: {seen:?}");
    }

    let (language, component) = part(("javascript", &javascript), ("python", &python));
    let old = digest(&daemon, language);
    root.write(&format!("checkers/{language}.wasm"), versioned(component, "second"));
    goes_on_counting_in_another_version(&daemon, language, old.as_deref());

    let now = daemon.module("web");
    assert_eq!((&now.since, now.restarts, now.pids()), (&before.since, 0, before.pids()), "{now:?}");
    let events = daemon.events();
    assert!(!events.iter().any(Event::is_down), "{events:#?}");
}
