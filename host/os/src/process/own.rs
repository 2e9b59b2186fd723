//! What the daemon's own process uses (`proc_pid_stat(5)`, `proc_pid_fd(5)`).

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

use super::stat::{Stat, ticks};
use super::usage::open_files;

/// Plain numbers in base units, as Prometheus expects. A value that cannot be read is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OwnUse {
    /// Resident memory in bytes.
    pub memory: Option<f64>,
    pub open_files: Option<f64>,
    /// The limit of open files.
    pub max_open_files: Option<f64>,
    pub threads: Option<f64>,
    /// Processor time in seconds.
    pub cpu: Option<f64>,
    /// The start time, in seconds since the Unix epoch.
    pub started: Option<f64>,
}

impl OwnUse {
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
    pub fn now() -> Self {
        let own = std::process::id();
        let stat = Stat::read(own).ok();
        let stat = stat.as_ref();
        Self {
            memory: stat.map(|stat| stat.resident_bytes() as f64),
            open_files: open_files(own).ok().map(|count| count as f64),
            max_open_files: getrlimit(Resource::Nofile).current.map(|most| most as f64),
            threads: stat.map(|stat| stat.threads as f64),
            cpu: stat.map(|stat| ticks(stat.cpu_ticks).as_secs_f64()),
            started: stat.and_then(|stat| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
                Some(now.saturating_sub(stat.age()).as_secs_f64())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_known() {
        let own = OwnUse::now();
        assert!(own.memory.unwrap() > 100_000.0 && own.threads.unwrap() >= 1.0);
        assert!(own.open_files.unwrap() >= 3.0 && own.max_open_files.unwrap() >= own.open_files.unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let started = own.started.unwrap();
        assert!(started <= now && started > now - 86_400.0, "{started}");
    }
}
