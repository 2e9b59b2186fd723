//! What a process holds at one moment: memory, descriptors, threads.

use std::fs;
use std::time::Duration;

/// Of one process, by `/proc` (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident, in KiB.
    pub memory: u64,
    /// Open files, sockets and the like.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

impl Usage {
    /// Of this process, now.
    ///
    /// # Panics
    /// If there is none.
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

/// The time that a process's threads have spent on a processor: those that are there now.
///
/// # Panics
/// If there is no such process.
pub fn cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    let spent = threads.flatten().filter_map(|thread| {
        // The first number is in nanoseconds (Documentation/scheduler/sched-stats.rst of the kernel).
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}
