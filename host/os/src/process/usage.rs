//! What processes use.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::stat::{Stat, ticks};

/// What some processes use together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Memory in bytes. Of pages that several processes share, each has its share (its proportional set size).
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
    shares: Option<Shares>,
}

/// What the memory of several processes came to when it was last looked at page by page.
#[derive(Debug, Clone, Copy)]
struct Shares {
    at: Instant,
    /// How long that took.
    took: Duration,
    /// Together, each page counted once.
    proportional: u64,
    /// Together, each page counted for each.
    resident: u64,
}

/// To look at each page of large processes takes the kernel a while: at most one part in so many of
/// the time is spent on it.
const REST: u32 = 20;

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
        Some(Usage {
            memory: self.memory(processes, now),
            cpu: self.cpu(processes, now),
            open_files: most_open_files(processes),
            threads: processes.iter().map(|stat| stat.threads).sum(),
            uptime: oldest.age(),
        })
    }

    /// What the processes have together. One that is alone has what is resident. Of several, each has
    /// its proportional share of the pages that it has in common with others (`proc_pid_smaps(5)`);
    /// between two looks at that, the share that it had.
    fn memory(&mut self, processes: &[Stat], now: Instant) -> u64 {
        let together: u64 = processes.iter().map(Stat::resident_bytes).sum();
        if processes.len() == 1 {
            return together;
        }
        if let Some(shares) = self.shares.filter(|shares| now.duration_since(shares.at) < shares.took * REST)
        {
            return shares.of(together);
        }
        let begun = Instant::now();
        // Of one whose pages we may not see, all of it.
        let share = |stat: &Stat| proportional(stat.pid).unwrap_or_else(|_| stat.resident_bytes());
        let proportional = processes.iter().map(share).sum();
        self.shares = Some(Shares { at: now, took: begun.elapsed(), proportional, resident: together });
        proportional
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

impl Shares {
    /// What processes that have so much resident now have, if they share as they did.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, never negative"
    )]
    fn of(self, resident: u64) -> u64 {
        if self.resident == 0 {
            return resident;
        }
        (resident as f64 * (self.proportional as f64 / self.resident as f64)) as u64
    }
}

/// The proportional set size of a process in bytes.
fn proportional(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kilobytes = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn most_open_files(processes: &[Stat]) -> Option<u64> {
    let counts: Result<Vec<u64>, io::Error> = processes.iter().map(|stat| open_files(stat.pid)).collect();
    counts.ok()?.into_iter().max()
}

/// How many files a process holds open. Since Linux 6.2 the folder's size is
/// their number; before, it is 0 and they are to be counted.
pub fn open_files(pid: u32) -> io::Result<u64> {
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

    use std::io::Read as _;
    use std::process::Stdio;

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
    fn pages_that_processes_share_count_once() {
        // Ten shells share their program and their libraries, and have little of their own.
        let mut children: Vec<_> = (0..10)
            .map(|_| {
                std::process::Command::new("/bin/sh")
                    .args(["-c", "echo; read x"])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
            })
            .map(Result::unwrap)
            .collect();
        // Each has written its line: it is the program that it will be.
        for child in &mut children {
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
        }
        let stats: Vec<Stat> = children.iter().map(|child| Stat::read(child.id()).unwrap()).collect();
        let page = u64::try_from(rustix::param::page_size()).unwrap();
        let resident: u64 = stats.iter().map(|stat| stat.resident_pages * page).sum();
        let mut meter = UsageMeter::default();
        let begun = Instant::now();
        let memory = meter.measure(&stats, begun).unwrap().memory;
        assert!(memory > 0 && memory < resident / 2, "{memory} of {resident}");
        let alone = meter.measure(&stats[..1], begun).unwrap().memory;
        assert_eq!(alone, stats[0].resident_pages * page);
        for mut child in children {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    #[test]
    fn between_two_looks_at_the_pages_the_share_is_the_same() {
        let shares = Shares { at: Instant::now(), took: Duration::ZERO, proportional: 30, resident: 100 };
        assert_eq!((shares.of(200), shares.of(0)), (60, 0));
        assert_eq!(Shares { resident: 0, ..shares }.of(7), 7);
    }

    #[test]
    fn memory_and_threads_are_summed_and_open_files_are_those_of_one() {
        let this = this();
        let usage = UsageMeter::default().measure(&[this.clone(), this.clone()], Instant::now()).unwrap();
        assert_eq!(usage.threads, 2 * this.threads);
        let page = u64::try_from(rustix::param::page_size()).unwrap();
        assert!(usage.memory <= 2 * page * this.resident_pages, "what is shared counts once");
        let open = open_files(std::process::id()).unwrap();
        assert!(open >= 3 && usage.open_files.is_some_and(|files| files >= 3));
        assert!(UsageMeter::default().measure(&[], Instant::now()).is_none());
    }
}
