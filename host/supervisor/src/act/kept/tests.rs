use super::ledger::KeptProcess;
use super::*;
use crate::act::harness::processes_of;
use crate::act::harness::{Harness, shell};
use bellwether_os::process::pidfd::PidFd;
use bellwether_os::process::stat::Stat;
use bellwether_os::spawn::execution::Execution;
use bellwether_os::spawn::gate::Launcher;
use bellwether_testing::process::{command, is_pending, until};

/// Runs until it is killed, with a child of its own; reports when both have started.
const PARENT: &str = "sleep 600 & echo > ready; wait";
/// Leaves a child behind in its group, and exits.
const LEAVES: &str = "sleep 600 & exit 3";

async fn file_appears(harness: &Harness, name: &str) {
    let path = harness.root.path().join(name);
    until(&format!("{} is there", path.display()), || path.exists()).await;
}

async fn ended(mut state: watch::Receiver<KeptState>) -> String {
    let ended = state.wait_for(|state| matches!(state, KeptState::Ended { .. })).await.unwrap();
    let KeptState::Ended { how, .. } = &*ended else { unreachable!("waited for") };
    how.clone()
}

#[tokio::test]
async fn a_kept_process_is_started_once_and_its_death_is_published() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    assert_eq!(*kept.subscribe(module, &name).borrow(), KeptState::Never);
    let spec = shell("exec sleep 600", true);
    let id = kept.start(module, &name, &spec).await.unwrap();
    assert_eq!(kept.start(module, &name, &spec).await.unwrap(), id, "it runs already");
    assert_eq!(kept.running(module), std::slice::from_ref(&name));
    assert_eq!(kept.subscribe(module, &name).borrow().running(), Some(id));

    assert!(kept.signal(module, &name, Signal::Kill).await.unwrap());
    assert_eq!(ended(kept.subscribe(module, &name)).await, "was ended by SIGKILL");
    assert!(kept.running(module).is_empty());
    kept.await_exit(module, &name).await.unwrap();
    assert!(!kept.signal(module, &name, Signal::Term).await.unwrap(), "nobody is left");

    let next = kept.start(module, &name, &spec).await.unwrap();
    assert_ne!(next, id);
    kept.kill_all(module).await.unwrap();
    assert!(!next.still_alive());
}

#[tokio::test]
async fn a_start_right_after_a_death_never_takes_the_dead_for_the_living() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    let spec = shell("exec sleep 600", true);
    let mut id = kept.start(module, &name, &spec).await.unwrap();
    for _ in 0..20 {
        let pidfd = PidFd::open_exact(&id).unwrap().unwrap();
        pidfd.signal(Signal::Kill).unwrap();
        pidfd.exited().await;
        let next = kept.start(module, &name, &spec).await.unwrap();
        assert_ne!(next, id);
        assert_eq!(kept.subscribe(module, &name).borrow().running(), Some(next));
        id = next;
    }
}

#[tokio::test]
async fn a_signal_reaches_the_whole_group() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    kept.start(module, &name, &shell(PARENT, true)).await.unwrap();
    file_appears(&harness, "ready").await;
    assert_eq!(processes_of(harness.root.path()).len(), 2);
    kept.signal(module, &name, Signal::Term).await.unwrap();
    kept.await_exit(module, &name).await.unwrap();
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn children_of_a_dead_leader_are_still_signalled_and_waited_for() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    kept.start(module, &name, &shell(LEAVES, true)).await.unwrap();
    assert_eq!(ended(kept.subscribe(module, &name)).await, "exited with 3");
    assert_eq!(processes_of(harness.root.path()).len(), 1);
    assert!(kept.running(module).is_empty());
    let waiting = kept.await_exit(module, &name);
    tokio::pin!(waiting);
    assert!(is_pending(&mut waiting).await, "a child lives");
    assert!(kept.signal(module, &name, Signal::Term).await.unwrap());
    waiting.await.unwrap();
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn the_end_of_what_gave_up_is_told_with_its_last_words() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    kept.start(module, &name, &shell("echo no such port >&2; exit 4", true)).await.unwrap();
    assert_eq!(ended(kept.subscribe(module, &name)).await, "exited with 4; its log says: no such port");
    // The last words of the previous process are not its own.
    kept.start(module, &name, &shell("exit 5", true)).await.unwrap();
    assert_eq!(ended(kept.subscribe(module, &name)).await, "exited with 5");
}

