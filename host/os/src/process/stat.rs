//! `/proc/PID/stat`, the file with most of the facts about a process (`proc_pid_stat(5)`).

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// `PF_KTHREAD` of the kernel's `include/linux/sched.h`: a kernel thread.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// One process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub pid: u32,
    /// The program's name, at most 15 bytes.
    pub comm: String,
    /// One letter: `R` running, `S` sleeping, `T` stopped, `Z` zombie, …
    pub state: char,
    /// The parent: the process that started it, or the one that it was reparented to.
    pub parent: u32,
    pub group: u32,
    pub session: i32,
    /// It is in the foreground of a terminal: a user is working with it.
    pub foreground: bool,
    /// It is a kernel thread and has no program.
    pub kernel_thread: bool,
    /// CPU time used, user and system, in clock ticks.
    pub cpu_ticks: u64,
    /// The number of its threads.
    pub threads: u64,
    /// When it started, in clock ticks after the boot.
    pub start_time: u64,
    /// Resident memory in pages.
    pub resident_pages: u64,
}

impl Stat {
    /// Reads the file of that process. An error of the kind `NotFound` means
    /// that there is no such process.
    pub fn read(pid: u32) -> io::Result<Self> {
        let mut buffer = [0; 1024];
        let path = format!("/proc/{pid}/stat");
        // A process that exits between open and read gives ESRCH.
        let length =
            File::open(path).and_then(|mut file| file.read(&mut buffer)).map_err(|error| {
                match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                    Some(rustix::io::Errno::SRCH) => io::ErrorKind::NotFound.into(),
                    _ => error,
                }
            })?;
        let text = buffer.get(..length).unwrap_or_default();
        Self::parse(text).ok_or_else(|| {
            if is_released(text) {
                return io::ErrorKind::NotFound.into();
            }
            io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat has an unknown form")
        })
    }

    /// Parses the file's text. The name is in parentheses and may itself contain parentheses and spaces, so the
    /// last parenthesis counts.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|b| *b == b'(')?;
        let close = text.iter().rposition(|b| *b == b')')?;
        let pid = std::str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
        let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
        let mut fields = std::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace();
        // `nth` counts from the field after the one read last; the numbers in the comments are those of the manual
        // page.
        let state = fields.next()?.chars().next()?; // 3
        let parent = fields.next()?.parse().ok()?; // 4
        let group = fields.next()?.parse().ok()?; // 5
        let session = fields.next()?.parse().ok()?; // 6
        let terminal: i64 = fields.next()?.parse().ok()?; // 7
        let foreground: i64 = fields.next()?.parse().ok()?; // 8
        let flags: u64 = fields.next()?.parse().ok()?; // 9
        let user: u64 = fields.nth(4)?.parse().ok()?; // 14
        let system: u64 = fields.next()?.parse().ok()?; // 15
        let threads = fields.nth(4)?.parse().ok()?; // 20
        let start_time = fields.nth(1)?.parse().ok()?; // 22
        let resident_pages = fields.nth(1)?.parse().ok()?; // 24
        Some(Self {
            pid,
            comm,
            state,
            parent,
            group,
            session,
            foreground: terminal != 0 && foreground == i64::from(group),
            kernel_thread: flags & KERNEL_THREAD != 0,
            cpu_ticks: user.saturating_add(system),
            threads,
            start_time,
            resident_pages,
        })
    }

    /// Whether it is the same process, and not another one with the same id.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.pid, self.start_time) == (other.pid, other.start_time)
    }

    /// Whether it has ended: a zombie only waits to be reaped. A process whose first thread alone has ended looks
    /// the same, but its other threads are alive.
    pub fn is_dead(&self) -> bool {
        match self.state {
            'Z' => self.threads <= 1,
            state => matches!(state, 'X' | 'x'),
        }
    }

    /// Its resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        self.resident_pages.saturating_mul(page)
    }

    /// How long ago it started.
    pub fn age(&self) -> Duration {
        since_boot().saturating_sub(ticks(self.start_time))
    }
}

/// Clock ticks of the kernel as a duration (sysconf(3), `_SC_CLK_TCK`).
pub fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_micros(count.saturating_mul(1_000_000) / per_second)
}

/// The time since this machine was started, on the clock of process start times.
pub(crate) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The kernel is just removing a process that has been reaped: it has no group any more, which reads as -1
/// (`do_task_stat` of the kernel's `fs/proc/array.c`).
fn is_released(text: &[u8]) -> bool {
    let behind = text.rsplit(|b| *b == b')').next().unwrap_or_default();
    let mut fields = behind.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    fields.nth(2) == Some(b"-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text = b"42 (a) R (b) S 1 40 40 0 -1 4194304 98 0 0 0 7 5 0 0 20 0 3 0 190308 3133440 358 1844";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            stat,
            Stat {
                pid: 42,
                comm: "a) R (b".to_owned(),
                state: 'S',
                parent: 1,
                group: 40,
                session: 40,
                foreground: false,
                kernel_thread: false,
                cpu_ticks: 12,
                threads: 3,
                start_time: 190_308,
                resident_pages: 358,
            }
        );
        assert!(Stat::parse(b"42 (cut) S 1 40").is_none());
        assert!(Stat::parse(b"").is_none());
    }

    #[test]
    fn this_process_can_be_read() {
        let stat = Stat::read(std::process::id()).unwrap();
        assert_eq!(stat.pid, std::process::id());
        assert!(!stat.is_dead() && !stat.kernel_thread && stat.threads > 0 && stat.resident_pages > 0);
        assert!(stat.age() < since_boot());
    }

    #[test]
    fn no_process_is_not_found() {
        // Process ids are at most 2^22 (proc_sys_kernel(5), pid_max).
        assert_eq!(Stat::read(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_process_that_is_just_being_taken_away_is_none() {
        let released = b"7 (a) b) X 1 -1 -1 0 -1 4227084 0 0 0 0 0 0 0 0 20 0 0 0 15 0 0";
        assert_eq!(Stat::parse(released), None);
        assert!(is_released(released));
        assert!(!is_released(b"7 (a) S 1 7 7 0 -1 4194560 0"));
        assert!(!is_released(b""));
    }
}
