use std::io::Write as _;
use std::process::{Child, Command};

use super::*;

/// Kills its child even if a test fails.
struct Guard(Child);
impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleeper() -> Guard {
    Guard(Command::new("/bin/sleep").arg("600").spawn().unwrap())
}

/// A file with this text, written this long ago.
fn file(text: &str, ago: Duration) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    age(&file, ago);
    file
}

fn age(file: &tempfile::NamedTempFile, ago: Duration) {
    file.as_file().set_modified(SystemTime::now() - ago).unwrap();
}

const OLD: Duration = Duration::from_secs(10);

fn absence(path: &Path) -> String {
    look(path, None, None).unwrap().absence.unwrap()
}

#[test]
fn the_id_is_the_first_line_and_half_a_file_is_none() {
    let at = Duration::from_secs;
    for (text, age, content) in [
        ("42\n", 0, Content::Id(42, at(100))),
        (" 42 \n", 10, Content::Id(42, at(100))),
        ("42", 10, Content::Id(42, at(100))),
        ("42\n/var/lib/postgresql\n1700000000\n5432\n", 0, Content::Id(42, at(100))),
        ("42\r\n", 0, Content::Id(42, at(100))),
        ("4", 0, Content::Unfinished),
        ("", 0, Content::Unfinished),
        ("", 10, Content::NoId(String::new())),
        ("-1", 10, Content::NoId("-1".into())),
        ("pid=7\n", 10, Content::NoId("pid=7".into())),
    ] {
        assert_eq!(understand(text, at(100), at(100 + age)), content, "{text:?} {age}");
    }
    assert_eq!(understand("42", at(100), at(50)), Content::Id(42, at(100)), "a clock that was set back");
}

#[test]
fn it_counts_only_if_its_process_was_there_when_it_was_written() {
    let child = sleeper();
    let pid = child.0.id();
    let file = file(&format!("{pid}\n"), Duration::ZERO);
    let found = look(file.path(), None, None).unwrap();
    assert_eq!(found.processes.len(), 1);
    assert_eq!(found.processes[0].pid, pid);

    // The clock was set forward since then.
    age(&file, Duration::from_secs(30));
    assert_eq!(look(file.path(), None, None).unwrap().processes.len(), 1);

    // As if it had been written before the last boot, by a process that had the same id.
    age(&file, Duration::from_hours(24 * 365));
    assert!(absence(file.path()).contains("stale"));
    // But the process that it was known to name is still the same one.
    let known = &found.processes[0];
    assert!(look(file.path(), Some(known), None).unwrap().processes[0].is_same(known));

    drop(child);
    age(&file, OLD);
    assert_eq!(absence(file.path()), format!("pid {pid} of {} has ended", file.path().display()));
}

#[test]
fn a_file_that_names_nothing_says_so() {
    for (text, said) in [("", "contains no process id"), ("-1", "contains no process id"), ("0", "has ended")]
    {
        let absence = absence(file(text, OLD).path());
        assert!(absence.contains(said), "{text:?}: {absence}");
    }
    let own = file(&format!("{}\n", std::process::id()), Duration::ZERO);
    assert!(absence(own.path()).contains("stale"), "never the daemon itself");
    let path = own.path().to_owned();
    own.close().unwrap();
    assert!(absence(&path).starts_with("there is no pid file"));
}

#[test]
fn a_file_that_is_just_being_written_tells_nothing_yet() {
    for text in ["", "4"] {
        let error = look(file(text, Duration::ZERO).path(), None, None).unwrap_err();
        assert!(error.to_string().contains("just being written"), "{error}");
    }
}

#[test]
fn while_the_file_moves_its_process_is_still_known() {
    let (first, second) = (sleeper(), sleeper());
    let known = Stat::read(first.0.id()).unwrap();
    let file = file(&format!("{}\n", second.0.id()), Duration::ZERO);
    let found = look(file.path(), Some(&known), None).unwrap();
    assert_eq!(found.processes[0].pid, second.0.id(), "another one has taken its place");

    for text in ["", "nonsense\n", "0\n"] {
        std::fs::write(file.path(), text).unwrap();
        age(&file, OLD);
        let found = look(file.path(), Some(&known), None).unwrap();
        assert!(found.processes.len() == 1 && found.processes[0].is_same(&known), "{text:?}");
        assert!(found.remark.unwrap().ends_with("which the file named before, still runs"));
    }
    drop(first);
    let found = look(file.path(), Some(&known), None).unwrap();
    assert!(found.processes.is_empty() && found.absence.is_some(), "it has ended");
}
