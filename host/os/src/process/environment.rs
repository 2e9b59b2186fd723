//! The environment of a process (`/proc/PID/environ`, `proc_pid_environ(5)`).

use std::fs::File;
use std::io::{self, Read as _};

/// The maximum that is read of an environment, in bytes.
const MAX: u64 = 1 << 20;

/// The variables that it was started with, or has overwritten, each terminated by a zero byte.
pub fn of(pid: u32) -> io::Result<Vec<u8>> {
    let mut environment = Vec::new();
    File::open(format!("/proc/{pid}/environ"))?.take(MAX).read_to_end(&mut environment)?;
    Ok(environment)
}
