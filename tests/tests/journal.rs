//! The journal of the real daemon: killed, damaged, on a full disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_tests::answers::{Event, read_lines};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

fn assert_grow(numbers: &[u64]) {
    assert!(numbers.windows(2).all(|pair| matches!(pair, [a, b] if a < b)), "{numbers:?}");
}

/// The commands in the journal, in their order.
fn commands(events: &[Event]) -> Vec<String> {
    events.iter().filter_map(|event| event.command.clone()).collect()
}

#[test]
fn what_was_acknowledged_before_a_kill_is_in_the_journal_and_no_number_comes_twice() {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let mut acknowledged = Vec::new();
    let mut seen: Vec<u64> = Vec::new();
    for round in 0..6 {
        // Reloads, verdicts and commands, all at the same time.
        web.write(&root, &format!("# {round}\n"));
        for command in ["suspend", "resume", "reset"] {
            daemon.tell(&[command, "web"]);
            acknowledged.push(command.to_owned());
        }
        daemon.kill();
        daemon.run_again();
        let events = daemon.events();
        let numbers = numbers(&events);
        assert_grow(&numbers);
        assert!(seen.iter().all(|before| numbers.contains(before)), "round {round}: {numbers:?}");
        seen = numbers;
        assert_eq!(commands(&events), acknowledged, "round {round}");
    }
    assert_eq!(daemon.problems(), "", "a kill is no damage");
    daemon.until_ready("web");
    daemon.end();
    let before = seen.len();
    daemon.run_again();
    let numbers = numbers(&daemon.events());
    assert!(numbers.len() > before);
    let behind: Vec<&[u64]> = numbers.windows(2).rev().take(2).collect();
    assert!(
        behind.iter().all(|pair| matches!(pair, [a, b] if a + 1 == *b)),
        "no gap after an orderly end: {numbers:?}"
    );
}

#[test]
fn a_damaged_journal_is_set_aside_and_said_so() {
    let root = Root::default();
    Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let last = numbers(&daemon.events()).pop();
    daemon.end();
    fs::write(root.path().join("state/journal.db"), vec![0x55; 50_000]).expect("a damaged file");
    daemon.run_again();
    daemon.until_ready("web");
    let problems = daemon.problems();
    assert!(problems.contains("state/journal.db could not be used (it is not a database)"), "{problems}");
    let said = eventually("the journal says so, too", || {
        daemon
            .events()
            .into_iter()
            .find(|event| event.text.contains("it was moved to state/journal.db.damaged-"))
    });
    assert!(Some(said.seq) > last, "the numbers go on: {said:?} after {last:?}");
    let aside = fs::read_dir(root.path().join("state")).expect("the state").flatten();
    let aside = aside.filter(|file| file.file_name().to_string_lossy().starts_with("journal.db.damaged-"));
    assert!(aside.count() >= 1);
}

#[test]
fn events_are_asked_for_by_kind_checker_words_and_time_across_daemons() {
    let root = Root::default();
    Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    daemon.end();
    daemon.run_again();
    daemon.until_ready("web");
    // An application that is found again keeps its verdicts: only one that starts gets new ones.
    daemon.tell(&["restart", "web", "--wait"]);
    let told = |arguments: &[&str]| -> Vec<Event> {
        let arguments = [&["events", "--json"], arguments].concat();
        read_lines(&daemon.tell(&arguments))
    };
    let verdicts = told(&["--kind", "verdict", "--checker", "home"]);
    assert!(verdicts.len() >= 2, "of both daemons: {verdicts:#?}");
    let of_home = |event: &Event| event.kind == "verdict" && event.checker.as_deref() == Some("home");
    assert!(verdicts.iter().all(of_home), "{verdicts:#?}");
    let begun = told(&["--search", "HAS STARTED"]);
    assert_eq!(begun.len(), 2, "{begun:#?}");
    let first = told(&["--until", &begun[0].at]);
    assert!(first.len() < told(&[]).len(), "{first:#?}");
    assert_eq!(told(&["--since", "2100-01-01T00:00:00Z"]), []);
}

#[test]
fn a_full_disk_is_survived_told_and_caught_up_with() {
    let root = Root::default();
    let state = root.path().join("state");
    fs::create_dir_all(&state).expect("a folder");
    let Some(_mounted) = Mounted::on(&state) else {
        eprintln!("skipped: a file system can only be mounted by root");
        return;
    };
    Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let filler = state.join("filler");
    let mut file = File::create(&filler).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    eventually("the disk is full", || {
        daemon.tell(&["suspend", "web"]);
        daemon.tell(&["resume", "web"]);
        daemon.problems().contains("the journal cannot be written since").then_some(())
    });
    assert!(daemon.problems().contains("disk full"), "{}", daemon.problems());
    assert_eq!(daemon.health("web").status, 200, "it works on");
    let all = daemon.events();
    assert!(commands(&all).len() >= 2, "{all:#?}");
    fs::remove_file(filler).expect("it is there");
    eventually("the journal is written again", || {
        (!daemon.problems().contains("journal cannot be written")).then_some(())
    });
    daemon.end();
    daemon.run_again();
    let after = numbers(&daemon.events());
    assert!(numbers(&all).iter().all(|seq| after.contains(seq)), "{after:?}");
    drop(daemon);
}

/// A small file system, unmounted at the end of the test, however it ends.
struct Mounted(PathBuf);

impl Mounted {
    fn on(folder: &Path) -> Option<Self> {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder).output();
        mount.is_ok_and(|mount| mount.status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_state_folder_that_is_removed_under_the_daemon_is_told_and_written_anew() {
    let root = Root::default();
    Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    daemon.tell(&["suspend", "web"]);
    let serving = daemon.processes("web");
    fs::remove_dir_all(root.path().join("state")).expect("it can be removed");
    let journal = "state/journal.db was removed";
    eventually("it is told of the journal", || {
        daemon.events().iter().any(|event| event.text.contains(journal)).then_some(())
    });
    // By their names, or as the whole folder if nothing has been written to it before.
    eventually("it is told of the other files", || {
        let told = |text: &str| text.contains("removed while the daemon ran") && !text.contains(journal);
        daemon.events().iter().any(|event| told(&event.text)).then_some(())
    });
    daemon.tell(&["resume", "web"]);
    daemon.tell(&["suspend", "web"]);
    assert_eq!(commands(&daemon.events()), ["suspend", "resume", "suspend"]);
    daemon.kill();
    daemon.run_again();
    assert_eq!(
        commands(&daemon.events()),
        ["suspend", "resume", "suspend"],
        "what was acknowledged is there"
    );
    assert!(daemon.module("web").suspended, "and so is what people want");
    assert_eq!(daemon.processes("web"), serving, "the application is known again");
    assert_eq!(daemon.problems(), "");
    // Files of the first daemon that this one has only read are written again as well.
    let key = root.path().join("state/belonging.key");
    let before = fs::read(&key).expect("the key is there");
    fs::remove_dir_all(root.path().join("state")).expect("it can be removed");
    eventually("the key is there again", || (fs::read(&key).ok()? == before).then_some(()));
    eventually("so is the module's state", || {
        root.path().join("state/modules/web.json").exists().then_some(())
    });
    daemon.kill();
    daemon.run_again();
    assert!(daemon.module("web").suspended, "what people want outlives that, too");
}