#[tokio::test]
async fn what_a_dead_leader_left_behind_is_ended_by_the_next_start() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    kept.start(module, &name, &shell(LEAVES, true)).await.unwrap();
    ended(kept.subscribe(module, &name)).await;
    let left = processes_of(harness.root.path());
    assert_eq!(left.len(), 1);
    let id = kept.start(module, &name, &shell("exec sleep 600", true)).await.unwrap();
    let now: Vec<u32> = processes_of(harness.root.path()).iter().map(|stat| stat.pid).collect();
    assert_eq!(now, [id.pid]);
    assert_eq!(kept.subscribe(module, &name).borrow().running(), Some(id));
}

#[tokio::test]
async fn a_kept_process_outlives_its_keeper_and_is_found_again() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    let spec = shell("exec sleep 600", true);
    let id = kept.start(module, &name, &spec).await.unwrap();
    drop(kept);
    assert!(id.still_alive());

    let kept = harness.runner().await.kept;
    assert_eq!(kept.running(module), std::slice::from_ref(&name));
    assert_eq!(kept.start(module, &name, &spec).await.unwrap(), id, "found, not started anew");
    kept.signal(module, &name, Signal::Kill).await.unwrap();
    ended(kept.subscribe(module, &name)).await;
    kept.await_exit(module, &name).await.unwrap();
}

#[tokio::test]
async fn children_whose_leader_died_without_a_keeper_are_found_again() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    let id = kept.start(module, &name, &shell(PARENT, true)).await.unwrap();
    file_appears(&harness, "ready").await;
    drop(kept);
    let leader = PidFd::open_exact(&id).unwrap().unwrap();
    leader.signal(Signal::Kill).unwrap();
    leader.exited().await;
    // Like init.
    leader.wait_status().unwrap();

    let kept = harness.runner().await.kept;
    assert!(kept.running(module).is_empty());
    assert_eq!(ended(kept.subscribe(module, &name)).await, "ended while Bellwether was not running");
    kept.kill_all(module).await.unwrap();
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn another_process_with_a_remembered_id_is_left_alone() {
    let harness = Harness::new();
    let stranger = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    // It carries no mark, so it is not kept.
    let id = stranger.start(module, &name, &shell("exec sleep 600", false)).await.unwrap();

    let forged = ProcessId { start_time: id.start_time - 1, ..id };
    let ledger = Ledger::new(harness.root.path());
    ledger
        .write(|| {
            vec![KeptProcess {
                module: module.clone(),
                command: name.clone(),
                process: forged,
                launched: None,
                log_from: None,
                former: None,
                notify: None,
            }]
        })
        .unwrap();
    let kept = harness.runner().await.kept;
    assert!(kept.running(module).is_empty());
    assert!(!kept.signal(module, &name, Signal::Kill).await.unwrap());
    kept.kill_all(module).await.unwrap();
    assert!(id.still_alive());
}

#[tokio::test]
async fn a_start_that_is_given_up_is_seen_by_who_asks_what_runs() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    let spec = shell("exec sleep 600", true);
    for _ in 0..20 {
        {
            let mut start = Box::pin(kept.start(module, &name, &spec));
            // In progress on another thread, or already done: both must be noticed.
            let _under_way = is_pending(&mut start).await;
        }
        kept.quiesce(module).await.unwrap();
        assert_eq!(kept.running(module), std::slice::from_ref(&name));
        kept.kill_all(module).await.unwrap();
        assert!(processes_of(harness.root.path()).is_empty());
    }
}

#[tokio::test]
async fn a_start_that_is_given_up_does_not_escape_from_being_killed() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    let spec = shell("exec sleep 600", true);
    {
        let mut start = Box::pin(kept.start(module, &name, &spec));
        let _under_way = is_pending(&mut start).await;
    }
    kept.kill_all(module).await.unwrap();
    assert!(kept.running(module).is_empty());
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn what_is_kept_is_found_again_by_its_mark_when_the_list_of_it_is_lost() {
    let harness = Harness::new();
    let (module, name) = (&harness.module, command("keep"));
    let id = {
        let kept = harness.runner().await.kept;
        kept.start(module, &name, &shell(PARENT, true)).await.unwrap()
    };
    // While a process executes another program, its mark cannot be read.
    file_appears(&harness, "ready").await;
    let list = harness.root.path().join("state/kept.json");
    for damage in [Some("{ \"processes\": [ { \"module\": 1 } ] }"), Some("{ \"processes\": [] }"), None] {
        match damage {
            Some(text) => std::fs::write(&list, text).unwrap(),
            None => std::fs::remove_file(&list).unwrap(),
        }
        let kept = harness.runner().await.kept;
        assert_eq!(kept.subscribe(module, &name).borrow().running(), Some(id), "{damage:?}");
        assert_eq!(kept.launched(module, &name), None, "nobody knows what it was started with");
    }
}

