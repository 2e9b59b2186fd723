//! A file descriptor whose readability can be awaited.
#![allow(unsafe_code, reason = "tokio asks for a promise about the descriptor that only its owner can give")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers the descriptor with tokio's poller. Must be called in a tokio runtime.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped and always names the same
    // descriptor; the `AsyncFd` owns it, and nobody takes it out or replaces it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}
