//! The environment of a process (`/proc/PID/environ`, `proc_pid_environ(5)`).

use std::fs::File;
use std::io::{self, Read as _};

/// More of an environment is not read, in bytes.
const MAX: u64 = 1 << 20;

/// Its variables as it was started with them, or as it has written over them, each ended by a zero.
pub fn of(pid: u32) -> io::Result<Vec<u8>> {
    let mut environment = Vec::new();
    File::open(format!("/proc/{pid}/environ"))?.take(MAX).read_to_end(&mut environment)?;
    Ok(environment)
}
