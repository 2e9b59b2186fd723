//! Checks whether the files that this daemon has written still exist.
//!
//! `state/`, or a file in it, may be removed while the daemon runs: by a clean-up that goes too far, or a volume
//! that is unmounted. Without a check, acknowledged changes would be lost with the daemon. Here the removal is
//! noticed, reported, and the files are written again. The journal and the stores of checkers check their own
//! files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use bellwether_bus::Message;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::recorder::Recorder;
use bellwether_core::counting::counted;
use bellwether_os::atomic_file;

/// The maximum delay until it is noticed.
const LOOK: Duration = Duration::from_secs(2);
/// The number of files that are named.
const NAMED: usize = 3;
const WHO: &str = "state folder";

/// Checks periodically, until it is dropped.
pub(crate) async fn look_after(root: PathBuf, problems: Diagnostics, events: mpsc::Sender<Message>) {
    let recorder = Recorder::new(events);
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let folder = root.join("state");
        let looked = tokio::task::spawn_blocking(move || write_lost(&folder)).await;
        let Ok((told, failed)) = looked else { continue };
        problems.set(WHO, failed.as_slice());
        if let Some(message) = told {
            tracing::error!("{message}");
            recorder.say(message).await;
        }
    }
}

/// The files that were written again, and those that could not be.
fn write_lost(folder: &Path) -> (Option<String>, Option<String>) {
    let lost = atomic_file::lost(folder);
    if lost.is_empty() {
        return (None, None);
    }
    // Another task may have created the folder again in the meantime.
    let all = lost.len() == atomic_file::known(folder).len();
    let (mut anew, mut failed) = (Vec::new(), Vec::new());
    // Those that fail are retried in the next check.
    for path in lost {
        match atomic_file::write_anew(&path) {
            Ok(()) => anew.push(path),
            Err(error) => failed.push((path, error)),
        }
    }
    let told = match anew.as_slice() {
        [] => None,
        anew => {
            let whole = all && anew.len() > 1 && failed.is_empty();
            let (what, are) = if whole { ("state/ was".to_owned(), "is") } else { named(folder, anew) };
            Some(format!("{what} removed while the daemon ran, and {are} restored"))
        }
    };
    let problem = failed.first().map(|(path, error)| {
        let others = failed.len() - 1;
        let others = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        format!("{} was removed, and cannot be restored: {error}{others}", name(folder, path))
    });
    (told, problem)
}

fn name(folder: &Path, path: &Path) -> String {
    format!("state/{}", path.strip_prefix(folder).unwrap_or(path).display())
}

fn named(folder: &Path, lost: &[PathBuf]) -> (String, &'static str) {
    let names = lost.iter().take(NAMED).map(|path| name(folder, path)).collect::<Vec<_>>().join(", ");
    match (lost.len(), lost.len().saturating_sub(NAMED)) {
        (1, _) => (format!("{names} was"), "is"),
        (_, 0) => (format!("{names} were"), "are"),
        (_, others) => (format!("{names} and {} were", counted(others, "more file", "more files")), "are"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_removed_is_told_by_its_name_and_a_whole_folder_as_such() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("state");
        fs::create_dir(&folder).unwrap();
        for name in ["a", "b", "c", "d"] {
            atomic_file::replace(&folder.join(name), name.as_bytes()).unwrap();
        }
        assert_eq!(write_lost(&folder), (None, None));
        fs::remove_file(folder.join("b")).unwrap();
        let told = "state/b was removed while the daemon ran, and is restored";
        assert_eq!(write_lost(&folder), (Some(told.to_owned()), None));
        assert_eq!(fs::read(folder.join("b")).unwrap(), b"b");
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "a file in its place").unwrap();
        let (told, failed) = write_lost(&folder);
        assert!(told.is_none() && failed.unwrap().contains("cannot be restored"));
        fs::remove_file(&folder).unwrap();
        let told = "state/ was removed while the daemon ran, and is restored";
        assert_eq!(write_lost(&folder), (Some(told.to_owned()), None));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
        assert_eq!(write_lost(&folder), (None, None));
        // The folder exists again before the next check.
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        assert_eq!(write_lost(&folder), (Some(told.to_owned()), None));
    }

    #[test]
    fn what_was_written_anew_is_told_also_if_something_else_was_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("state");
        fs::create_dir_all(folder.join("modules")).unwrap();
        for name in ["a", "b", "modules/web.json"] {
            atomic_file::replace(&folder.join(name), name.as_bytes()).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("modules"), "a file in its place").unwrap();
        let (told, failed) = write_lost(&folder);
        assert_eq!(told.unwrap(), "state/a, state/b were removed while the daemon ran, and are restored");
        let failed = failed.unwrap();
        assert!(failed.starts_with("state/modules/web.json was removed, and cannot be"), "{failed}");
    }
}
