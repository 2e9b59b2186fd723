//! The errors of Unix (errno(3)).

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::Exhaustion;

pub(super) fn of(error: &io::Error) -> Option<Exhaustion> {
    Some(match Errno::from_io_error(error)? {
        Errno::MFILE => Exhaustion::Descriptors,
        Errno::NFILE => Exhaustion::FilesOfTheMachine,
        Errno::NOMEM | Errno::NOBUFS => Exhaustion::Memory,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Exhaustion::Disk,
        Errno::ROFS => Exhaustion::ReadOnly,
        _ => return None,
    })
}

pub(super) fn most_open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
