//! What processes use.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::stat::{Stat, ticks};

/// What some processes use together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Resident memory in bytes. Pages that several of them share count for each.
    pub memory: u64,
    /// CPU in percent of one processor since the measurement before; `None` at the first.
    pub cpu: Option<f64>,
    /// Open files of the one that has most; `None` if we may not know (`proc_pid_fd(5)`).
    pub open_files: Option<u64>,
    /// All threads.
    pub threads: u64,
    /// Since the oldest of them started.
    pub uptime: Duration,
}

/// Measures the same processes again and again.
#[derive(Debug, Default)]
pub struct UsageMeter {
    last: Option<Sample>,
}

#[derive(Debug)]
struct Sample {
    at: Instant,
    /// CPU ticks by process id and start time.
    used: BTreeMap<(u32, u64), u64>,
}

impl UsageMeter {
    /// What these processes use now. `None` if there are none.
    pub fn measure(&mut self, processes: &[Stat], now: Instant) -> Option<Usage> {
        let oldest = processes.iter().min_by_key(|stat| stat.start_time)?;
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        Some(Usage {
            memory: processes.iter().map(|stat| stat.resident_pages.saturating_mul(page)).sum(),
            cpu: self.cpu(processes, now),
            open_files: most_open_files(processes),
            threads: processes.iter().map(|stat| stat.threads).sum(),
            uptime: oldest.age(),
        })
    }

    /// Counts what each process used since the last look, and all that a process
    /// used that is new since then.
    fn cpu(&mut self, processes: &[Stat], now: Instant) -> Option<f64> {
        let used = processes.iter().map(|stat| ((stat.pid, stat.start_time), stat.cpu_ticks)).collect();
        let last = self.last.replace(Sample { at: now, used })?;
        let spent: u64 = processes
            .iter()
            .map(|stat| {
                let before = last.used.get(&(stat.pid, stat.start_time)).copied().unwrap_or(0);
                stat.cpu_ticks.saturating_sub(before)
            })
            .sum();
        let elapsed = now.duration_since(last.at).as_secs_f64();
        (elapsed > 0.0).then(|| 100.0 * ticks(spent).as_secs_f64() / elapsed)
    }
}

fn most_open_files(processes: &[Stat]) -> Option<u64> {
    let counts: Result<Vec<u64>, io::Error> = processes.iter().map(|stat| open_files(stat.pid)).collect();
    counts.ok()?.into_iter().max()
}

/// How many files a process holds open. Since Linux 6.2 the folder's size is
/// their number; before, it is 0 and they are to be counted.
pub(crate) fn open_files(pid: u32) -> io::Result<u64> {
    let path = format!("/proc/{pid}/fd");
    // Whoever may not list the folder may still ask for its size.
    match fs::metadata(&path)?.len() {
        0 => Ok(fs::read_dir(&path)?.count() as u64),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, cpu_ticks: u64) -> Stat {
        Stat { pid, cpu_ticks, start_time: 5, threads: 2, resident_pages: 10, ..this() }
    }

    fn this() -> Stat {
        Stat::read(std::process::id()).unwrap()
    }

    #[test]
    fn cpu_is_what_was_used_between_two_looks() {
        let mut meter = UsageMeter::default();
        let start = Instant::now();
        assert_eq!(meter.cpu(&[stat(1, 500)], start), None);
        let second = start + Duration::from_secs(1);
        let tick = ticks(1).as_secs_f64() * 100.0;
        let used = meter.cpu(&[stat(1, 520), stat(2, 30)], second).unwrap();
        assert!((used - 50.0 * tick).abs() < 1e-6, "20 more of the first, all 30 of the new one: {used}");
        let ended = meter.cpu(&[stat(2, 30)], second + Duration::from_secs(1)).unwrap();
        assert!(ended.abs() < 1e-6, "one that has ended takes nothing back: {ended}");
    }

    #[test]
    fn memory_and_threads_are_summed_and_open_files_are_those_of_one() {
        let this = this();
        let usage = UsageMeter::default().measure(&[this.clone(), this.clone()], Instant::now()).unwrap();
        assert_eq!(usage.threads, 2 * this.threads);
        assert!(usage.memory >= 2 * 4096 * this.resident_pages);
        let open = open_files(std::process::id()).unwrap();
        assert!(open >= 3 && usage.open_files.is_some_and(|files| files >= 3));
        assert!(UsageMeter::default().measure(&[], Instant::now()).is_none());
    }
}
