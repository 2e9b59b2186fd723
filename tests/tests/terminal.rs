//! `top` and `status --watch` on a terminal, with the real daemon.

use std::process::Command;

use bellwether_tests::answers::{Event, State};
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::signal;
use bellwether_tests::program::is_installed;
use bellwether_tests::root::Root;
use bellwether_tests::screen::Screen;
use bellwether_tests::web::Web;
use rustix::process::Signal;

/// `None` if tmux is not installed.
fn watched(columns: u16, rows: u16) -> Option<(Root, Daemon, Screen)> {
    if !is_installed("tmux") {
        return None;
    }
    let root = Root::default();
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let screen = Screen::open(root.path(), columns, rows);
    Some((root, daemon, screen))
}

fn at(root: &Root, words: &str) -> String {
    format!("{words} --root {}", root.path().display())
}

#[test]
fn a_kill_of_the_application_shows_and_quitting_gives_the_terminal_back() {
    let Some((root, daemon, screen)) = watched(120, 30) else { return };
    screen.line("echo before");
    screen.run(&at(&root, "top"));
    screen.until(&["node-1  The module is ready", "● up", "? keys"]);
    screen.key("Enter");
    screen.until(&["CHECKERS", "home", "EVENTS"]);
    let [pid] = daemon.processes("web")[..] else { panic!("one process") };
    assert!(signal(pid, Signal::KILL));
    screen.until(&["incident: "]);
    screen.until(&["● up", "ready: yes"]);
    screen.key("q");
    let shell = screen.until(&["before"]);
    assert!(!shell.contains("CHECKERS"), "{shell}");
    screen.line("echo and $((40 + 2))");
    screen.until(&["and 42"]);
}

#[test]
fn the_last_ready_node_is_stopped_only_by_its_modules_name() {
    let Some((root, daemon, screen)) = watched(80, 24) else { return };
    screen.run(&at(&root, "top"));
    screen.until(&["● up"]);
    screen.key("S");
    screen.until(&["stop web?", "This node does not know", "Type the module's name"]);
    screen.text("we");
    screen.key("Enter");
    screen.until(&["Type the module's name, then Enter: we"]);
    screen.text("b");
    screen.key("Enter");
    screen.until(&["✓ stop web:", "○ stopped"]);
    daemon.until_state("web", State::Stopped);
    screen.key("s");
    screen.until(&["start web?", "y confirms"]);
    screen.key("y");
    screen.until(&["● up"]);
    let by_the_view: Vec<String> = daemon.events().into_iter().filter_map(|event| event.command).collect();
    assert_eq!(by_the_view, ["stop", "start"]);
}

/// Nothing of the earlier question remains on the screen.
fn clear(screen: &Screen) {
    screen.line("clear");
    eventually("the screen is clear", || (!screen.shown().contains("Type web")).then_some(()));
}

#[test]
fn a_command_at_a_terminal_asks_for_the_name_and_yes_answers_beforehand() {
    let Some((root, daemon, screen)) = watched(100, 30) else { return };
    screen.run(&at(&root, "stop web"));
    screen.until(&["This node does not know whether another one serves web", "Type web to stop it:"]);
    screen.line("we");
    screen.until(&["`stop web` is not carried out: it was not confirmed", "add --yes"]);
    clear(&screen);
    screen.run(&at(&root, "stop web"));
    screen.until(&["Type web to stop it:"]);
    // A decision based on an earlier state is rejected.
    daemon.tell(&["suspend", "web"]);
    screen.line("web");
    screen.until(&["it has changed since you looked: it is up and ready now"]);
    daemon.tell(&["resume", "web"]);
    assert!(daemon.events().iter().all(|event| event.occasion.as_deref() != Some("stop")));
    clear(&screen);
    screen.run(&at(&root, "stop web"));
    screen.until(&["Type web to stop it:"]);
    screen.line("web");
    daemon.until_state("web", State::Stopped);
    clear(&screen);
    screen.run(&at(&root, "start web"));
    daemon.until_ready("web");
    screen.run(&at(&root, "stop web --yes"));
    daemon.until_state("web", State::Stopped);
    assert!(!screen.shown().contains("Type web"), "{}", screen.shown());
}

#[test]
fn what_moved_meanwhile_is_refused_and_the_state_now_is_shown() {
    let Some((root, daemon, screen)) = watched(100, 30) else { return };
    screen.run(&at(&root, "status --watch"));
    screen.until(&["● up"]);
    screen.key("r");
    screen.until(&["restart web?", "Type the module's name"]);
    daemon.tell(&["suspend", "web"]);
    screen.until(&["The state has changed"]);
    screen.line("web");
    screen.until(&["✗ `restart web` is not carried out", "it is up and ready now"]);
    assert!(!daemon.events().iter().any(|event| event.occasion.as_deref() == Some("restart")));
}

#[test]
fn without_a_daemon_nothing_old_looks_fresh_and_it_comes_back_by_itself() {
    let Some((root, mut daemon, screen)) = watched(80, 24) else { return };
    screen.run(&at(&root, "top"));
    screen.until(&["● up"]);
    daemon.end();
    let lost = screen.until(&["no data since", "· was up"]);
    assert!(!lost.contains('●'), "{lost}");
    screen.key("r");
    screen.until(&["✗ restart web: the daemon does not answer"]);
    daemon.run_again();
    let back = screen.until(&["The module is ready", "● up"]);
    assert!(!back.contains("no data"), "{back}");
}

#[test]
fn a_narrow_terminal_is_enough_and_the_shell_can_be_visited() {
    let Some((root, _daemon, screen)) = watched(80, 24) else { return };
    screen.run(&at(&root, "top"));
    screen.until(&["MODULE", "● up"]);
    screen.resize(40, 15);
    eventually("the header is gone", || {
        let shown = screen.shown();
        (!shown.contains("MODULE") && shown.contains("web ● up")).then_some(())
    });
    screen.key("C-z");
    screen.until(&["shell>"]);
    screen.line("echo here $((40 + 2))");
    screen.until(&["here 42"]);
    screen.line("fg");
    screen.until(&["web ● up", "? keys"]);
    screen.key("C-c");
    screen.until(&["here 42"]);
}

#[test]
fn events_follow_goes_on_over_a_restart_of_the_daemon_without_a_gap_or_a_double() {
    let Some((root, mut daemon, screen)) = watched(100, 30) else { return };
    let told = root.path().join("told");
    let follow = at(&root, "events --follow --json");
    screen.run(&format!("{follow} > {} 2> {}.err", told.display(), told.display()));
    let numbers = || {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        // The last line may be incomplete.
        let of = |line: &str| serde_json::from_str::<Event>(line).ok().map(|event| event.seq);
        text.lines().filter_map(of).collect::<Vec<_>>()
    };
    eventually("it has begun", || (!numbers().is_empty()).then_some(()));
    daemon.kill();
    daemon.run_again();
    daemon.tell(&["suspend", "web"]);
    eventually("everything is told once", || {
        let written: Vec<u64> = daemon.events().iter().map(|event| event.seq).collect();
        (numbers() == written).then_some(())
    });
    eventually("that it was away, and is back, is said on standard error", || {
        let error = std::fs::read_to_string(root.path().join("told.err")).ok()?;
        (error.contains("no data since") && error.contains("answering again")).then_some(())
    });
    screen.key("C-c");
}

#[test]
fn where_nothing_can_be_drawn_it_says_what_to_use_instead() {
    let output = Command::new(bellwether()).arg("top").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("needs an interactive terminal") && said.contains("status --watch"), "{said}");
}
