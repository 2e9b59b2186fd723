//! `install` on a clean root of a system, and the removal.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use bellwether_tests::invocation::{Ended, bellwether_ends};

fn install(system: &Path, more: &[&str]) -> Ended {
    let mut arguments = vec!["install", "--root-dir", system.to_str().expect("a path")];
    arguments.extend(more);
    bellwether_ends(&arguments)
}

/// Every file and folder, with its mode.
fn files(system: &Path) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    let mut left = vec![system.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let found = entry.path().symlink_metadata().expect("it is there");
            if found.is_dir() {
                left.push(entry.path());
            }
            let path = entry.path().strip_prefix(system).expect("below").display().to_string();
            all.insert(path, found.permissions().mode() & 0o777);
        }
    }
    all
}

#[test]
fn everything_is_put_in_place_once_and_removed_without_a_trace() {
    let system = tempfile::tempdir().expect("a folder");
    for folder in ["usr/local/bin", "etc/systemd/system", "var/lib"] {
        fs::create_dir_all(system.path().join(folder)).expect("a folder");
    }
    let before = files(system.path());
    let shown = install(system.path(), &["--dry-run"]);
    assert!(shown.code == Some(0) && shown.out.contains("would be created"), "{shown:?}");
    assert_eq!(files(system.path()), before, "only shown");

    let made = install(system.path(), &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let installed = files(system.path());
    for (path, mode) in [
        ("usr/local/bin/bellwether", 0o755),
        ("etc/systemd/system/bellwether.service", 0o644),
        ("etc/bellwether", 0o755),
        ("etc/bellwether/modules", 0o755),
        ("etc/bellwether/checkers", 0o755),
        ("etc/bellwether/restart-scripts", 0o755),
        ("etc/bellwether/bellwether.toml", 0o644),
        ("etc/bellwether/modules/example.toml.sample", 0o644),
        ("var/lib/bellwether", 0o700),
    ] {
        assert_eq!(installed.get(path), Some(&mode), "{path}: {installed:#?}");
    }
    let again = install(system.path(), &[]);
    assert!(!again.out.contains("created") && !again.out.contains("replaced"), "{}", again.out);
    assert_eq!(files(system.path()), installed);

    let removed = install(system.path(), &["--uninstall"]);
    assert_eq!((removed.code, files(system.path())), (Some(0), before), "{}", removed.out);
}

#[test]
fn what_an_operator_wrote_is_never_touched() {
    let system = tempfile::tempdir().expect("a folder");
    assert_eq!(install(system.path(), &[]).code, Some(0));
    let own = [
        ("etc/bellwether/bellwether.toml", "name = \"mine\"\n"),
        ("etc/bellwether/modules/web.toml", "# mine\n"),
        ("etc/bellwether/modules/example.toml.sample", "# mine, too\n"),
        ("etc/systemd/system/bellwether.service", "# my own unit\n"),
        ("var/lib/bellwether/state/journal", "data\n"),
    ];
    fs::create_dir(system.path().join("var/lib/bellwether/state")).expect("a folder");
    for (file, text) in own {
        fs::write(system.path().join(file), text).expect("a file");
    }
    for more in [&[][..], &["--uninstall"]] {
        let ended = install(system.path(), more);
        assert!(ended.code == Some(0) && ended.out.contains("kept"), "{ended:?}");
        for (file, text) in own {
            assert_eq!(fs::read_to_string(system.path().join(file)).expect("it is there"), text, "{file}");
        }
    }
    assert!(!system.path().join("usr/local/bin/bellwether").exists());
}

#[test]
fn with_a_user_of_its_own_the_unit_and_the_folders_are_theirs() {
    let system = tempfile::tempdir().expect("a folder");
    let nobody = install(system.path(), &["--user", "bw"]);
    assert!(nobody.code == Some(1) && nobody.error.contains("useradd --system"), "{nobody:?}");
    if rustix::process::geteuid().as_raw() != 0 {
        eprintln!("skipped: only root can give folders to somebody else");
        return;
    }
    fs::create_dir(system.path().join("etc")).expect("a folder");
    fs::write(system.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nbw:x:990:991::/:/bin/false\n")
        .expect("users");
    let made = install(system.path(), &["--user", "bw", "--prefix", "/opt"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let unit =
        fs::read_to_string(system.path().join("etc/systemd/system/bellwether.service")).expect("a unit");
    assert!(unit.contains("\nUser=bw\n") && unit.contains("ExecStart=/opt/bin/bellwether run"), "{unit}");
    for folder in ["etc/bellwether", "var/lib/bellwether"] {
        let found = fs::metadata(system.path().join(folder)).expect("it is there");
        assert_eq!((found.uid(), found.gid()), (990, 991), "{folder}");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let system = tempfile::tempdir().expect("a folder");
    assert_eq!(install(system.path(), &["--prefix", system.path().to_str().expect("a path")]).code, Some(0));
    let unit = system.path().join("etc/systemd/system/bellwether.service");
    // The binary must exist at the unit's path, on this very system.
    let text = fs::read_to_string(&unit).expect("a unit");
    let binary = bellwether_tests::binary::bellwether().display().to_string();
    let said = text.lines().map(|line| match line.strip_prefix("ExecStart=") {
        Some(_) => format!("ExecStart={binary} run --root /etc/bellwether\n"),
        None => format!("{line}\n"),
    });
    fs::write(&unit, said.collect::<String>()).expect("a unit");
    let Ok(verified) =
        std::process::Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&unit).output()
    else {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<&str> = said.lines().filter(|line| line.contains("bellwether")).collect();
    assert!(verified.status.success() && about_it.is_empty(), "{verified:?}");
}
