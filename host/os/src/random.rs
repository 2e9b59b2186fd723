//! Numbers that nobody can guess.

use std::fs::File;
use std::io::{self, Read as _};

/// Fills all of it (urandom(4)).
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}
