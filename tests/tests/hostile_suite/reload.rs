//! Guests that are replaced and removed while they run, by good ones and by bad ones.

use std::time::Duration;

use bellwether_tests::composed::{Guest, WELL, WITNESS, text, witness};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually, wait};
use bellwether_tests::guest::versioned;
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;
use bellwether_tests::web::Web;

use super::act::SPIN;
use super::family;

/// Long enough for a good version on a busy machine, and less than a run's processor time: a loop exceeds its time
/// limit.
const CHANGING: &str = r#"
[[checker]]
name = "changing"
component = "changing"
interval = "100ms"
timeout = "1500ms"
rise = 1
fall = 1
grace = "0s"
on-down = "notify"
"#;

fn begin(first: &[u8]) -> (Root, Daemon) {
    let root = Root::default();
    root.write("checkers/witness.wasm", witness(1));
    root.write("checkers/changing.wasm", first);
    Web::lay_out(&root).write(&root, &format!("{WITNESS}{CHANGING}"));
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    (root, daemon)
}

fn says(daemon: &Daemon, words: &str) {
    daemon.until_checker("web", "changing", words, |checker| {
        checker.last.as_ref().is_some_and(|last| last.summary.contains(words))
    });
}

#[test]
fn a_guest_that_is_removed_while_it_spins_is_ended_as_any_other_and_comes_back() {
    let (root, daemon) = begin(&Guest::checking(SPIN).build());
    for round in 0..3 {
        says(&daemon, "it was still computing");
        root.remove("checkers/changing.wasm");
        says(&daemon, "there is no component `changing`");
        root.write("checkers/changing.wasm", versioned(&Guest::default().build(), &format!("good {round}")));
        says(&daemon, "allwell");
        root.remove("checkers/changing.wasm");
        says(&daemon, "there is no component `changing`");
        root.write(
            "checkers/changing.wasm",
            versioned(&Guest::checking(SPIN).build(), &format!("bad {round}")),
        );
    }
    family::no_run_missed(&daemon);
    assert_eq!(daemon.module("web").restarts, 0);
}

#[test]
fn good_and_bad_versions_by_turns_leave_the_last_good_one_and_nothing_else() {
    let good = Guest::default().build();
    let (root, daemon) = begin(&good);
    says(&daemon, "allwell");
    let described = Guest { describe: "unreachable".to_owned(), ..Guest::default() };
    let hoarding = format!("(drop (memory.grow (i32.const 65000))) unreachable {WELL}");
    let versions = [
        Guest::checking(SPIN).build(),
        good.clone(),
        Guest::checking("unreachable").build(),
        Guest::checking("(call $exit (i32.const 1)) unreachable").build(),
        described.build(),
        Guest::checking(hoarding).build(),
        good.clone(),
        b"garbage".to_vec(),
        good[..good.len() / 2].to_vec(),
    ];
    let quiet = Usage::of(daemon.pid());
    for round in 0..5 {
        for (n, version) in versions.iter().enumerate() {
            root.write("checkers/changing.wasm", versioned(version, &format!("{round} {n}")));
            // Some are read, some are removed before they are noticed.
            std::thread::sleep(Duration::from_millis(60 * (n as u64 % 4)));
        }
        root.write("checkers/changing.wasm", versioned(&good, &format!("{round} last")));
        says(&daemon, "allwell");
    }
    let found = eventually("the last one is in force", || {
        daemon.component("changing").filter(|found| found.error.is_none())
    });
    let now = eventually("nothing is left of the others", || {
        let now = Usage::of(daemon.pid());
        let back = now.threads <= quiet.threads + 3
            && now.descriptors <= quiet.descriptors + 3
            && now.memory <= quiet.memory + (48 << 10);
        back.then_some(now)
    });
    println!("before {quiet:?}, after {now:?}; {found:?}");
    family::no_run_missed(&daemon);
    assert_eq!(daemon.module("web").restarts, 0);
}

#[test]
fn a_version_that_breaks_is_rolled_back_and_status_and_events_tell_of_it() {
    let good = Guest::default().build();
    let (root, daemon) = begin(&good);
    says(&daemon, "allwell");
    let digest = daemon.component("changing").expect("it is there").digest;
    // One breaks immediately, one after it has run before: only its real runs leave anything behind.
    let late = format!(
        "(call $get (i32.const 16) (i32.const 3) (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then unreachable))
         (call $set (i32.const 16) (i32.const 3) (i32.const 16) (i32.const 7) (i32.const 512)) {WELL}"
    );
    for (version, why) in
        [(Guest::checking("unreachable"), "its trial run"), (Guest::checking(late), "rolled back")]
    {
        root.write("checkers/changing.wasm", version.build());
        let found = wait(PATIENCE, || {
            let found = daemon.component("changing")?;
            let quarantine = found.quarantine.filter(|quarantine| quarantine.why.contains(why))?;
            Some((found.digest, quarantine))
        });
        let told = || format!("{why} is not told: {:?}", daemon.component("changing"));
        let (in_force, quarantine) = found.unwrap_or_else(|| panic!("{}", told()));
        assert_eq!(in_force, digest);
        assert_ne!(quarantine.digest, digest);
        says(&daemon, "allwell");
        eventually("an event tells of it", || {
            let mut events = daemon.events().into_iter();
            events.find(|event| event.kind == "quarantine" && event.text.contains(why))
        });
    }
    assert!(daemon.tell(&["status"]).contains("quarantine"), "{}", daemon.tell(&["status"]));
    family::no_run_missed(&daemon);
    assert_eq!(daemon.module("web").restarts, 0);
}

#[test]
fn a_version_that_asks_for_more_waits_until_a_person_lets_it_in() {
    let (root, daemon) = begin(&Guest::default().build());
    says(&daemon, "allwell");
    let digest = daemon.component("changing").expect("it is there").digest;
    let (words, _) = text("connect10.0.0.1:80to lookwaited");
    let asks = "(i32.store (i32.const 160) (i32.const 1536)) (i32.store (i32.const 164) (i32.const 1))
        (i32.store (i32.const 1536) (i32.const 1024)) (i32.store (i32.const 1540) (i32.const 7))
        (i32.store (i32.const 1544) (i32.const 1031)) (i32.store (i32.const 1548) (i32.const 11))
        (i32.store (i32.const 1552) (i32.const 1042)) (i32.store (i32.const 1556) (i32.const 7))
        (call $about)";
    let asking = Guest {
        describe: asks.to_owned(),
        ..Guest::checking("(call $answer (i32.const 0) (i32.const 1049) (i32.const 6))")
    };
    root.write("checkers/changing.wasm", asking.with(words).build());
    let (in_force, waiting) = eventually("it waits", || {
        let found = daemon.component("changing")?;
        Some((found.digest, found.waiting?))
    });
    assert_eq!(in_force, digest);
    assert!(waiting.asks.concat().contains("10.0.0.1:80"), "{waiting:?}");
    says(&daemon, "allwell");
    daemon.tell(&["approve", "checkers/changing"]);
    says(&daemon, "waited");
    assert!(daemon.events().iter().any(|event| event.kind == "approval"), "{:#?}", daemon.events());
    family::no_run_missed(&daemon);
}
