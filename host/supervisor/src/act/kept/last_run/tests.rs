use super::*;
use crate::act::harness::processes_of;
use crate::act::harness::{Harness, shell};
use crate::act::step::StepRunner;
use bellwether_core::plan::StepAction;
use bellwether_testing::process::{command, until};
use std::os::unix::process::CommandExt as _;

/// Starts a child in its own session, which reports when it is ready, and continues.
const AWAY: &str = "setsid sh -c 'echo > away; exec sleep 600' & while [ ! -e away ]; do sleep 0.01; done";
/// The same, and the child ignores SIGTERM.
const DEAF: &str =
    "setsid sh -c 'trap \"\" TERM; echo > away; exec sleep 600' & while [ ! -e away ]; do sleep 0.01; done";

fn polite() -> Request {
    by_term(bellwether_testing::process::PATIENCE)
}

fn impatient() -> Request {
    by_term(Duration::from_millis(100))
}

fn by_term(within: Duration) -> Request {
    Request { stages: vec![Stage { signal: Signal::Term, within }] }
}

async fn is_there(harness: &Harness) {
    until("the child is there", || harness.root.path().join("away").exists()).await;
}

/// The command and its child have executed their programs, and what the shell started meanwhile has ended.
async fn both_sleep(harness: &Harness) {
    until("command and child are asleep", || {
        let processes = processes_of(harness.root.path());
        processes.len() == 2 && processes.iter().all(|process| process.comm == "sleep")
    })
    .await;
}

/// The only process there is, once it has executed its program.
async fn only_one(harness: &Harness) -> Stat {
    let mut only = None;
    let is_asleep = |processes: &[Stat]| matches!(processes, [one] if one.comm == "sleep");
    until("one is left, and asleep", || {
        let processes = processes_of(harness.root.path());
        only = processes.first().cloned();
        is_asleep(&processes)
    })
    .await;
    only.unwrap()
}

/// What a start waits for, in words.
async fn end_last_run(runner: &StepRunner, harness: &Harness, name: &str, request: Request) -> Vec<String> {
    let mut told = Vec::new();
    let tell = |text, _| {
        told.push(text);
        std::future::ready(())
    };
    runner.kept.end_last_run(&harness.module, vec![(command(name), request)], tell).await.unwrap();
    told
}

#[tokio::test]
async fn one_in_a_session_of_its_own_is_stopped_and_killed_with_the_others() {
    for signal in [Signal::Term, Signal::Kill] {
        let harness = Harness::new();
        let kept = harness.runner().await.kept;
        let (module, name) = (&harness.module, command("keep"));
        kept.start(module, &name, &shell(&format!("{AWAY}; exec sleep 601"), true)).await.unwrap();
        is_there(&harness).await;
        assert!(kept.signal(module, &name, signal).await.unwrap());
        kept.await_exit(module, &name).await.unwrap();
        assert_eq!(processes_of(harness.root.path()), [], "{signal}");
    }
}

#[tokio::test]
async fn while_the_first_process_lives_it_alone_says_what_becomes_of_its_own() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    kept.start(module, &name, &shell(&format!("trap '' TERM; {AWAY}; exec sleep 601"), true)).await.unwrap();
    both_sleep(&harness).await;
    for signal in [Signal::Term, Signal::Usr1] {
        // The process that has left its group ignores the signals as well; but it gets none of them.
        kept.signal(module, &name, signal).await.unwrap();
    }
    assert_eq!(kept.0.outside(&kept.slot(module, &name)).await.unwrap().len(), 1);
    kept.kill_all(module).await.unwrap();
    assert_eq!(processes_of(harness.root.path()), []);
}

#[tokio::test]
async fn a_start_names_what_the_last_run_has_left_and_waits_for_its_end() {
    for (script, request) in [(AWAY, polite()), (DEAF, impatient())] {
        let harness = Harness::new();
        let runner = harness.runner().await;
        let (module, name) = (&harness.module, command("keep"));
        assert!(end_last_run(&runner, &harness, "keep", polite()).await.is_empty(), "there was no run yet");
        let id = runner.kept.start(module, &name, &shell(script, true)).await.unwrap();
        runner.kept.subscribe(module, &name).wait_for(|state| state.running().is_none()).await.unwrap();
        let left = only_one(&harness).await;
        // It is unrelated to the start of another command.
        assert!(end_last_run(&runner, &harness, "start", polite()).await.is_empty());
        let told = end_last_run(&runner, &harness, "keep", request).await;
        assert_eq!(told, [format!("waiting for 1 process of the last run: sleep {}", left.pid)]);
        assert_eq!(processes_of(harness.root.path()), []);
        assert!(!id.still_alive());
    }
}

#[tokio::test]
async fn what_runs_is_not_ended_by_its_own_start() {
    let harness = Harness::new();
    let runner = harness.runner().await;
    let (module, name) = (&harness.module, command("keep"));
    let id = runner.kept.start(module, &name, &shell("exec sleep 600", true)).await.unwrap();
    assert!(end_last_run(&runner, &harness, "keep", polite()).await.is_empty());
    assert!(id.still_alive());
}

