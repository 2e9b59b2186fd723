//! The daemon is restarted while the application serves: load balancers see no change.

use std::time::Duration;

use crate::command::Command;
use crate::id::CheckerName;
use crate::memory::ModuleMemory;
use crate::observation::Status;
use crate::plan::Occasion;
use crate::policy::OnDown;
use crate::record::RecordKind;
use crate::snapshot::CheckerView;
use crate::state::StateName;
use crate::verdict::Verdict;

use super::world::World;

const APPLICATION: u32 = 100;
const ANOTHER: u32 = 101;

/// A process checker and two slow ones, all of which are up.
fn up() -> World {
    let mut world =
        World::new().process("app").component("page", OnDown::Restart).component("disk", OnDown::Out).load();
    for _ in 0..2 {
        world.see_process("app", APPLICATION, Duration::from_secs(60));
        world.see("page", Status::Pass);
        world.see("disk", Status::Pass);
    }
    assert!(world.ready());
    world.pass_time(Duration::from_secs(60));
    world
}

/// As long as nothing is known, nothing is answered: [`Snapshot::looking`](crate::snapshot::Snapshot).
fn looks(world: &World) -> bool {
    world.snapshot().looking.iter().any(|module| module.as_str() == "web")
}

#[test]
fn an_application_that_is_found_again_is_ready_before_its_checkers_have_run() {
    let mut world = up();
    assert!(!looks(&world));
    world.kill_daemon();
    assert!(looks(&world) && !world.ready());
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(!looks(&world));
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    assert!(world.view().reason.contains("was found again"), "{}", world.view().reason);
    // They are run immediately, and their own results count from then on.
    world.see("page", Status::Pass);
    world.see("disk", Status::Pass);
    assert_eq!(world.view().reason, "the application serves: every checker is up");
    world.see("disk", Status::Fail);
    assert_eq!((world.state(), world.ready()), (StateName::Up, false));
}

#[test]
fn what_a_checker_sees_counts_at_once() {
    for (checker, state) in [("page", StateName::Restarting), ("disk", StateName::Up)] {
        let mut world = up();
        world.kill_daemon();
        world.see_process("app", APPLICATION, Duration::from_secs(120));
        world.see(checker, Status::Fail);
        assert_eq!((world.state(), world.ready()), (state, false), "{checker}");
    }
    // Also before the process is seen.
    let mut world = up();
    world.kill_daemon();
    world.see("disk", Status::Fail);
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(!world.ready());
}

#[test]
fn an_application_that_died_or_is_another_one_is_not_ready() {
    // It has died.
    let mut world = up();
    world.kill_daemon();
    world.see("app", Status::Fail);
    assert!(!looks(&world) && !world.ready());
    // Another one has been started since, with another id or with the same one.
    for pid in [ANOTHER, APPLICATION] {
        let mut world = up();
        world.kill_daemon();
        world.pass_time(Duration::from_secs(2));
        world.see_process("app", pid, Duration::from_millis(500));
        let same = pid == APPLICATION;
        assert_eq!((looks(&world), world.ready()), (false, false), "same id: {same}");
    }
}

#[test]
fn a_checker_that_does_not_run_in_time_is_not_trusted_any_longer() {
    let mut world = up();
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    world.see("disk", Status::Pass);
    world.pass_time(Duration::from_millis(4_999));
    assert!(world.ready());
    world.pass_time(Duration::from_millis(1));
    assert_eq!((world.state(), world.ready()), (StateName::Up, false));
    assert_eq!(world.view().reason, "checker `page` has not answered since the daemon was started");
    assert_eq!(world.view().checkers.iter().filter(|c| c.verdict == Verdict::Up).count(), 2);
    world.see("page", Status::Pass);
    assert!(world.ready());
}

