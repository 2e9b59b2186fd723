//! The resources of a process at one moment: memory, descriptors, threads.

use std::fs;
use std::time::Duration;

/// Of one process, from `/proc` (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, in KiB.
    pub memory: u64,
    /// The number of open files, sockets and the like.
    pub descriptors: usize,
    /// The number of threads.
    pub threads: usize,
}

impl Usage {
    /// The present usage of this process.
    ///
    /// # Panics
    /// If the process does not exist.
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
            .expect("a process has memory");
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).expect("it is ours").count();
        Self { memory, descriptors: count("fd"), threads: count("task") }
    }
}

/// The processor time of a process's present threads.
///
/// # Panics
/// If the process does not exist.
pub fn cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    let spent = threads.flatten().filter_map(|thread| {
        // The first number is in nanoseconds (Documentation/scheduler/sched-stats.rst of the kernel).
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}
