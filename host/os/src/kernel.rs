//! What the kernel of this machine can do, and how it is set up.

use std::fs;
use std::io;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

/// Its version: `6.1.0-18-amd64`.
pub fn version() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Whether it can watch processes by descriptors (`pidfd_open(2)`).
pub fn watches_processes() -> io::Result<()> {
    Ok(pidfd_open(getpid(), PidfdFlags::empty()).map(drop)?)
}

/// Whether it can keep a path beneath a folder (openat2(2)).
pub fn keeps_paths_beneath() -> io::Result<()> {
    Ok(openat2(CWD, "/", OFlags::PATH, Mode::empty(), ResolveFlags::NO_SYMLINKS).map(drop)?)
}

/// A setting that is a number: `vm/max_map_count` (sysctl(8)). Nothing if it cannot be read.
pub fn setting(key: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/{key}")).ok()?.trim().parse().ok()
}
