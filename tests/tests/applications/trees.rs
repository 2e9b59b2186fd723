//! The processes of an application, according to the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bellwether_tests::process::signal;
use rustix::process::Signal;

/// A process that cannot be confused with a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    began: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain blanks and brackets. proc_pid_stat(5): the state comes next, then the parent.
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let is_dead = fields[0].starts_with(['Z', 'X']);
        let process =
            Self { pid, parent: fields.get(1)?.parse().ok()?, began: fields.get(19)?.parse().ok()? };
        (!is_dead).then_some(process)
    }

    /// Whether it is still alive. A zombie is not.
    pub(crate) fn is_alive(self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.began == self.began)
    }

    /// Its command line, or the name of a process without one.
    pub(crate) fn command_line(self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    fn names(self, place: &Path) -> bool {
        let place = place.as_os_str().as_encoded_bytes();
        ["cmdline", "environ"].iter().any(|file| {
            let text = fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
            text.windows(place.len()).any(|window| window == place)
        })
    }

    /// Sends a signal to it, if it is alive.
    pub(crate) fn signal(self, number: Signal) -> bool {
        self.is_alive() && signal(self.pid, number)
    }
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(Process::read).collect()
}

/// The main process and all that came from it, and all with the application's folder in its command line or
/// environment: some leave their parent.
pub(crate) fn processes_of(main: u32, place: &Path) -> BTreeSet<Process> {
    let all = all();
    let mut found: BTreeSet<_> =
        all.iter().copied().filter(|process| process.pid == main || process.names(place)).collect();
    loop {
        let ids: BTreeSet<_> = found.iter().map(|process| process.pid).collect();
        let before = found.len();
        found.extend(all.iter().filter(|process| ids.contains(&process.parent)));
        if found.len() == before {
            return found;
        }
    }
}
