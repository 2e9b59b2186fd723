//! Facts about the processes of the module.

use std::time::{Duration, SystemTime};

/// One running process of the module: [`Run::processes`](crate::Run::processes) finds them.
///
/// ```
/// use bellwether_guest::prelude::*;
///
/// fn check(run: &Run) -> Result<Observation, HostError> {
///     let workers = run.processes()?.into_iter().filter(|process| process.name == "worker").count();
///     Ok(Observation::pass(format!("{workers} workers")).measure("workers", workers as f64, ""))
/// }
///
/// let worker = Process { name: "worker".into(), ..Process::default() };
/// let run = Run::for_test().with_processes(vec![worker.clone(), worker]);
/// assert_eq!(check(&run).map(|seen| seen.summary), Ok("2 workers".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The id of the process.
    pub pid: u32,
    /// The program's name, at most 15 bytes.
    pub name: String,
    /// The kept commands of the module that it belongs to.
    pub commands: Vec<String>,
    /// The process checkers of the module that find it.
    pub checkers: Vec<String>,
    /// The time of its start.
    pub started_at: SystemTime,
    /// CPU time that it has used since then, user and system.
    pub cpu: Duration,
    /// Its resident memory in bytes.
    pub resident_bytes: u64,
    /// The number of threads.
    pub threads: u32,
    /// The number of open files. None if the host cannot determine it.
    pub open_files: Option<u32>,
    /// `running`, `sleeping`, `waiting` (for a disk or the like), `stopped`, or another word.
    pub state: String,
}

/// A sleeping process without any usage, for tests, which set the rest.
impl Default for Process {
    fn default() -> Self {
        Self {
            pid: 2,
            name: String::new(),
            commands: Vec::new(),
            checkers: Vec::new(),
            started_at: SystemTime::UNIX_EPOCH,
            cpu: Duration::ZERO,
            resident_bytes: 0,
            threads: 1,
            open_files: None,
            state: "sleeping".into(),
        }
    }
}