#[test]
fn one_whose_runs_take_long_is_given_one_run() {
    let mut world = up();
    let slow: CheckerName = "page".parse().unwrap();
    world.redefine(|policy| policy.checkers.get_mut(&slow).unwrap().timeout = Duration::from_secs(20));
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    world.see("disk", Status::Pass);
    world.pass_time(Duration::from_secs(19));
    assert!(world.ready());
    world.pass_time(Duration::from_secs(1));
    assert!(!world.ready());
}

#[test]
fn a_daemon_that_is_killed_before_it_knows_anything_takes_nothing_away() {
    let mut world = up();
    for _ in 0..3 {
        world.kill_daemon();
        assert!(looks(&world));
    }
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(world.ready());
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(world.ready());
}

#[test]
fn what_was_not_ready_is_not_taken_for_ready() {
    // By a checker that only takes it out; by one that was late under a daemon in between.
    let mut world = up();
    world.see("disk", Status::Fail);
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(!world.ready());
    let mut world = up();
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    world.pass_time(Duration::from_secs(10));
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(130));
    assert!(!world.ready());
    // A checker may be new that an earlier version has not stored: it has not run yet.
    let mut world = up();
    let memory = ModuleMemory { checkers: None, ..world.memory().clone() };
    world = world.remembering(memory);
    world.kill_daemon_with(|world| world.component("licence", OnDown::Stop));
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(!world.ready());
    // It was not monitored for too long, or the machine has been rebooted.
    let mut world = up();
    world.watched_since_now();
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(!world.ready());
    let mut world = up();
    world.reboot();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(!world.ready());
}

#[test]
fn where_no_checker_looks_at_processes_all_of_them_have_to_run() {
    let mut world = World::new().component("page", OnDown::Restart).component("disk", OnDown::Out).load_up();
    world.kill_daemon();
    world.see("page", Status::Pass);
    assert!(looks(&world) && !world.ready());
    world.see("disk", Status::Pass);
    assert_eq!((looks(&world), world.state(), world.ready()), (false, StateName::Up, true));
    // One that fails is no reason to wait any longer for the others.
    world.kill_daemon();
    world.see("page", Status::Pass);
    world.see("disk", Status::Fail);
    assert_eq!((looks(&world), world.ready()), (false, false));
}

#[test]
fn what_is_suspended_or_stopped_stays_so() {
    let mut world = up();
    world.command(Command::Suspend);
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert!(world.ready() && world.desired().suspended);
    world.see("page", Status::Fail);
    assert_eq!((world.state(), world.ready()), (StateName::Up, false));
    let mut world = up();
    world.command(Command::Suspend);
    world.kill_daemon();
    world.see("app", Status::Fail);
    assert!(!looks(&world), "it is not waited for what nobody starts");
    let mut world = World::new().process("app").wanted_started(false).load();
    assert!(!looks(&world));
    world.kill_daemon();
    assert!(!looks(&world));
}

/// The records since then, without verdicts and the start of the daemon.
fn told(world: &World, from: usize) -> Vec<String> {
    let told = |kind: &RecordKind| match kind {
        RecordKind::Daemon { .. } | RecordKind::Verdict { .. } => None,
        kind => Some(kind.sentence()),
    };
    world.records()[from..].iter().filter_map(|record| told(&record.kind)).collect()
}

fn checker(world: &World, name: &str) -> CheckerView {
    world.view().checkers.into_iter().find(|checker| checker.name.as_str() == name).unwrap()
}

#[test]
fn that_it_was_found_again_is_told_and_no_change_of_state() {
    let mut world = up();
    let before = world.records().len();
    for _ in 0..2 {
        world.kill_daemon();
    }
    assert_eq!(told(&world, before), [""; 0], "a look alone is no news");
    world.see_process("app", APPLICATION, Duration::from_secs(3 * 3600));
    world.see("page", Status::Pass);
    world.see("disk", Status::Pass);
    let words = "decided to leave it running: the application was found again (pid 100, running for 3h) and keeps serving";
    assert_eq!(told(&world, before), [words]);
    assert_eq!((world.occasion(), world.view().restarts), (None, 0));
}

