//! The folder that the daemon lives in: made ready, and held by one daemon alone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
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

/// Makes the folders that are missing and takes the lock.
pub fn prepare(root: &Path) -> Result<(PathBuf, RootLock), RunError> {
    let not_writable = |source| RunError::RootNotWritable { root: root.to_owned(), source };
    let root = root.canonicalize().map_err(not_writable)?;
    for (folders, mode) in [(OPEN.as_slice(), 0o755), (CLOSED.as_slice(), 0o700)] {
        for folder in folders {
            make(&root.join(folder), mode).map_err(not_writable)?;
        }
    }
    let lock = lock(&root.join("state/daemon.lock"), not_writable)?;
    Ok((root, lock))
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

    #[test]
    fn one_root_has_one_daemon() {
        let root = tempfile::tempdir().unwrap();
        let first = prepare(root.path()).unwrap();
        let second = prepare(root.path());
        assert!(matches!(second, Err(RunError::SecondDaemon { pid }) if pid == std::process::id()));
        drop(first);
        assert!(prepare(root.path()).is_ok());
    }

    #[test]
    fn what_the_daemon_keeps_is_for_its_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let _held = prepare(root.path()).unwrap();
        for folder in CLOSED {
            let mode = fs::metadata(root.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
    }

    #[test]
    fn a_root_that_is_not_there_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let gone = root.path().join("gone");
        assert!(matches!(prepare(&gone), Err(RunError::RootNotWritable { .. })));
    }
}
