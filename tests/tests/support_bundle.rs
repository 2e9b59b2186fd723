//! `bellwether support-bundle` of a real daemon, and of one that is dead.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::invocation::{Ended, bellwether_ends, with_password};
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

const PASSWORD: &str = "correct-horse-battery";

/// What must be in no file of a bundle.
const GIVES_AWAY: [&str; 8] = [
    "shop-north",
    "janedoe",
    "10.11.12.13",
    "db.corp.example",
    "hunter2hunter2",
    PASSWORD,
    "PRIVATE KEY",
    "MIIEvQIBADANBg",
];

/// A root whose files name hosts, addresses, users and secrets.
fn telling_root() -> Root {
    let root = Root::new("shop-north", "");
    Web::lay_out(&root);
    let wrong = "# asked janedoe@db.corp.example, 10.11.12.13\n[commands]\nstart = { run = [\"/bin/sleep\", \"9\"], keep = true, \
                 env = { DB_PASSWORD = \"hunter2hunter2\", DB = \"postgres://janedoe:hunter2hunter2@10.11.12.13/db\" } }\n\
                 # -----BEGIN PRIVATE KEY-----\n# MIIEvQIBADANBg\n# -----END PRIVATE KEY-----\nno-such-key = 1\n";
    root.write("modules/wrong.toml", wrong);
    root
}

fn bundle(root: &Root, name: &str) -> (Ended, BTreeMap<String, String>) {
    let file = root.path().join(name);
    let (folder, path) = (root.path().to_str().expect("plain"), file.to_str().expect("plain"));
    let ended = bellwether_ends(&["support-bundle", "--root", folder, "--output", path]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    (ended, unpacked(&file))
}

/// The files of a bundle, with their texts.
fn unpacked(file: &Path) -> BTreeMap<String, String> {
    let place = tempfile::tempdir().expect("a temporary folder");
    let status = Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(place.path()).status();
    assert!(status.expect("tar runs").success());
    let top = place.path().join("bellwether-support");
    let (mut files, mut folders) = (BTreeMap::new(), vec![top.clone()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&top).expect("below it").display().to_string();
                files.insert(name, std::fs::read_to_string(&path).expect("text"));
            }
        }
    }
    files
}

fn gives_nothing_away(files: &BTreeMap<String, String>) {
    for (name, text) in files {
        for word in GIVES_AWAY {
            assert!(!text.contains(word), "{word} is in {name}:\n{text}");
        }
    }
}

#[test]
fn it_has_what_a_helper_needs_and_nothing_that_identifies_with_a_daemon_and_without() {
    let root = telling_root();
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    with_password(&root, &["user", "add", "janedoe", "--role", "admin"], PASSWORD);
    eventually("the mistake is recorded", || {
        let root = root.path().to_str()?;
        bellwether_ends(&["status", "--json", "--root", root]).out.contains("wrong.toml").then_some(())
    });

    let (ended, files) = bundle(&root, "alive.tar.gz");
    gives_nothing_away(&files);
    for name in [
        "README.txt",
        "version.json",
        "status.json",
        "events.jsonl",
        "validate.json",
        "doctor.json",
        "limits.txt",
        "config/bellwether.toml",
        "config/modules/web.toml",
        "config/modules/wrong.toml",
    ] {
        assert!(files.contains_key(name), "no {name}: {:?}", files.keys());
        assert!(ended.out.contains(name), "{}", ended.out);
    }
    assert!(files["status.json"].contains("\"up\""), "{}", files["status.json"]);
    assert!(files["validate.json"].contains("no-such-key"), "{}", files["validate.json"]);
    // The same name is the same word everywhere.
    assert!(
        files["config/bellwether.toml"].contains("name = \"node1\""),
        "{}",
        files["config/bellwether.toml"]
    );
    assert!(files["status.json"].contains("\"node\": \"node1\""), "{}", files["status.json"]);
    assert!(ended.out.contains("Look at it before you send it"), "{}", ended.out);

    daemon.kill();
    let (ended, files) = bundle(&root, "dead.tar.gz");
    gives_nothing_away(&files);
    assert!(!files.contains_key("status.json") && ended.out.contains("no daemon runs"), "{}", ended.out);
    assert!(files["events.jsonl"].lines().count() > 3, "{}", files["events.jsonl"]);
    let path = root.path().join("dead.tar.gz");
    let again = bellwether_ends(&[
        "support-bundle",
        "--root",
        root.path().to_str().expect("plain"),
        "--output",
        path.to_str().expect("plain"),
    ]);
    assert_eq!(again.code, Some(1), "an existing file is overwritten: {again:?}");
}
