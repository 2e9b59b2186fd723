use super::*;
use crate::process::identity::ProcessId;

const ROOT: &str = "0123456789abcdef";

fn key() -> (ModuleName, CommandName) {
    (ModuleName::new("web.shop").unwrap(), CommandName::new("start").unwrap())
}

#[test]
fn who_belongs_where_is_said_by_the_path_alone() {
    let path = |below: &str| format!("1:name=systemd:/x\n0::/system.slice/b.service/{below}\n");
    let of = |text: &str| named(text, &name_of(ROOT)).map(|(command, _)| command);
    let good = format!("bellwether.{ROOT}/module.web.shop/command.start");
    assert_eq!(of(&path(&good)), Some(key()));
    assert_eq!(of(&path(&format!("{good}/init.scope"))), Some(key()), "a group that the application made");
    for other in [
        String::new(),
        format!("bellwether.{ROOT}"),
        format!("bellwether.{ROOT}/module.web.shop"),
        format!("bellwether.{ROOT}/web.shop/command.start"),
        format!("bellwether.{ROOT}/module.web.shop/start"),
        "bellwether.fedcba9876543210/module.web.shop/command.start".to_owned(),
    ] {
        assert_eq!(of(&path(&other)), None, "{other}");
    }
    // Control groups of version 1 are irrelevant here.
    assert_eq!(of(&format!("1:name=systemd:/{good}\n")), None);
    assert_eq!(of(""), None);
}

#[test]
fn the_folder_is_found_where_the_file_system_is_mounted() {
    let mounts = |root: &str| {
        format!(
            "22 28 0:20 / /proc rw shared:12 - proc proc rw\n\
             30 28 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
             31 28 0:27 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
        )
    };
    let found = |path: &str, root: &str| folder(path, &mounts(root));
    assert_eq!(found("/a/b.service", "/"), Some("/sys/fs/cgroup/a/b.service".into()));
    assert_eq!(found("/", "/"), Some("/sys/fs/cgroup/".into()));
    assert_eq!(found("/a/b/c", "/a/b"), Some("/sys/fs/cgroup/c".into()));
    assert_eq!(found("/a", "/a/b"), None, "it is not mounted");
    assert_eq!(folder("/a", "22 28 0:20 / /proc rw - proc proc rw\n"), None);
}

#[test]
fn a_folder_that_is_no_control_group_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(ControlGroups::below(folder.path().to_owned(), ROOT).is_none());
}

/// Groups below a group of this test; `None` if the system has none that can be written.
struct Groups {
    groups: ControlGroups,
    own: PathBuf,
}

impl Groups {
    fn new(test: &str) -> Option<Self> {
        let Some(here) = ControlGroups::find(ROOT) else {
            eprintln!("skipped: there are no control groups of version 2 that this process may write");
            return None;
        };
        let own = here.folder.join(format!("bellwether-test.{test}.{}", std::process::id()));
        fs::create_dir(&own).unwrap();
        Some(Self { groups: ControlGroups::below(own.clone(), ROOT).unwrap(), own })
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = fs::write(self.own.join(KILL), "1");
        let _ = remove_tree(&self.own, MAX_DEPTH);
    }
}

#[test]
fn whatever_a_process_starts_is_in_its_group_and_ends_with_it() {
    let Some(made) = Groups::new("kill") else { return };
    let (module, command) = key();
    let group = made.groups.group(&module, &command);
    // A process that creates its own session, with an empty environment.
    let script = "read line; setsid env -i sleep 600 & echo started; read line";
    let mut shell = std::process::Command::new("/bin/sh")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    group.enter(shell.id()).unwrap();
    let mut input = shell.stdin.take().unwrap();
    io::Write::write_all(&mut input, b"\n").unwrap();
    let mut line = String::new();
    let mut output = io::BufReader::new(shell.stdout.take().unwrap());
    io::BufRead::read_line(&mut output, &mut line).unwrap();
    let members = fs::read_to_string(group.0.join(PROCESSES)).unwrap();
    let members: Vec<ProcessId> =
        members.lines().filter_map(|pid| ProcessId::of(pid.parse().ok()?).ok()).collect();
    assert!(members.len() >= 2, "{members:?}");
    for member in &members {
        let path = fs::read_to_string(format!("/proc/{}/cgroup", member.pid)).unwrap();
        assert_eq!(named(&path, &name_of(ROOT)).map(|(command, _)| command), Some(key()));
    }
    group.remove();
    assert!(group.0.exists(), "somebody is in there");
    group.kill().unwrap();
    shell.wait().unwrap();
    // The kernel reports this with an event of the file; a test may poll.
    let begun = std::time::Instant::now();
    while members.iter().any(ProcessId::still_alive) {
        assert!(begun.elapsed() < std::time::Duration::from_mins(2), "they do not end");
        std::thread::yield_now();
    }
    while group.0.exists() {
        assert!(begun.elapsed() < std::time::Duration::from_mins(2), "it is not removed");
        group.remove();
    }
    assert!(!made.own.join(name_of(ROOT)).exists(), "nothing is left of it");
    group.kill().unwrap();
}
