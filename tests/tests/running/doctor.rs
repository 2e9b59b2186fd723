//! `doctor`, and its findings.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bellwether_tests::answers::{Finding, Findings, read};
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

/// The exit code, and the findings.
fn doctor(root: &Root, system: &Path) -> (Option<i32>, Vec<Finding>) {
    let [root, system] = [root.path(), system].map(|path| path.to_str().expect("a path").to_owned());
    let ended = bellwether_ends(&["doctor", "--json", "--root", &root, "--root-dir", &system]);
    (ended.code, read::<Findings>(&ended.out).findings)
}

/// The finding with that topic and level whose sentence contains the text.
fn find<'a>(findings: &'a [Finding], topic: &str, level: &str, text: &str) -> &'a Finding {
    let found = findings
        .iter()
        .find(|finding| finding.topic == topic && finding.level == level && finding.what.contains(text));
    found.unwrap_or_else(|| panic!("no {level} of {topic} with {text:?}: {findings:#?}"))
}

#[test]
fn an_installation_that_is_well_has_no_problem() {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let system = tempfile::tempdir().expect("a folder");
    let installed = bellwether_ends(&["install", "--root-dir", system.path().to_str().expect("a path")]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let wants = system.path().join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir(&wants).expect("a folder");
    std::os::unix::fs::symlink("../bellwether.service", wants.join("bellwether.service")).expect("a link");
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let (code, findings) = doctor(&root, system.path());
    let problems: Vec<&Finding> = findings.iter().filter(|finding| finding.level == "problem").collect();
    // Problems of the machine itself do not matter to this test.
    let is_own = |finding: &&Finding| !["kernel", "clock", "disk"].contains(&finding.topic.as_str());
    assert!(!problems.iter().any(is_own), "{findings:#?}");
    if problems.is_empty() {
        assert_eq!(code, Some(0));
    }
    find(&findings, "daemon", "ok", "1 module, 1 ready");
    find(&findings, "ports", "ok", "accepts connections on");
    find(&findings, "unit", "ok", "is up to date");
    assert!(
        !findings.iter().any(|finding| finding.topic == "unit" && finding.level != "ok"),
        "{findings:#?}"
    );
    for topic in ["files", "permissions", "disk", "clock", "kernel", "limits"] {
        assert!(findings.iter().any(|finding| finding.topic == topic), "{topic}: {findings:#?}");
    }
    assert!(web.ask().is_some());
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let root = Root::default();
    let taken = TcpListener::bind(root.health).expect("it is free");
    root.write("modules/web.toml", "[commands]\nstart = 7\n");
    for folder in ["state", "logs"] {
        fs::create_dir(root.path().join(folder)).expect("a folder");
    }
    let mode = |path: &str, mode| {
        fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode("state", 0o755);
    mode("logs", 0o700);
    mode("modules", 0o777);
    root.write("state/wishes.json.damaged", "{");
    let system = tempfile::tempdir().expect("a folder");
    let (code, findings) = doctor(&root, system.path());
    assert_eq!(code, Some(3), "{findings:#?}");
    for (topic, level, text) in [
        ("files", "problem", "1 error"),
        ("permissions", "problem", "all users of this host can change"),
        ("permissions", "problem", "other users can read"),
        ("old files", "advice", "state/wishes.json.damaged"),
        ("unit", "advice", "no unit"),
        ("daemon", "problem", "no daemon answers"),
        ("ports", "problem", "cannot listen on"),
    ] {
        let found = find(&findings, topic, level, text);
        assert!(found.next.as_ref().is_some_and(|next| !next.is_empty()), "{found:?}");
    }
    drop(taken);
    let (_, findings) = doctor(&root, system.path());
    find(&findings, "ports", "ok", "is free");
}

#[test]
fn a_unit_that_was_edited_or_whose_binary_is_gone_is_told() {
    let root = Root::default();
    let system = tempfile::tempdir().expect("a folder");
    let installed = bellwether_ends(&["install", "--root-dir", system.path().to_str().expect("a path")]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    find(&doctor(&root, system.path()).1, "unit", "advice", "not enabled");
    let unit = system.path().join("etc/systemd/system/bellwether.service");
    let text = fs::read_to_string(&unit).expect("a unit");
    fs::write(&unit, text.replace("Restart=always", "Restart=no")).expect("a unit");
    fs::remove_file(system.path().join("usr/local/bin/bellwether")).expect("the binary");
    let (_, findings) = doctor(&root, system.path());
    find(&findings, "unit", "advice", "differs from what this version writes");
    find(&findings, "unit", "problem", "which does not exist");
}

#[test]
fn limits_that_are_too_low_and_a_program_that_was_replaced_are_told() {
    let root = Root::default();
    Web::lay_out(&root);
    let place = tempfile::tempdir().expect("a folder");
    let binary = place.path().join("bellwether");
    fs::copy(bellwether(), &binary).expect("a copy");
    let daemon = Daemon::run_binary(&binary, root.path(), root.health, &[]);
    daemon.until_ready("web");
    let limit = |resource: &str| {
        let pid = daemon.pid().to_string();
        let limited = std::process::Command::new("prlimit").args(["--pid", &pid, resource]).status();
        limited.is_ok_and(|status| status.success())
    };
    let limited = limit("--nofile=900:900");
    fs::remove_file(&binary).expect("the program");
    let (_, findings) = doctor(&root, place.path());
    find(&findings, "daemon", "advice", "its program was replaced");
    if limited {
        find(&findings, "limits", "advice", "the daemon's limit of open files is 900");
    } else {
        eprintln!("skipped in part: there is no prlimit");
    }
}
