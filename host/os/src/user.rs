//! The user that this process runs as, and whom it may start a process as.

/// The number of the user. None on Windows, where users have no numbers.
#[cfg(unix)]
pub fn uid() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// The number of the user. None on Windows, where users have no numbers.
#[cfg(not(unix))]
pub fn uid() -> Option<u32> {
    None
}

/// The number of its group. None on Windows.
#[cfg(unix)]
pub fn gid() -> Option<u32> {
    Some(rustix::process::getegid().as_raw())
}

/// The number of its group. None on Windows.
#[cfg(not(unix))]
pub fn gid() -> Option<u32> {
    None
}

/// Whether it is root. Windows has no such user.
pub fn is_root() -> bool {
    uid() == Some(0)
}

/// Whether it may start a process as this user: only root may start one as another.
pub fn may_start_as(user: u32) -> bool {
    is_root() || uid() == Some(user)
}

/// The same with this group.
pub fn may_start_with(group: u32) -> bool {
    is_root() || gid() == Some(group)
}
