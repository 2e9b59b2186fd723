//! The resource usage of processes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::stat::{Stat, ticks};

/// The combined resource usage of several processes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Memory in bytes. Pages that several processes share are divided between them (proportional set size).
    pub memory: u64,
    /// CPU in percent of one processor since the previous measurement; `None` for the first one.
    pub cpu: Option<f64>,
    /// The largest number of open files of one process; `None` if the daemon may not read it (`proc_pid_fd(5)`).
    pub open_files: Option<u64>,
    /// Threads of all processes together.
    pub threads: u64,
    /// The time since the oldest of them started.
    pub uptime: Duration,
}

/// Measures the same processes repeatedly.
#[derive(Debug, Default)]
pub struct UsageMeter {
    last: Option<Sample>,
    shares: Option<Shares>,
}

/// The memory of several processes at the last measurement page by page.
#[derive(Debug, Clone, Copy)]
struct Shares {
    at: Instant,
    /// How long the measurement took.
    took: Duration,
    /// The sum, each shared page counted once.
    proportional: u64,
    /// The sum, each shared page counted for each process.
    resident: u64,
}

/// Reading every page of large processes takes the kernel a while: at most this fraction of the time is spent on
/// it.
const REST: u32 = 20;

#[derive(Debug)]
struct Sample {
    at: Instant,
    /// CPU ticks by process id and start time.
    used: BTreeMap<(u32, u64), u64>,
}

impl UsageMeter {
    /// The present usage of these processes. `None` if there are none.
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

    /// The memory of the processes together. For a single process it is its resident memory. For several, each has
    /// its proportional share of the pages that it has in common with others (`proc_pid_smaps(5)`); between two
    /// measurements of that, the last known ratio is used.
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

    /// Counts the CPU time of each process since the last measurement, and all the CPU time of processes that are
    /// new since then.
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
    /// An estimate for processes with this resident memory, if they share memory as they did before.
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

/// The number of files that a process has open. Since Linux 6.2 it is the folder's size; before, that is 0 and the
/// entries have to be counted.
pub fn open_files(pid: u32) -> io::Result<u64> {
    let path = format!("/proc/{pid}/fd");
    // Without permission to list the folder, its size can still be read.
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
        // Ten shells share their program and their libraries, and have little memory of their own.
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
        // Each has printed its line, so each has executed its program.
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