#[test]
fn one_that_was_ready_and_died_meanwhile_is_an_incident_and_counted() {
    let mut world = up();
    let before = world.records().len();
    world.kill_daemon();
    world.see("page", Status::Pass);
    world.see("app", Status::Fail);
    assert!(matches!(world.occasion(), Some(Occasion::Incident(_))), "{}", world.view().reason);
    assert_eq!((world.ready(), world.view().restarts), (false, 1));
    let told = told(&world, before);
    assert!(told.iter().any(|told| told.starts_with("up → restarting")), "{told:?}");
}

#[test]
fn what_is_known_of_a_checker_that_was_edited_meanwhile_belongs_to_the_one_before() {
    for (edit, name) in [("changed", "page"), ("added", "licence")] {
        let mut world = up();
        world.stop_daemon();
        if edit == "added" {
            world = world.component("licence", OnDown::Stop);
            world.redefine(|_| ());
        } else {
            world.redefine(|policy| policy.checkers.get_mut("page").unwrap().definition += 1);
        }
        world.see_process("app", APPLICATION, Duration::from_secs(120));
        assert!(world.ready(), "{edit}: the others have not changed");
        let unproven = checker(&world, name);
        assert!(unproven.on_probation && unproven.verdict == Verdict::Undecided, "{edit}: {unproven:?}");
        // It is not waited for, and its failures do no harm.
        world.see("disk", Status::Pass);
        if edit == "added" {
            world.see("page", Status::Pass);
        }
        world.pass_time(Duration::from_secs(6));
        for _ in 0..5 {
            world.see(name, Status::Fail);
        }
        assert_eq!((world.state(), world.ready(), world.occasion()), (StateName::Up, true, None), "{edit}");
        world.see(name, Status::Pass);
        world.see(name, Status::Fail);
        assert!(!world.ready(), "{edit}: it has proven itself");
    }
}

#[test]
fn an_edited_checker_of_processes_is_evidence_only_of_what_it_sees() {
    let edited = || {
        let mut world = up();
        world.stop_daemon();
        world.redefine(|policy| policy.checkers.get_mut("app").unwrap().definition += 1);
        assert!(checker(&world, "app").on_probation);
        world
    };
    // The process that existed before.
    let mut world = edited();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    assert_eq!((world.state(), world.ready()), (StateName::Up, true));
    // It sees no process: the others tell.
    let mut world = edited();
    world.see("app", Status::Fail);
    world.see("page", Status::Pass);
    assert!(looks(&world) && !world.ready(), "one that could tell has not run");
    world.see("disk", Status::Pass);
    assert_eq!((world.state(), world.ready(), world.view().restarts), (StateName::Up, true, 0));
    let mut world = edited();
    world.see("app", Status::Fail);
    world.see("page", Status::Fail);
    world.see("disk", Status::Pass);
    assert_eq!((looks(&world), world.ready()), (false, false));
    // The host knows that it has ended.
    let mut world = edited();
    world.see_end("app");
    world.see("page", Status::Fail);
    world.see("disk", Status::Pass);
    assert!(matches!(world.occasion(), Some(Occasion::Incident(_))), "{}", world.view().reason);
    assert_eq!(world.view().restarts, 1);
}

#[test]
fn a_checker_that_is_edited_while_it_is_trusted_is_waited_for_no_longer() {
    let mut world = up();
    world.kill_daemon();
    world.see_process("app", APPLICATION, Duration::from_secs(120));
    world.see("disk", Status::Pass);
    world.redefine(|policy| policy.checkers.get_mut("page").unwrap().definition += 1);
    assert!(checker(&world, "page").on_probation);
    world.pass_time(Duration::from_secs(6));
    assert_eq!((world.state(), world.ready()), (StateName::Up, true), "{}", world.view().reason);
}
