//! Looks for the processes that are meant.

use std::io;
use std::time::Duration;

use bellwether_core::id::ModuleName;

use super::{Find, Of};
use crate::process::errands::is_errand;
use crate::process::hidden::others_are_hidden;
use crate::process::identity::ProcessId;
use crate::process::kept_table::{KeptState, KeptTable};
use crate::process::pid_file;
use crate::process::stat::Stat;
use crate::process::table::{Process, ProcessTable, Table};

/// Processes that are looked for among all may be this old where only the past is asked for.
const RECENT: Duration = Duration::from_secs(2);

/// Which processes are looked for, and where.
#[derive(Debug, Clone)]
pub struct Finder {
    /// Which.
    pub find: Find,
    /// Those of containers, too.
    pub containers: bool,
    /// Whose.
    pub of: Of,
    /// For pid files: the process that was found last.
    pub known: Option<Stat>,
    /// For kept commands: of which module.
    pub module: ModuleName,
    /// The processes of this node.
    pub table: ProcessTable,
    /// The processes that the host keeps.
    pub kept: KeptTable,
}

/// The processes that were found, all alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// By process id.
    pub processes: Vec<Stat>,
    /// Why there are none, where more is known than that: a whole sentence.
    pub absence: Option<String>,
    /// What is not as it should be, although they are there.
    pub remark: Option<String>,
    /// Those that match and do not count, because they do not come from the module.
    pub others: Vec<u32>,
    /// There may be more that this daemon may not see.
    pub hidden: bool,
    /// There is none because the kept process, which ran, has ended.
    pub ended: bool,
}

impl Finder {
    /// Looks for them. What is found was alive at most so long ago.
    pub async fn look(&self, not_older_than: Duration) -> io::Result<Found> {
        match &self.find {
            Find::Kept(command) => kept(command.as_str(), &self.kept.state(&self.module, command)),
            Find::PidFile(path) => {
                let known = self.known.as_ref();
                let table = if pid_file::needs_table(path, known) {
                    Some(self.table.scan(RECENT).await?)
                } else {
                    None
                };
                pid_file::look(path, known, table.as_deref())
            }
            Find::Name(_) | Find::Arguments(_) | Find::Unit(_) => {
                let table = self.table.scan(not_older_than).await?;
                let matching = table.living().filter(|p| matches(&self.find, p) && self.counts(p));
                let (ours, others): (Vec<&Process>, Vec<&Process>) =
                    matching.partition(|p| self.is_ours(p, &table));
                Ok(Found {
                    processes: ours.into_iter().map(|p| p.stat.clone()).collect(),
                    others: others.into_iter().map(|p| p.stat.pid).collect(),
                    hidden: others_are_hidden(),
                    ..Found::default()
                })
            }
        }
    }

    /// Whether looking means a scan of all processes.
    pub fn scans(&self) -> bool {
        matches!(self.find, Find::Name(_) | Find::Arguments(_) | Find::Unit(_))
    }
}

impl Finder {
    /// Whether a process that is called like the application may be a part of it: not if it is in a
    /// container, is one of our own commands, or is what somebody does at a terminal.
    fn counts(&self, process: &Process) -> bool {
        if matches!(self.find, Find::Unit(_)) {
            return true;
        }
        let Process { stat, image } = process;
        let contained = image.inner_pid.is_some() && !self.containers;
        !contained && !is_errand(stat) && (!stat.foreground || in_own_session(stat))
    }
}

/// A chain of parents is followed so far. A process that is deeper does not count as a part of the application.
const MAX_PARENTS: usize = 64;

impl Finder {
    /// Whether a process comes from a command of the module, if only such ones count: it is or was
    /// started by a kept process, is in its group, or is known by its control group or its mark.
    fn is_ours(&self, process: &Process, table: &Table) -> bool {
        if self.of == Of::Host {
            return true;
        }
        let kept = self.kept.running_of(&self.module);
        let mut next = Some(process);
        for _ in 0..MAX_PARENTS {
            let Some(Process { stat, image }) = next else { return false };
            let leads = |id: &ProcessId| id.pid == stat.pid || id.pid == stat.group;
            if kept.iter().any(leads) || self.kept.origin(image).is_some_and(|(of, _)| of == self.module) {
                return true;
            }
            next = table.get(stat.parent).filter(|parent| parent.stat.pid != stat.pid);
        }
        false
    }
}

/// Whether a process belongs to the session of this daemon. In a PID namespace whose session leader
/// is outside, as `unshare --pid --fork` makes one, the session reads as 0 (`pid_namespaces(7)`): the
/// file says so plainly, whereas a `Pid` cannot hold what getsid(2) returns then.
fn in_own_session(stat: &Stat) -> bool {
    Stat::read(std::process::id()).is_ok_and(|own| own.session == stat.session)
}

/// Whether this is one of those that are found by what they are.
pub fn matches(find: &Find, process: &Process) -> bool {
    let Process { stat, image } = process;
    match find {
        Find::Name(name) => stat.comm == *name || image.program == *name || image.called == *name,
        Find::Arguments(pattern) => {
            !stat.kernel_thread && !image.command_line.is_empty() && pattern.is_match(&image.command_line)
        }
        Find::Unit(unit) => in_unit(&image.control_groups, unit),
        Find::PidFile(_) | Find::Kept(_) => false,
    }
}

/// The path of a unit's control group ends in the unit's name, and units that
/// are delegated have groups below (systemd.slice(5), cgroups(7)). As for
/// systemctl(1), a name without a type means a service.
fn in_unit(control_groups: &str, unit: &str) -> bool {
    let suffix = if unit.contains('.') { "" } else { ".service" };
    let unit = format!("{unit}{suffix}");
    control_groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .any(|path| path.split('/').any(|part| part == unit))
}

fn kept(command: &str, state: &KeptState) -> io::Result<Found> {
    let absence = match state {
        KeptState::Running(id) => match id.read()? {
            Some(stat) => return Ok(Found { processes: vec![stat], ..Found::default() }),
            // Who keeps it is about to say how it ended.
            None => format!("process `{command}` (pid {}) has ended", id.pid),
        },
        KeptState::Ended { pid, how, .. } => format!("process `{command}` (pid {pid}) {how}"),
        KeptState::Never => format!("process `{command}` has not been started"),
    };
    Ok(Found { absence: Some(absence), ended: *state != KeptState::Never, ..Found::default() })
}

#[cfg(test)]
mod tests;
