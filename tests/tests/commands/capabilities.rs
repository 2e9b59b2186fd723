//! The capabilities that commands keep, according to the kernel.

use bellwether_tests::answers::State;
use bellwether_tests::eventually::eventually;
use bellwether_tests::root::Root;

use super::{application, is_root, log, run, status};

/// `CAP_NET_BIND_SERVICE` as the kernel shows it.
const BIND: &str = "0000000000000400";
const NONE: &str = "0000000000000000";

/// The sets of a process: effective, permitted, inheritable, bounding, ambient.
fn sets(pid: u32) -> [String; 5] {
    ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"].map(|key| status(pid, key))
}

#[test]
fn a_command_has_the_capabilities_that_its_file_names_and_can_get_no_other() {
    if !is_root() {
        return;
    }
    let root = Root::default();
    let module = r#"
[commands.start]
run = ["/usr/bin/python3", "-c", "PROGRAM"]
keep = true
user = "nobody"
capabilities = ["CAP_NET_BIND_SERVICE"]
"#;
    // The application may not be able to read the root, so its program is a single text.
    let program = "import socket, time; listener = socket.socket(); listener.bind(('127.0.0.77', 81)); \
                   print('listens', flush=True); time.sleep(600)";
    let module = module.replace("PROGRAM", program);
    let daemon = run(&root, &module);
    let pid = application(&daemon);
    assert_eq!(status(pid, "Uid"), "65534 65534 65534 65534");
    assert_eq!(sets(pid), [BIND; 5]);
    eventually("it listens where only root may", || log(&root, "start").contains("listens").then_some(()));
    daemon.tell(&["stop", "app"]);
    daemon.until_state("app", State::Stopped);
}

#[test]
fn root_without_capabilities_has_none_and_what_it_starts_neither() {
    if !is_root() {
        return;
    }
    let root = Root::default();
    let daemon = run(
        &root,
        r#"
[commands.start]
run = ["/bin/sh", "-c", "grep CapEff /proc/self/status; while :; do sleep 600; done"]
keep = true
capabilities = []
[commands.before-start]
run = ["/bin/sh", "-c", "grep CapEff /proc/self/status"]
capabilities = ["CAP_NET_BIND_SERVICE"]
"#,
    );
    let pid = application(&daemon);
    assert_eq!((status(pid, "Uid").as_str(), sets(pid)), ("0 0 0 0", [NONE; 5].map(str::to_owned)));
    eventually("what it starts has said so", || {
        log(&root, "start").contains(&format!("CapEff:\t{NONE}")).then_some(())
    });
    assert!(
        log(&root, "before-start").contains(&format!("CapEff:\t{BIND}")),
        "{}",
        log(&root, "before-start")
    );
}
