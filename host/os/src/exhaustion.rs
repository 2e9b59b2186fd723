//! The resources that this node may run out of, in words that an operator understands.
//!
//! An operation that fails because of exhaustion says nothing about the application: it is retried without limit,
//! and is not counted against the application's budget.
//!
//! Some file descriptors are reserved, so that an application that has exited can be restarted when the rest of the
//! daemon has used up all others. Some memory is reserved as well: a daemon that cannot allocate memory aborts.

use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhaustion {
    /// The daemon has reached its own limit of open files.
    Descriptors,
    /// The whole machine has reached its limit of open files.
    FilesOfTheMachine,
    /// No further process or thread can be created.
    Processes,
    /// There is no memory left, or the daemon has reached its limit.
    Memory,
    /// The disk is full, or this user's quota is used up.
    Disk,
    /// The file system is read-only: the kernel remounts it so after an error.
    ReadOnly,
}

impl Exhaustion {
    /// The exhausted resource, if that is why an operation failed.
    pub fn of(error: &io::Error) -> Option<Self> {
        system::of(error)
    }

    /// If this process can open no further file at this moment.
    pub fn of_files() -> Option<Self> {
        spare_descriptor().err().and_then(|error| Self::of(&error))
    }

    /// If that is why a process could not be started: there, "try again" has a meaning of its own
    /// (fork(2)).
    #[cfg(target_os = "linux")]
    pub(crate) fn of_start(error: &io::Error) -> Option<Self> {
        if error.kind() == io::ErrorKind::WouldBlock { Some(Self::Processes) } else { Self::of(error) }
    }

    /// The first exhausted resource in the chain of an error's causes.
    pub fn behind(error: &anyhow::Error) -> Option<Self> {
        error.chain().find_map(|cause| match cause.downcast_ref::<Self>() {
            Some(shortage) => Some(*shortage),
            None => cause.downcast_ref::<io::Error>().and_then(Self::of),
        })
    }
}

impl fmt::Display for Exhaustion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "the daemon has no file descriptor left: raise its limit (LimitNOFILE)",
            Self::FilesOfTheMachine => {
                "this machine has no file descriptor left: find out which programs hold them (`lsof`), or raise fs.file-max"
            }
            Self::Processes => {
                "no further process may be started: the limit of this user (`ulimit -u`) or of the \
                 control group (TasksMax) is reached"
            }
            Self::Memory => "there is no memory left, or the daemon's limit of it is reached",
            Self::Disk => "the disk is full: make room on it",
            Self::ReadOnly => {
                "the disk is read-only: after an error the kernel makes it so (`dmesg` says why); repair it and mount \
                 it writable"
            }
        })
    }
}

impl std::error::Error for Exhaustion {}

/// An error that exhaustion may have caused.
pub trait Lack {
    fn of(&self) -> Option<Exhaustion>;
}

impl Lack for io::Error {
    fn of(&self) -> Option<Exhaustion> {
        Exhaustion::of(self)
    }
}

impl Lack for anyhow::Error {
    fn of(&self) -> Option<Exhaustion> {
        Exhaustion::behind(self)
    }
}

/// The descriptors that one start needs: its log, its streams, its gate, its pidfd, and the file that records it.
const HELD_BACK: usize = 16;

/// How much the heap grows by.
const ROOM: usize = 1 << 20;
/// The allocator asks the system for larger pieces one by one (`M_MMAP_THRESHOLD` in mallopt(3)).
const PIECE: usize = 64 << 10;

/// What can be opened at any time, and is nothing.
const NOTHING: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

static RESERVE: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// How many files, sockets among them, this process may have open at once. `None` if there is no such limit, as on
/// Windows.
pub fn most_open_files() -> Option<u64> {
    system::most_open_files()
}

/// Holds them back from now on.
pub fn hold_back() {
    restock(&mut reserve());
}

/// Grows the heap of the process by [`ROOM`], so that small allocations do not depend on the system immediately.
/// Must be called on the first thread.
///
/// The heaps of other threads have their address space from the beginning. The first heap asks the system for each
/// piece that it grows by, and glibc does not always fall back to another heap when the system refuses; the thread
/// that uses it would then abort the daemon.
pub fn grow_heap() {
    let mut pieces: Vec<Vec<u8>> = (0..=ROOM / PIECE).map(|_| black_box(Vec::with_capacity(PIECE))).collect();
    // Only free memory at the end of the heap is returned to the system, so the last piece stays allocated.
    std::mem::forget(pieces.pop());
}

/// Opens nothing, so that its descriptor is held back as long as this lives.
pub fn spare_descriptor() -> io::Result<File> {
    File::open(NOTHING)
}

/// Does it; if descriptors are lacking, once more with those that are held back.
pub fn with_reserve<T, E: Lack>(mut work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    hold_back();
    match work() {
        Err(error) if matches!(error.of(), Some(Exhaustion::Descriptors | Exhaustion::FilesOfTheMachine)) => {
        }
        result => return result,
    }
    // The reserved descriptors are used by one start at a time.
    let mut reserve = reserve();
    reserve.clear();
    let second = work();
    restock(&mut reserve);
    second
}

fn reserve() -> MutexGuard<'static, Vec<File>> {
    RESERVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn restock(reserve: &mut Vec<File>) {
    while reserve.len() < HELD_BACK
        && let Ok(one) = spare_descriptor()
    {
        reserve.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use rustix::io::Errno;

    #[test]
    fn what_is_lacking_is_found_behind_what_failed() {
        let of = |errno: Errno| {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            Exhaustion::behind(
                &anyhow::Error::from(error).context("cannot open a file").context("cannot start"),
            )
        };
        assert_eq!(of(Errno::MFILE), Some(Exhaustion::Descriptors));
        assert_eq!(of(Errno::NOSPC), Some(Exhaustion::Disk));
        assert_eq!(of(Errno::ROFS), Some(Exhaustion::ReadOnly));
        assert_eq!(of(Errno::NOBUFS), Some(Exhaustion::Memory), "the kernel's own, for sockets");
        assert_eq!(of(Errno::NOENT), None);
        assert_eq!(of(Errno::AGAIN), None, "only of a start does it say that");
        let error: anyhow::Error = Err::<(), _>(Exhaustion::Processes).context("cannot start").unwrap_err();
        assert_eq!(Exhaustion::behind(&error), Some(Exhaustion::Processes));
    }

    #[test]
    fn what_needs_descriptors_is_done_once_more_with_those_that_are_held_back() {
        let mut tries = 0;
        let done: anyhow::Result<i32> = with_reserve(|| {
            tries += 1;
            if tries == 1 { Err(Exhaustion::Descriptors.into()) } else { Ok(tries) }
        });
        assert_eq!(done.unwrap(), 2);
        assert_eq!(reserve().len(), HELD_BACK, "they are held back again");
        let mut tries = 0;
        let failed = with_reserve(|| {
            tries += 1;
            Err::<(), anyhow::Error>(Exhaustion::Memory.into())
        });
        assert_eq!((failed.unwrap_err().to_string(), tries), (Exhaustion::Memory.to_string(), 1));
    }
}