#[tokio::test]
async fn a_module_that_is_renamed_inherits_what_runs_if_it_would_start_just_the_same() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    let spec = shell("exec sleep 600", true);
    let id = kept.start(module, &name, &spec).await.unwrap();
    let living = kept.living();
    assert_eq!(living.len(), 1);
    assert_eq!((living[0].leader, &living[0].launched), (Some(id.pid), &Some(Launched::by(&spec))));
    assert_eq!(kept.members(module, &name, Duration::ZERO).await.unwrap(), [id.pid]);

    let (heir, start) = (ModuleName::new("shop").unwrap(), command("start"));
    let other = CommandSpec { env: BTreeMap::from([("A".to_owned(), "b".to_owned())]), ..spec.clone() };
    assert_eq!(kept.inherit(&heir, &start, &Launched::by(&spec), |_| false), None, "its module is there");
    assert_eq!(kept.inherit(&heir, &start, &Launched::by(&other), |_| true), None, "in another environment");
    let inherited = kept.inherit(&heir, &start, &Launched::by(&spec), |of| of == module);
    assert_eq!(inherited, Some((module.clone(), id.pid)));
    assert_eq!(kept.subscribe(&heir, &start).borrow().running(), Some(id));
    assert_eq!(*kept.subscribe(module, &name).borrow(), KeptState::Never);
    assert_eq!(kept.start(&heir, &start, &spec).await.unwrap(), id, "it runs already");

    // The next daemon knows it under its new name, and notices its end.
    let next = harness.runner().await.kept;
    assert_eq!(next.subscribe(&heir, &start).borrow().running(), Some(id));
    // Two daemons would both try to reap it, and only one would succeed.
    drop(next);
    kept.kill_all(&heir).await.unwrap();
    assert_eq!(ended(kept.subscribe(&heir, &start)).await, "was ended by SIGKILL");
}

#[tokio::test]
async fn after_a_stop_whoever_outlives_it_is_named() {
    let harness = Harness::new();
    let kept = harness.runner().await.kept;
    let (module, name) = (&harness.module, command("keep"));
    assert_eq!(kept.outlives(module, Duration::ZERO).await.unwrap(), None);
    let id = kept.start(module, &name, &shell("exec sleep 600", true)).await.unwrap();
    let left = kept.outlives(module, Duration::from_millis(10)).await.unwrap();
    assert_eq!(left, Some((name.clone(), id.pid)));
    kept.kill_all(module).await.unwrap();
    assert_eq!(kept.outlives(module, Duration::from_millis(10)).await.unwrap(), None);
}

/// A launcher on a slow disk: the start is over, and it has not made its group yet.
#[tokio::test]
async fn one_that_has_made_no_group_yet_is_signalled_and_counted_as_well() {
    let harness = Harness::new();
    // It closes the connection to the daemon, and executes nothing else.
    let script = harness.root.path().join("launcher");
    std::fs::write(&script, "exec sleep 600 < /dev/null\n").unwrap();
    let argument = Box::leak(script.to_str().unwrap().to_owned().into_boxed_str());
    let launcher = Launcher::Child { program: "/bin/sh".into(), argument };
    let kept = harness.runner_with(launcher).await.kept;
    let (module, name) = (&harness.module, command("keep"));
    for ends in [true, false] {
        let id = kept.start(module, &name, &shell("true", true)).await.unwrap();
        let group = |pid: u32| Stat::read(pid).unwrap().group;
        assert_eq!(group(id.pid), group(std::process::id()), "it is in the tests' group");
        assert_eq!(kept.members(module, &name, Duration::ZERO).await.unwrap(), [id.pid]);
        assert_eq!(
            kept.outlives(module, Duration::from_millis(1)).await.unwrap(),
            Some((name.clone(), id.pid))
        );
        if ends {
            assert!(kept.signal(module, &name, Signal::Term).await.unwrap());
            kept.await_exit(module, &name).await.unwrap();
        } else {
            kept.kill_all(module).await.unwrap();
        }
        assert!(!id.still_alive());
    }
}

#[test]
fn a_command_without_settings_has_the_surroundings_that_earlier_daemons_wrote_down() {
    let plain = shell("true", true);
    let digest = blake3::hash(&0_usize.to_le_bytes()).to_hex().to_string();
    assert_eq!(Launched::by(&plain).surroundings, digest);
    let execution = Execution { nice: Some(1), ..Execution::default() };
    let other = CommandSpec { execution, ..plain.clone() };
    assert_ne!(Launched::by(&other), Launched::by(&plain));
}