#[tokio::test]
async fn what_a_start_has_left_in_the_background_is_the_application() {
    let harness = Harness::new();
    let runner = harness.runner().await;
    let module =
        harness.module(&[("start", AWAY), ("stop", "true"), ("other", &AWAY.replace("away", "off"))]);
    let run = |name: &str| StepAction::Run { command: command(name), arguments: Vec::new() };
    let within = bellwether_testing::process::PATIENCE;
    runner.carry_out(&module, &run("start"), within).await.unwrap();
    let left = only_one(&harness).await;
    // The leftovers of another command belong to no kept command.
    runner.carry_out(&module, &run("other"), within).await.unwrap();
    let both = processes_of(harness.root.path());
    assert_eq!(both.len(), 2);

    let error = runner.kept.outlives(&harness.module, Duration::from_millis(10)).await.unwrap();
    assert_eq!(error, Some((command("start"), left.pid)), "it lives, and was not asked to end");
    // The same is true for the next daemon.
    let next = harness.runner().await;
    let mut told = Vec::new();
    let tell = |text, _| {
        told.push(text);
        std::future::ready(())
    };
    next.end_last_run(&module, &run("start"), tell).await.unwrap();
    assert_eq!(told, [format!("waiting for 1 process of the last run: sleep {}", left.pid)]);
    let now = processes_of(harness.root.path());
    assert_eq!(now.len(), 1);
    assert_ne!(now[0].pid, left.pid);
    next.carry_out(&module, &run("start"), within).await.unwrap();
    next.kill_kept(&harness.module, Some(&module)).await.unwrap();
    assert_eq!(processes_of(harness.root.path()).len(), 1, "but for what is nobody's");
}

#[tokio::test]
async fn who_says_of_itself_that_it_belongs_is_not_believed() {
    let harness = Harness::new();
    let runner = harness.runner().await;
    let (module, name) = (&harness.module, command("keep"));
    let forged = format!("{}:{module}:{name}", "0".repeat(64));
    let mut stranger = std::process::Command::new("/bin/sleep")
        .arg("600")
        .env(bellwether_os::process::table::MARK, forged)
        .current_dir(harness.root.path())
        .process_group(0)
        .spawn()
        .unwrap();
    assert!(end_last_run(&runner, &harness, "keep", polite()).await.is_empty());
    runner.kept.kill_all(module).await.unwrap();
    assert_eq!(processes_of(harness.root.path()).len(), 1);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_child_without_an_environment_is_known_by_its_parent() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    let script = AWAY.replace("setsid", "env -i /usr/bin/setsid");
    let id = kept.start(module, &name, &shell(&format!("{script}; exec sleep 601"), true)).await.unwrap();
    both_sleep(&harness).await;
    assert_eq!(kept.0.outside(&kept.slot(module, &name)).await.unwrap().len(), 1);
    // It was identified while its parent was alive, so it stays identified when the parent has ended.
    let leader = PidFd::open_exact(&id).unwrap().unwrap();
    leader.signal(Signal::Kill).unwrap();
    leader.exited().await;
    kept.subscribe(module, &name).wait_for(|state| state.running().is_none()).await.unwrap();
    let away = only_one(&harness).await;
    let left = kept.0.left(&kept.slot(module, &name)).await.unwrap();
    assert_eq!(left.iter().map(|stat| stat.pid).collect::<Vec<_>>(), [away.pid]);
    kept.await_exit(module, &name).await.unwrap();
    assert_eq!(processes_of(harness.root.path()), []);
}

#[tokio::test]
async fn after_a_rename_what_has_left_the_group_is_the_heirs() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    // Its launcher would have shown the next daemon which of them is the first.
    let away = AWAY.replace("setsid", "env -u BELLWETHER_KEPT setsid");
    let spec = shell(&format!("{away}; exec sleep 601"), true);
    kept.start(module, &name, &spec).await.unwrap();
    let two_asleep = || {
        let processes = processes_of(harness.root.path());
        processes.len() == 2 && processes.iter().all(|stat| stat.comm == "sleep")
    };
    until("both are asleep", two_asleep).await;
    let heir = ModuleName::new("shop").unwrap();
    let launched = super::super::Launched::by(&spec);
    kept.inherit(&heir, &name, &launched, |of| of == module).unwrap();
    kept.kill_all(module).await.unwrap();
    assert_eq!(processes_of(harness.root.path()).len(), 2, "it is another's now");
    // The next daemon knows it as well.
    drop(kept);
    let kept = harness.runner().await.kept;
    kept.kill_all(module).await.unwrap();
    assert_eq!(processes_of(harness.root.path()).len(), 2);
    kept.kill_all(&heir).await.unwrap();
    assert_eq!(processes_of(harness.root.path()), []);
}

#[test]
fn a_look_for_which_the_node_has_no_descriptor_is_a_shortage() {
    let lacking = io::Error::from(rustix::io::Errno::MFILE);
    assert_eq!(cannot_tell(&lacking).shortage, Some(Exhaustion::Descriptors));
    assert_eq!(cannot_tell(&io::Error::other("x")).shortage, None);
}
