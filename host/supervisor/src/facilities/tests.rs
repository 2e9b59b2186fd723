use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::time::Instant;

use bellwether_core::moment::Moment;

use super::*;
use crate::act::harness::processes_of;
use crate::act::harness::{Harness, checker};
use crate::loaded_modules::LoadedModules;
use bellwether_os::process::find::Find;
use bellwether_os::process::kept_table::KeptState;
use bellwether_os::spawn::command::ArgumentPattern;
use bellwether_testing::process::{PATIENCE, command};

fn facilities(harness: &Harness, spec: ModuleSpec, kept: KeptTable) -> ModuleFacilities {
    let loaded_modules = LoadedModules::default();
    let name = spec.name.clone();
    loaded_modules.put(vec![spec]);
    ModuleFacilities {
        home: harness.home(),
        member: loaded_modules.get(&name).unwrap(),
        table: ProcessTable::default(),
        kept,
        runtime: Handle::current(),
    }
}

fn order(name: &str, arguments: &[&str]) -> CommandOrder {
    CommandOrder {
        name: command(name),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        stdin: None,
        within: PATIENCE,
    }
}

#[tokio::test]
async fn a_declared_command_is_run_and_a_kept_or_unknown_one_is_not() {
    let harness = Harness::new();
    let mut spec = harness.module(&[("probe", "echo \"[$0]\"; exit 3"), ("keep-app", "sleep 600")]);
    spec.commands.get_mut("probe").unwrap().arguments = Some(ArgumentPattern::new("--[a-z]+").unwrap());
    let facilities = facilities(&harness, spec, KeptTable::default());
    let end = facilities.run_command(order("probe", &["--lag"])).await.unwrap();
    assert_eq!((end.exit, end.stdout.as_slice()), (Some(3), &b"[--lag]\n"[..]));
    let refused = facilities.run_command(order("probe", &["; reboot"])).await.unwrap_err();
    assert!(matches!(refused, CommandError::Arguments(..)), "{refused}");
    for name in ["keep-app", "none"] {
        let refused = facilities.run_command(order(name, &[])).await.unwrap_err();
        assert!(matches!(refused, CommandError::CannotStart(_)), "{refused}");
    }
    assert!(processes_of(harness.root.path()).is_empty());
}

#[tokio::test]
async fn a_command_has_the_shorter_of_its_own_time_and_of_the_runs() {
    let harness = Harness::new();
    let mut spec = harness.module(&[("slow", "sleep 600")]);
    spec.commands.get_mut("slow").unwrap().timeout = Duration::from_millis(90);
    let facilities = facilities(&harness, spec, KeptTable::default());
    let overdue = facilities.run_command(order("slow", &[])).await.unwrap_err();
    assert_eq!(overdue.to_string(), "command `slow` did not end within 90ms and was killed");
    let run = CommandOrder { within: Duration::from_millis(70), ..order("slow", &[]) };
    let overdue = facilities.run_command(run).await.unwrap_err();
    assert_eq!(
        overdue,
        CommandError::Overdue { command: command("slow"), within: Duration::from_millis(70) }
    );
}

#[tokio::test]
async fn a_run_that_is_given_up_takes_its_command_with_it() {
    let harness = Harness::new();
    let spec = harness.module(&[("slow", "sleep 600 & sleep 601")]);
    let facilities = facilities(&harness, spec, KeptTable::default());
    let mut run = facilities.run_command(order("slow", &[]));
    while processes_of(harness.root.path()).len() < 2 {
        assert!(tokio::time::timeout(Duration::from_millis(5), &mut run).await.is_err(), "it cannot end");
    }
    drop(run);
    harness.nobody_is_left().await;
}

#[tokio::test]
async fn the_processes_of_a_module_are_those_it_keeps_and_those_its_checkers_find() {
    let harness = Harness::new();
    // The clock that `started_at` is computed from has a resolution of a hundredth of a second.
    let before = SystemTime::now() - Duration::from_secs(1);
    let mut spec = harness.module(&[("keep-app", "sleep 600 & sleep 600 & wait")]);
    // By an argument that no other process of this machine has.
    let pattern = regex::Regex::new(&regex::escape(&harness.root.path().display().to_string())).unwrap();
    spec.checkers = BTreeMap::from([checker("marked", Find::Arguments(pattern))]);
    let runner = harness.runner().await;
    let marked = format!("sleep 600; : {}", harness.root.path().display());
    // A command that the daemon runs does not match, whatever its arguments are.
    spec.commands.insert(command("other"), crate::act::harness::shell(&marked, false));
    let mut application = std::process::Command::new("/bin/sh");
    application.args(["-c", &marked]).current_dir(harness.root.path()).process_group(0);
    let mut application = application.spawn().unwrap();
    let kept = runner.kept.start(&spec.name, &command("keep-app"), &spec.commands["keep-app"]).await.unwrap();
    let facilities = facilities(&harness, spec, runner.states.clone());
    let other = facilities.clone();
    let _running = tokio::spawn(async move { other.run_command(order("other", &[])).await });
    // A process that a shell starts has the shell's command line for an instant (fork(2), then execve(2)).
    let begun = Instant::now();
    let facts = loop {
        let facts = facilities.processes().await.unwrap();
        let kept = facts.iter().filter(|facts| facts.commands == ["keep-app"]).count();
        if (facts.len(), kept) == (4, 3) {
            break facts;
        }
        assert!(begun.elapsed() < PATIENCE, "{facts:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let leader = facts.iter().find(|facts| facts.pid == kept.pid).unwrap();
    assert_eq!((leader.name.as_str(), leader.commands.as_slice()), ("sh", &["keep-app".to_owned()][..]));
    let marked: Vec<_> = facts.iter().filter(|facts| facts.checkers == ["marked"]).collect();
    assert_eq!(marked.len(), 1, "{facts:#?}");
    assert!(marked[0].commands.is_empty() && marked[0].resident > 0 && marked[0].threads == 1);
    assert!(marked[0].open_files.is_some_and(|files| files >= 3));
    let started_at = marked[0].started_at;
    assert!((before..=SystemTime::now()).contains(&started_at), "{started_at:?} is not after {before:?}");
    assert_eq!(marked[0].pid, application.id());
    // It kills what was started under it.
    drop(harness);
    application.wait().unwrap();
}

#[tokio::test]
async fn what_is_not_kept_and_not_found_is_no_process_of_the_module() {
    let harness = Harness::new();
    let kept = KeptTable::default();
    let spec = harness.module(&[("keep-app", "true")]);
    let ended = KeptState::Ended { pid: 1, how: "exited with 0".to_owned(), at: Moment::default() };
    kept.publish(&spec.name, &command("keep-app"), ended);
    assert_eq!(facilities(&harness, spec, kept).processes().await.unwrap(), []);
}
