//! Descriptors that the daemon inherited and does not use.
#![allow(unsafe_code, reason = "a descriptor that is known by its number alone cannot be borrowed otherwise")]

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Marks them to be closed in everything that the daemon starts: a shell or a supervisor may have left some open,
/// and an application or a probe must not have them.
///
/// The daemon marks its own descriptors from the beginning (`O_CLOEXEC`).
pub fn close_on_exec() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<RawFd> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: the number is at least 0, and is used within this block alone. If it was closed
        // since the listing, the calls fail; if it was opened anew, it is marked already.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(fd) {
            // An error: it has been closed.
            let _ = fcntl_setfd(fd, flags | FdFlags::CLOEXEC);
        }
    }
}
