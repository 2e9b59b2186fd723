//! The daemon's folder: prepared, and locked by one daemon.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// The operator's folders: all users of the host may read the active configuration.
const OPEN: [&str; 3] = ["checkers", "restart-scripts", "modules"];
/// The daemon's own folders: what applications write may be secret.
const CLOSED: [&str; 2] = ["state", "logs"];

/// The interval between two attempts to take the lock.
const LOOK: Duration = Duration::from_millis(2);

/// Held as long as the daemon runs. The system lets go of it however the daemon ends (flock(2)).
#[derive(Debug)]
pub struct RootLock(#[expect(dead_code, reason = "held, never read")] File);

/// Why the root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The root cannot be written.
    #[error("{} cannot be written", root.display())]
    NotWritable {
        root: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another daemon holds the lock.
    #[error("another daemon (process {pid}) runs on this root")]
    SecondDaemon {
        /// The process id of the other daemon; 0 if it has only just started.
        pid: u32,
    },
    /// The preparation itself was interrupted.
    #[error(transparent)]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Makes the folders that are missing and takes the lock. With a folder `state`, what the daemon
/// writes lies there, and links in the root lead to it: whoever knows the root finds everything.
pub fn prepare(root: &Path, state: Option<&Path>) -> Result<(PathBuf, RootLock), RootError> {
    prepare_within(root, state, patience)
}

/// The same, while the daemon does other work at its start. Returns `None` if `end` completes while waiting for the
/// lock of an earlier daemon.
pub async fn prepare_unless(
    root: &Path,
    state: Option<&Path>,
    end: impl Future<Output = ()>,
) -> Result<Option<(PathBuf, RootLock)>, RootError> {
    let is_given_up = Arc::new(AtomicBool::new(false));
    let patience = {
        let is_given_up = Arc::clone(&is_given_up);
        move |holder| if is_given_up.load(Ordering::Relaxed) { Duration::ZERO } else { patience(holder) }
    };
    let (root, state) = (root.to_owned(), state.map(Path::to_owned));
    let prepared = tokio::task::spawn_blocking(move || prepare_within(&root, state.as_deref(), patience));
    tokio::select! {
        prepared = prepared => prepared?.map(Some),
        () = end => {
            is_given_up.store(true, Ordering::Relaxed);
            Ok(None)
        }
    }
}

/// The same, with a time limit that is asked for at each failed attempt.
fn prepare_within(
    root: &Path,
    state: Option<&Path>,
    patience: impl Fn(Holder) -> Duration,
) -> Result<(PathBuf, RootLock), RootError> {
    let not_writable = |source| RootError::NotWritable { root: root.to_owned(), source };
    let root = root.canonicalize().map_err(not_writable)?;
    if let Some(state) = state {
        for folder in CLOSED {
            link(&root.join(folder), &state.join(folder))
                .map_err(|source| RootError::NotWritable { root: state.to_owned(), source })?;
        }
    }
    for (folders, mode) in [(OPEN.as_slice(), 0o755), (CLOSED.as_slice(), 0o700)] {
        for folder in folders {
            make(&root.join(folder), mode).map_err(not_writable)?;
        }
    }
    let lock = lock(&root.join("state/daemon.lock"), patience, not_writable)?;
    Ok((root, lock))
}

/// Creates `to`, and makes `from` a link to it. Existing entries are left unchanged, or reported.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let to = to.canonicalize()?;
    // Empty folders that an earlier daemon created do no harm.
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
    if mode == 0o700 && fs::metadata(folder)?.permissions().mode() & 0o777 != mode {
        fs::set_permissions(folder, Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn lock(
    path: &Path,
    patience: impl Fn(Holder) -> Duration,
    not_writable: impl Fn(io::Error) -> RootError,
) -> Result<RootLock, RootError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let opened = match opened {
        // A lock needs no write access (flock(2)): the daemon can run although the disk has become read-only.
        Err(error) if is_read_only(&error) => File::open(path),
        opened => opened,
    };
    let mut file = opened.map_err(&not_writable)?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = holder(&mut file);
                if begun.elapsed() >= patience(pid.map_or(Holder::Alive, Holder::of)) {
                    return Err(RootError::SecondDaemon { pid: pid.unwrap_or(0) });
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

/// The state of the daemon that took the lock last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The process is running.
    Alive,
    /// It was killed, and the kernel has not finished its exit.
    Ending,
    /// It has ended. A daemon that was killed in the middle of a start leaves a child that holds its lock until the
    /// child executes its program. The next daemon must not start before that: it would not know about the child.
    Gone,
}

impl Holder {
    fn of(pid: u32) -> Self {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return Self::Gone };
        Self::from_status(&status)
    }

    fn from_status(status: &str) -> Self {
        let field = |name: &str| {
            status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        let dying = field("State").is_some_and(|state| state.starts_with(['Z', 'X']));
        // Pending for a thread, or for the process.
        let killed = ["SigPnd", "ShdPnd"]
            .into_iter()
            .filter_map(field)
            .any(|pending| u64::from_str_radix(pending, 16).is_ok_and(|pending| pending & SIGKILL_BIT != 0));
        // An exiting process has already released its memory.
        let emptied = field("VmSize").is_none();
        if dying || killed || emptied { Self::Ending } else { Self::Alive }
    }
}

/// Signal 9 in a set of signals.
const SIGKILL_BIT: u64 = 1 << (9 - 1);

/// How long a starting daemon waits for the lock. A running daemon may have been asked to exit a moment ago, and
/// will soon be done; or it is meant to continue, and then the error has to be reported soon.
fn patience(holder: Holder) -> Duration {
    match holder {
        Holder::Alive => Duration::from_secs(2),
        Holder::Ending | Holder::Gone => Duration::from_secs(10),
    }
}

fn is_read_only(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

/// `None` if the other daemon has only just started.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the daemon after one that has just ended. A program that another test starts at this moment has a copy of
    /// its lock until it is loaded (fork(2), then execve(2)).
    fn prepare_next(root: &Path, state: Option<&Path>) -> Result<(PathBuf, RootLock), RootError> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            match prepare(root, state) {
                Err(RootError::SecondDaemon { .. }) if Instant::now() < until => std::thread::sleep(LOOK),
                prepared => return prepared,
            }
        }
    }

    #[test]
    fn one_root_has_one_daemon() {
        let root = tempfile::tempdir().unwrap();
        let first = prepare(root.path(), None).unwrap();
        let second = prepare_within(root.path(), None, |_| Duration::ZERO);
        assert!(matches!(second, Err(RootError::SecondDaemon { pid }) if pid == std::process::id()));
        drop(first);
        prepare_next(root.path(), None).unwrap();
    }

    #[test]
    fn a_daemon_that_ends_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let first = prepare(root.path(), None).unwrap();
        let (refused, is_refused) = std::sync::mpsc::channel();
        let second = std::thread::spawn({
            let root = root.path().to_owned();
            let patience = move |_: Holder| {
                // Only the first of several errors is reported.
                let _ = refused.send(());
                Duration::MAX
            };
            move || prepare_within(&root, None, patience).is_ok()
        });
        is_refused.recv().unwrap();
        drop(first);
        assert!(second.join().unwrap());
    }

    #[tokio::test]
    async fn a_daemon_that_waits_for_another_ends_when_it_is_told_to() {
        let root = tempfile::tempdir().unwrap();
        let _first = prepare(root.path(), None).unwrap();
        assert!(matches!(prepare_unless(root.path(), None, std::future::ready(())).await, Ok(None)));
    }

    #[test]
    fn a_process_that_is_being_killed_is_told_from_one_that_runs() {
        let status = |state: &str, pending: &str, rest: &str| {
            format!(
                "Name:\tbellwether\nState:\t{state}\n{rest}SigPnd:\t{pending}\nShdPnd:\t0000000000000000\n"
            )
        };
        let (none, kill, term) = ("0000000000000000", "0000000000000100", "0000000000004000");
        for (text, expected) in [
            (status("S (sleeping)", none, "VmSize:\t 9 kB\n"), Holder::Alive),
            (status("S (sleeping)", term, "VmSize:\t 9 kB\n"), Holder::Alive),
            (status("R (running)", kill, "VmSize:\t 9 kB\n"), Holder::Ending),
            (status("R (running)", none, ""), Holder::Ending),
            (status("Z (zombie)", none, ""), Holder::Ending),
            (String::new(), Holder::Ending),
        ] {
            assert_eq!(Holder::from_status(&text), expected, "{text}");
        }
        assert_eq!(Holder::of(std::process::id()), Holder::Alive);
        assert_eq!(Holder::of(u32::MAX), Holder::Gone);
        assert!(patience(Holder::Alive) < patience(Holder::Ending));
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
        // The lock of the previous daemon is in the root's own folder.
        let refused = prepare_next(root.path(), Some(&state)).unwrap_err();
        let RootError::NotWritable { source, .. } = refused else { panic!("{refused}") };
        assert!(source.to_string().contains("move what is in it"), "{source}");
        fs::remove_file(root.path().join("state/daemon.lock")).unwrap();
        for _ in 0..2 {
            drop(prepare_next(root.path(), Some(&state)).unwrap());
            assert!(state.join("state/daemon.lock").is_file());
            assert!(root.path().join("state").is_symlink() && root.path().join("logs").is_symlink());
        }
        // And without another request.
        drop(prepare_next(root.path(), None).unwrap());
        let elsewhere = place.path().join("elsewhere");
        let refused = prepare_next(root.path(), Some(&elsewhere)).unwrap_err();
        assert!(matches!(refused, RootError::NotWritable { .. }), "{refused}");
    }

    #[test]
    fn a_root_that_is_not_there_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let gone = root.path().join("gone");
        assert!(matches!(prepare(&gone, None), Err(RootError::NotWritable { .. })));
    }
}
