//! A replay of a daemon's journal repeats its decisions.

use bellwether_tests::answers::{OtherPolicy, Replay, read};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::invocation::{Ended, bellwether_ends};
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

fn replay(root: &Root, more: &[&str]) -> Ended {
    let root = root.path().to_str().expect("UTF-8");
    bellwether_ends(&[&["--root", root, "replay"], more].concat())
}

/// A daemon whose application was restarted by a user.
fn restarted(root: &Root) -> Daemon {
    Web::lay_out(root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    daemon.tell(&["restart", "web"]);
    daemon.until_ready("web");
    daemon
}

/// As soon as everything is on disk.
fn replayed(root: &Root) -> Replay {
    eventually("the restart is in the journal's file", || {
        let ended = replay(root, &["--json"]);
        // Without a journal, it reports that, and nothing else.
        let answer: Replay = serde_json::from_str(&ended.out).ok()?;
        (answer.same > 15).then_some(answer)
    })
}

#[test]
fn a_running_daemon_and_one_that_has_ended_are_replayed_and_decide_the_same() {
    let root = Root::default();
    let mut daemon = restarted(&root);
    let while_it_runs = replayed(&root);
    assert!(while_it_runs.ok, "{while_it_runs:?}");

    daemon.end();
    let offline = replay(&root, &[]);
    assert_eq!(offline.code, Some(0), "{offline:?}");
    assert!(offline.out.contains("✓ same decisions: "), "{}", offline.out);
    let offline: Replay = read(&replay(&root, &["--json"]).out);
    assert!(offline.same >= while_it_runs.same, "{offline:?}, and before {while_it_runs:?}");
    assert_eq!((offline.untold, offline.unrecorded), (0, 0), "{offline:?}");
}

#[test]
fn another_module_file_is_set_against_what_happened() {
    let root = Root::default();
    let mut daemon = restarted(&root);
    replayed(&root);
    daemon.end();
    let own = std::fs::read_to_string(root.path().join("modules/web.toml")).expect("the module's file");
    let edited = root.write("edited.toml", &own);
    let edited = edited.to_str().expect("UTF-8");
    let same = replay(&root, &["--module", "web", "--module-file", edited, "--json"]);
    assert_eq!(read::<OtherPolicy>(&same.out).differs_at, None, "{same:?}");

    root.write("edited.toml", own.replace("drain = \"200ms\"", "drain = \"1m\""));
    let ended = replay(&root, &["--module", "web", "--module-file", edited]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in
        ["from there an estimate", "- ", "draining → restarting", "automatic restarts: 0, would have been 0"]
    {
        assert!(ended.out.contains(said), "`{said}` is not said:\n{}", ended.out);
    }
    root.write("edited.toml", "[[chekcer]]\n");
    let ended = replay(&root, &["--module", "web", "--module-file", edited]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
}

#[test]
fn without_a_journal_it_is_said_so() {
    let ended = replay(&Root::default(), &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.error.contains("there is no journal") && ended.error.contains("next: "), "{}", ended.error);
}
