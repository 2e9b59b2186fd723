use bellwether_core::plan::Signal;

use super::*;
use crate::process::ending::Ending;
use crate::process::stat::Stat;
use crate::spawn::harness::{Harness, shell};
use crate::spawn::log_file;
use bellwether_testing::process::command;

fn spawn(harness: &Harness, spec: &CommandSpec, arguments: &[String]) -> anyhow::Result<PidFd> {
    let name = command("app");
    let log = log_file::open(harness.root.path(), &harness.module, &name)?;
    let launch = Launch { module: &harness.module, command: &name, spec, arguments };
    harness.home().spawn(&launch, Streams::to_log(log)?)
}

fn output(harness: &Harness) -> String {
    let path = log_file::path(harness.root.path(), &harness.module, &command("app"));
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_command_has_a_group_of_its_own_and_nothing_to_read() {
    let harness = Harness::new();
    let child = spawn(&harness, &shell("read line && exit 1; kill -STOP $$", false), &[]).unwrap();
    let stat = Stat::read(child.id().pid).unwrap();
    assert_eq!(stat.group, child.id().pid);
    // It is asked to exit while it may be stopped: it is continued, because otherwise it would never handle the
    // signal.
    child.signal(Signal::Term).unwrap();
    child.exited().await;
    assert_eq!(child.wait_status().unwrap(), Some(Ending::Signaled { signal: 15, dumped: false }));
}

#[tokio::test]
async fn a_command_gets_a_small_environment_its_folder_and_its_arguments() {
    let harness = Harness::new();
    let mut spec =
        shell("env | cut -d= -f1 | sort | tr '\\n' ' '; echo $BELLWETHER_NODE $COLOUR; pwd; echo $0", false);
    spec.env.insert("COLOUR".into(), "blue".into());
    std::fs::create_dir(harness.root.path().join("data")).unwrap();
    spec.dir = Some("data".into());
    let child = spawn(&harness, &spec, &["extra".into()]).unwrap();
    child.exited().await;
    assert_eq!(child.wait_status().unwrap(), Some(Ending::Exited(0)));
    let output = output(&harness);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "BELLWETHER_MODULE BELLWETHER_NODE COLOUR HOME LANG PATH PWD node-1 blue");
    assert!(lines[1].ends_with("/data"), "{output}");
    assert_eq!(lines[2], "extra");
}

#[tokio::test]
async fn a_bare_name_is_looked_for_where_the_checks_of_the_file_look() {
    let harness = Harness::new();
    let mut spec = shell("", false);
    spec.run = vec!["sh".into(), "-c".into(), "exit 7".into()];
    let child = spawn(&harness, &spec, &[]).unwrap();
    child.exited().await;
    assert_eq!(child.wait_status().unwrap(), Some(Ending::Exited(7)));
}

#[tokio::test]
async fn what_cannot_be_started_is_told_with_what_to_do() {
    let harness = Harness::new();
    let root = harness.root.path();
    std::fs::write(root.join("no-mode"), "#!/bin/sh\n").unwrap();
    // Written by a separate program: a process that another test starts at this moment inherits what this process
    // has open for writing, and then the file cannot be executed (execve(2), ETXTBSY).
    let script = "echo '#!/no/such/shell' > no-interpreter && chmod +x no-interpreter";
    let written = std::process::Command::new("/bin/sh").args(["-c", script]).current_dir(root).status();
    assert!(written.unwrap().success());
    for (program, dir, said) in [
        ("/no/such/program", None, "there is no program /no/such/program: give its full path"),
        ("./no-mode", None, "may not be executed by this user: see its mode (chmod +x)"),
        ("./no-interpreter", None, "needs to run (named in its first line) does not exist"),
        ("no-such-program", None, "there is no program `no-such-program` in /usr/local/sbin:"),
        ("/", None, "/ is a folder, not a program"),
        ("/bin/true", Some("/no/such/folder"), "its folder /no/such/folder does not exist"),
    ] {
        let mut spec = shell("", false);
        spec.run = vec![program.into()];
        spec.dir = dir.map(Into::into);
        let error = spawn(&harness, &spec, &[]).unwrap_err().to_string();
        assert!(error.starts_with("cannot start command `app`: ") && error.contains(said), "{error}");
    }
}
