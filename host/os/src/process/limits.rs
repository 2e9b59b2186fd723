//! What a process may use (getrlimit(2), `proc_pid_limits(5)`).

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Confines this process for good: to so many bytes of address space, and to so much time of a processor. It writes no
/// core file.
pub fn confine(memory: u64, processor_time: Duration) -> io::Result<()> {
    let limits = [(Resource::As, memory), (Resource::Cpu, processor_time.as_secs()), (Resource::Core, 0)];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// The table of the limits of a process, of this one without a process id.
pub fn table(pid: Option<u32>) -> io::Result<String> {
    match pid {
        Some(pid) => fs::read_to_string(format!("/proc/{pid}/limits")),
        None => fs::read_to_string("/proc/self/limits"),
    }
}
