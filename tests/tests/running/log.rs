//! The log in each of its formats, for a service manager or a person.

use std::fs::File;
use std::os::linux::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use bellwether_tests::answers::read;
use bellwether_tests::binary::bellwether;
use bellwether_tests::compiled;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::{Guarded, signal};
use bellwether_tests::root::Root;
use rustix::process::Signal;
use serde::Deserialize;

/// The log of a daemon that was started like this and ended; `stream`: standard error is declared as connected to
/// the journal.
fn log(arguments: &[&str], stream: Option<&str>) -> String {
    let root = Root::default();
    compiled::lay_into(root.path());
    let path = root.path().join("log");
    let file = File::create(&path).expect("a file");
    let found = file.metadata().expect("it is there");
    let own = format!("{}:{}", found.st_dev(), found.st_ino());
    let mut command = Command::new(bellwether());
    command.arg("run").args(arguments).arg("--root").arg(root.path());
    command.env_remove("JOURNAL_STREAM").stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    if let Some(stream) = stream {
        command.env("JOURNAL_STREAM", stream.replace("OWN", &own));
    }
    let mut child = Guarded(command.spawn().expect("the daemon starts"));
    let text = || std::fs::read_to_string(&path).unwrap_or_default();
    eventually("the daemon listens", || text().contains("commands: ").then_some(()));
    signal(child.0.id(), Signal::TERM);
    eventually("the daemon ends", || child.0.try_wait().ok().flatten());
    text()
}

#[test]
fn the_journal_gets_priorities_and_people_get_times() {
    for (arguments, stream, for_the_journal) in [
        (&[][..], None, false),
        (&[], Some("OWN"), true),
        (&[], Some("1:2"), false),
        (&["--log-format", "text"], Some("OWN"), false),
        (&["--log-format", "journald"], None, true),
    ] {
        let text = log(arguments, stream);
        let prefixed = text.lines().filter(|line| line.starts_with("<6>")).count();
        assert_eq!(prefixed > 0, for_the_journal, "{arguments:?} {stream:?}\n{text}");
        assert_eq!(text.contains(" INFO "), !for_the_journal, "{arguments:?} {stream:?}\n{text}");
    }
}

/// The fields that log collectors rely on.
#[derive(Debug, Deserialize)]
struct Line {
    timestamp: String,
    level: String,
    message: String,
    target: String,
}

#[test]
fn each_line_of_json_is_an_object() {
    let text = log(&["--log-format", "json"], Some("OWN"));
    assert!(text.lines().count() > 2, "{text}");
    for line in text.lines() {
        let line: Line = read(line);
        assert!(!line.timestamp.is_empty() && !line.target.is_empty(), "{line:?}");
        assert!(["ERROR", "WARN", "INFO", "DEBUG"].contains(&line.level.as_str()), "{line:?}");
        assert!(!line.message.is_empty(), "{line:?}");
    }
}
