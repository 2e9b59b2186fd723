use bellwether_core::verdict::Verdict;

use super::*;
use crate::act::harness::processes_of;
use crate::act::harness::{Harness, checker};
use bellwether_os::process::find::Find;
use bellwether_os::process::kept_table::KeptState;
use bellwether_os::spawn::command::ArgumentPattern;
use bellwether_testing::process::{command, is_pending, until};

const LONG: Duration = Duration::from_mins(1);

fn run(name: &str) -> StepAction {
    StepAction::Run { command: command(name), arguments: Vec::new() }
}

#[tokio::test]
async fn a_command_that_exits_with_0_has_been_run() {
    let harness = Harness::new();
    let module = harness.module(&[("good", "echo fine"), ("bad", "echo one; echo two >&2; exit 4")]);
    let runner = harness.runner().await;
    let done = runner.carry_out(&module, &run("good"), LONG).await.unwrap();
    assert!(done.starts_with("exited with 0 after "), "{done}");
    let failed = runner.carry_out(&module, &run("bad"), LONG).await.unwrap_err().to_string();
    assert_eq!(failed, "exited with 4; its log says: two");
    let log = log_file::path(harness.root.path(), &module.name, &command("bad"));
    assert_eq!(std::fs::read_to_string(log).unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn arguments_of_the_plan_come_behind_the_declared_ones_if_these_allow_it() {
    let harness = Harness::new();
    let mut module = harness.module(&[("args", "echo \"$0-$1\"; exit 1")]);
    let arguments = vec!["a b".to_owned(), "$(c)".to_owned()];
    let action = StepAction::Run { command: command("args"), arguments };
    let runner = harness.runner().await;
    let refused = runner.carry_out(&module, &action, LONG).await.unwrap_err().to_string();
    assert!(refused.starts_with("cannot run command `args`: it takes no further arguments"), "{refused}");
    if let Some(spec) = module.commands.get_mut("args") {
        spec.arguments = Some(ArgumentPattern::new(".*").unwrap());
    }
    let failed = runner.carry_out(&module, &action, LONG).await.unwrap_err().to_string();
    assert_eq!(failed, "exited with 1; its log says: a b-$(c)");
}

#[tokio::test]
async fn what_is_said_of_an_output_is_bounded_and_plain() {
    let harness = Harness::new();
    let script = "head -c 100000 /dev/zero | tr '\\0' x; printf '\\033[31mred\\n\\n'; exit 1";
    let module = harness.module(&[("loud", script)]);
    let failed = harness.runner().await.carry_out(&module, &run("loud"), LONG).await.unwrap_err().to_string();
    assert!(failed.len() <= log_file::MAX_LINE + "exited with 1; its log says: ".len(), "{}", failed.len());
    assert!(failed.chars().all(|c| !c.is_control()));
}

#[tokio::test]
async fn a_command_that_leaves_something_running_is_not_waited_for_beyond_its_own_end() {
    let harness = Harness::new();
    let module = harness.module(&[("daemon", "sleep 600 & exit 0")]);
    harness.runner().await.carry_out(&module, &run("daemon"), LONG).await.unwrap();
    assert_eq!(processes_of(harness.root.path()).len(), 1, "and it is left running");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_its_group() {
    let harness = Harness::new();
    let mut module = harness.module(&[("slow", "sleep 600 & sleep 601")]);
    let runner = harness.runner().await;
    let timeout = Duration::from_millis(100);
    let failed = runner.carry_out(&module, &run("slow"), timeout).await.unwrap_err().to_string();
    assert_eq!(failed, "did not end within 100ms and was killed");
    nobody_is_left(&harness).await;
    if let Some(spec) = module.commands.get_mut("slow") {
        spec.timeout = Duration::from_millis(90);
    }
    let failed = runner.carry_out(&module, &run("slow"), LONG).await.unwrap_err().to_string();
    assert_eq!(failed, "did not end within 90ms and was killed", "its own limit counts too");
    nobody_is_left(&harness).await;
}

#[tokio::test]
async fn a_step_that_is_given_up_leaves_nothing_running() {
    let harness = Harness::new();
    let module = harness.module(&[("slow", "sleep 600")]);
    let runner = harness.runner().await;
    let action = run("slow");
    {
        let step = runner.carry_out(&module, &action, LONG);
        tokio::pin!(step);
        assert!(is_pending(&mut step).await);
        assert!(!processes_of(harness.root.path()).is_empty());
    }
    nobody_is_left(&harness).await;
}

/// SIGKILL has been sent; the ends are events to wait for.
async fn nobody_is_left(harness: &Harness) {
    for stat in processes_of(harness.root.path()) {
        if let Some(pidfd) = PidFd::open(stat.pid).unwrap() {
            tokio::time::timeout(LONG, pidfd.exited()).await.unwrap();
        }
    }
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn a_kept_command_is_started_signalled_and_awaited() {
    let harness = Harness::new();
    let module = harness.module(&[("keep", "exec sleep 600")]);
    let runner = harness.runner().await;
    let act = |action: StepAction| {
        let (runner, module) = (runner.clone(), module.clone());
        async move { runner.carry_out(&module, &action, LONG).await }
    };
    let target = Target::Command(command("keep"));
    assert_eq!(
        act(StepAction::Signal(target.clone(), Signal::Term)).await.unwrap(),
        "there is no process to signal"
    );
    let started = act(StepAction::Keep(command("keep"))).await.unwrap();
    assert!(started.starts_with("`keep` runs as pid "), "{started}");
    assert_eq!(act(StepAction::Signal(target.clone(), Signal::Term)).await.unwrap(), "sent SIGTERM");
    assert_eq!(act(StepAction::AwaitExit(target)).await.unwrap(), "`keep`: no process is left");
    assert!(processes_of(harness.root.path()).is_empty());
    act(StepAction::Keep(command("keep"))).await.unwrap();
    runner.kill_kept(&module.name, Some(&module)).await.unwrap();
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn the_processes_of_a_checker_are_found_signalled_and_awaited() {
    let harness = Harness::new();
    let mut module = harness.module(&[("daemon", "sleep 600 & echo $! > pid; sleep 601 & exit 0")]);
    module.checkers.extend([checker("app", Find::PidFile(harness.root.path().join("pid")))]);
    let runner = harness.runner().await;
    runner.carry_out(&module, &run("daemon"), LONG).await.unwrap();
    let target = Target::Checker(CheckerName::new("app").unwrap());
    let overdue =
        runner.carry_out(&module, &StepAction::AwaitExit(target.clone()), Duration::from_millis(50)).await;
    assert_eq!(overdue.unwrap_err().to_string(), "was not done within 50ms");
    let sent = runner.carry_out(&module, &StepAction::Signal(target.clone(), Signal::Kill), LONG).await;
    assert_eq!(sent.unwrap(), "sent SIGKILL");
    runner.carry_out(&module, &StepAction::AwaitExit(target), LONG).await.unwrap();
    assert_eq!(processes_of(harness.root.path()).len(), 1, "only what the checker finds");
}

#[tokio::test]
async fn a_step_that_makes_no_sense_is_refused_with_what_to_do() {
    let harness = Harness::new();
    let module = harness.module(&[("keep", "true"), ("run", "true")]);
    let runner = harness.runner().await;
    let checker = CheckerName::new("app").unwrap();
    for (action, said) in [
        (run("other"), "the module declares no command `other`"),
        (run("keep"), "command `keep` is kept, not run to completion"),
        (StepAction::Keep(command("run")), "command `run` is not kept"),
        (StepAction::AwaitExit(Target::Command(command("run"))), "command `run` is not kept"),
        (StepAction::AwaitExit(Target::Checker(checker.clone())), "the module has no checker `app`"),
        (StepAction::AwaitChecker(checker, Verdict::Up), "the core's own"),
        (StepAction::Pause(LONG), "the core's own"),
    ] {
        let refused = runner.carry_out(&module, &action, LONG).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[tokio::test]
async fn a_kept_command_that_is_declared_no_more_can_still_be_stopped() {
    let harness = Harness::new();
    let mut module = harness.module(&[("keep", "exec sleep 600")]);
    let runner = harness.runner().await;
    runner.carry_out(&module, &StepAction::Keep(command("keep")), LONG).await.unwrap();
    module.commands.clear();
    let listed = crate::act::commands_of(&module, &runner.kept.running(&module.name));
    assert_eq!(listed.len(), 1);
    assert!(listed[0].name == command("keep") && listed[0].keep && listed[0].running);

    let target = Target::Command(command("keep"));
    let signal = StepAction::Signal(target.clone(), Signal::Term);
    assert_eq!(runner.carry_out(&module, &signal, LONG).await.unwrap(), "sent SIGTERM");
    let gone = runner.carry_out(&module, &StepAction::AwaitExit(target), LONG).await;
    assert_eq!(gone.unwrap(), "`keep`: no process is left");
    let again = runner.carry_out(&module, &StepAction::Keep(command("keep")), LONG).await;
    assert_eq!(again.unwrap(), "`keep` is no longer declared and is not started again");
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn an_application_in_the_background_that_lives_on_has_not_been_killed() {
    let harness = Harness::new();
    // The processes that `start` leaves are the application. This is another one with the same name.
    let mut module = harness.module(&[("other", "sleep 600 & echo $! > pid; exit 0")]);
    module.checkers.extend([checker("app", Find::PidFile(harness.root.path().join("pid")))]);
    let runner = harness.runner().await;
    runner.carry_out(&module, &run("other"), LONG).await.unwrap();
    // For an instant it is still the shell that started it (fork(2), then execve(2)).
    let running = || processes_of(harness.root.path()).pop();
    until("it is `sleep`", || running().is_some_and(|stat| stat.comm == "sleep")).await;
    let pid = running().unwrap().pid;
    let failed = runner.kill_kept(&module.name, Some(&module)).await.unwrap_err().to_string();
    assert_eq!(
        failed,
        format!(
            "`sleep` still runs (pid {pid}) and there is no kept command to end: declare a `forced-stop` command"
        )
    );
    assert_eq!(processes_of(harness.root.path()).len(), 1, "it is not ours to kill");

    // A check after a stop sees it as well, and waits until it has ended, if it ends soon.
    let look = runner.look_stopped(&module.name, Some(&module), LONG);
    tokio::pin!(look);
    assert!(is_pending(&mut look).await);
    let target = Target::Checker(CheckerName::new("app").unwrap());
    runner.carry_out(&module, &StepAction::Signal(target.clone(), Signal::Kill), LONG).await.unwrap();
    runner.carry_out(&module, &StepAction::AwaitExit(target), LONG).await.unwrap();
    assert_eq!(look.await.unwrap(), "all has ended");
    runner.kill_kept(&module.name, Some(&module)).await.unwrap();
}

#[tokio::test]
async fn a_look_after_a_stop_names_a_kept_process_that_lives_on() {
    let harness = Harness::new();
    let module = harness.module(&[("keep", "exec sleep 600")]);
    let runner = harness.runner().await;
    runner.carry_out(&module, &StepAction::Keep(command("keep")), LONG).await.unwrap();
    let pid = processes_of(harness.root.path())[0].pid;
    let seen = runner.look_stopped(&module.name, Some(&module), ENDING).await;
    assert_eq!(seen.unwrap_err().to_string(), format!("`keep` still runs (pid {pid})"));
    runner.kill_kept(&module.name, Some(&module)).await.unwrap();
    assert_eq!(runner.look_stopped(&module.name, Some(&module), ENDING).await.unwrap(), "all has ended");
}

#[tokio::test]
async fn a_kept_process_that_takes_its_time_to_end_is_waited_for() {
    let harness = Harness::new();
    let module = harness.module(&[("keep", "exec sleep 600")]);
    let runner = harness.runner().await;
    runner.carry_out(&module, &StepAction::Keep(command("keep")), LONG).await.unwrap();
    let overdue = runner.look_stopped(&module.name, Some(&module), Duration::from_millis(1)).await;
    overdue.unwrap_err();
    let look = runner.look_stopped(&module.name, Some(&module), LONG);
    let end = async {
        let signal = StepAction::Signal(Target::Command(command("keep")), Signal::Term);
        runner.carry_out(&module, &signal, LONG).await
    };
    let (seen, signalled) = tokio::join!(look, end);
    assert_eq!(signalled.unwrap(), "sent SIGTERM");
    assert_eq!(seen.unwrap(), "all has ended");
}

#[tokio::test]
async fn what_an_application_that_died_has_left_is_ended_by_a_look() {
    let harness = Harness::new();
    // Children inherit ignored signals from the shell.
    let module = harness.module(&[("keep", "trap '' TERM; sleep 600 & exit 3")]);
    let runner = harness.runner().await;
    runner.carry_out(&module, &StepAction::Keep(command("keep")), LONG).await.unwrap();
    let mut state = runner.kept.subscribe(&module.name, &command("keep"));
    state.wait_for(|state| matches!(state, KeptState::Ended { .. })).await.unwrap();
    assert_eq!(processes_of(harness.root.path()).len(), 1, "it has left one");
    assert_eq!(runner.look_stopped(&module.name, Some(&module), LONG).await.unwrap(), "all has ended");
    assert!(processes_of(harness.root.path()).is_empty());
}

type Hold = fn(&[Stat]) -> io::Result<Vec<PidFd>>;

/// A process that is found, but cannot be opened: it has just ended, or there is no descriptor left.
#[tokio::test]
async fn a_process_that_ends_while_it_is_looked_at_has_not_outlived_the_stop() {
    let stat = Stat::read(std::process::id()).unwrap();
    let until = tokio::time::Instant::now() + LONG;
    let holds: [Hold; 2] = [|_| Ok(Vec::new()), |_| Err(io::ErrorKind::Other.into())];
    for hold in holds {
        let sights = std::cell::Cell::new(0);
        let look = || {
            sights.set(sights.get() + 1);
            let found = if sights.get() < 3 { vec![stat.clone()] } else { Vec::new() };
            async move { Some(found) }
        };
        assert_eq!(outlives(until, look, hold).await, None);
        assert_eq!(sights.get(), 3);
    }
    // It exists until the end.
    let there = || async { Some(vec![stat.clone()]) };
    let now = tokio::time::Instant::now();
    assert_eq!(outlives(now, there, holds[0]).await, Some(stat.clone()));
    assert_eq!(outlives(now, there, hold_all).await, Some(stat.clone()));
}
