//! The folder that the daemon lives in: made ready, and held by one daemon alone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::app::RunError;

/// The operator's folders: everybody on the host may see what is in force.
const OPEN: [&str; 3] = ["checkers", "restart-scripts", "modules"];
/// The daemon's own: what applications write may be anybody's secret.
const CLOSED: [&str; 2] = ["state", "logs"];

/// A daemon that was killed in the middle of a start leaves a child that holds its lock until it
/// has become a program. Nobody may begin before that: it would not know of it.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(2);

/// Held as long as the daemon runs. The system lets go of it however the daemon ends (flock(2)).
#[derive(Debug)]
pub struct RootLock(#[expect(dead_code, reason = "held, never read")] File);

/// Makes the folders that are missing and takes the lock. With a folder `state`, what the daemon
/// writes lies there, and links in the root lead to it: whoever knows the root finds everything.
pub fn prepare(root: &Path, state: Option<&Path>) -> Result<(PathBuf, RootLock), RunError> {
    let not_writable = |source| RunError::RootNotWritable { root: root.to_owned(), source };
    let root = root.canonicalize().map_err(not_writable)?;
    if let Some(state) = state {
        for folder in CLOSED {
            link(&root.join(folder), &state.join(folder))
                .map_err(|source| RunError::RootNotWritable { root: state.to_owned(), source })?;
        }
    }
    for (folders, mode) in [(OPEN.as_slice(), 0o755), (CLOSED.as_slice(), 0o700)] {
        for folder in folders {
            make(&root.join(folder), mode).map_err(not_writable)?;
        }
    }
    let lock = lock(&root.join("state/daemon.lock"), not_writable)?;
    Ok((root, lock))
}

/// Makes `to`, and `from` a link to it. What is there already stays as it is, or is said.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let to = to.canonicalize()?;
    // Folders that an earlier daemon made and that hold nothing are in nobody's way.
    if from.symlink_metadata().is_ok_and(|found| found.is_dir()) && fs::remove_dir(from).is_err() {
        let text = format!(
            "{} is a folder and not empty: move what is in it to {}, then remove it",
            from.display(),
            to.display()
        );
        return Err(io::Error::other(text));
    }
    match symlink(&to, from) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    if from.canonicalize()? == to {
        return Ok(());
    }
    Err(io::Error::other(format!("{} leads elsewhere than to {}", from.display(), to.display())))
}

fn make(folder: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    if mode == 0o700 {
        fs::set_permissions(folder, Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn lock(path: &Path, not_writable: impl FnOnce(io::Error) -> RunError) -> Result<RootLock, RunError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => return Err(not_writable(error)),
    };
    let until = Instant::now() + LET_GO_WITHIN;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = holder(&mut file);
                let gone = pid.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists());
                if !gone || Instant::now() >= until {
                    return Err(RunError::SecondDaemon { pid: pid.unwrap_or(0) });
                }
                std::thread::sleep(LOOK);
            }
            Err(error) => return Err(not_writable(error.into())),
        }
    }
    // Whose lock it is helps a person and no more: a full disk is no reason not to run. What was
    // there is written over, which needs no room.
    let written = file.rewind().and_then(|()| writeln!(file, "{:<20}", std::process::id()));
    if let Err(error) = written {
        tracing::warn!(%error, "cannot write down which process holds the root");
    }
    Ok(RootLock(file))
}

/// Nothing if the other has only just begun.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the daemon after the one that has just ended. A program that another test starts at this moment
    /// has a copy of its lock until it is loaded (fork(2), then execve(2)).
    fn prepare_next(root: &Path, state: Option<&Path>) -> Result<(PathBuf, RootLock), RunError> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            match prepare(root, state) {
                Err(RunError::SecondDaemon { .. }) if Instant::now() < until => std::thread::sleep(LOOK),
                prepared => return prepared,
            }
        }
    }

    #[test]
    fn one_root_has_one_daemon() {
        let root = tempfile::tempdir().unwrap();
        let first = prepare(root.path(), None).unwrap();
        let second = prepare(root.path(), None);
        assert!(matches!(second, Err(RunError::SecondDaemon { pid }) if pid == std::process::id()));
        drop(first);
        prepare_next(root.path(), None).unwrap();
    }

    #[test]
    fn what_the_daemon_keeps_is_for_its_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let _held = prepare(root.path(), None).unwrap();
        for folder in CLOSED {
            let mode = fs::metadata(root.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
    }

    #[test]
    fn state_elsewhere_is_found_through_the_root() {
        let (root, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = place.path().join("lib/bellwether");
        drop(prepare(root.path(), None).unwrap());
        // The lock of the daemon before lies in the root's own folder.
        let refused = prepare_next(root.path(), Some(&state)).unwrap_err();
        let RunError::RootNotWritable { source, .. } = refused else { panic!("{refused}") };
        assert!(source.to_string().contains("move what is in it"), "{source}");
        fs::remove_file(root.path().join("state/daemon.lock")).unwrap();
        for _ in 0..2 {
            drop(prepare_next(root.path(), Some(&state)).unwrap());
            assert!(state.join("state/daemon.lock").is_file());
            assert!(root.path().join("state").is_symlink() && root.path().join("logs").is_symlink());
        }
        // And without being told again.
        drop(prepare_next(root.path(), None).unwrap());
        let elsewhere = place.path().join("elsewhere");
        let refused = prepare_next(root.path(), Some(&elsewhere)).unwrap_err();
        assert!(matches!(refused, RunError::RootNotWritable { .. }), "{refused}");
    }

    #[test]
    fn a_root_that_is_not_there_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let gone = root.path().join("gone");
        assert!(matches!(prepare(&gone, None), Err(RunError::RootNotWritable { .. })));
    }
}
