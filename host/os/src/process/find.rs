//! Which processes a checker means.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::id::{CommandName, ModuleName};

use super::errands::is_errand;
use super::hidden::others_are_hidden;
use super::identity::ProcessId;
use super::kept_table::{KeptState, KeptTable};
use super::pid_file;
use super::stat::Stat;
use super::table::{Process, ProcessTable, Table};

/// The age that a scan of all processes may have, where only the past matters.
const RECENT: Duration = Duration::from_secs(2);

/// Which of the matching processes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Those that come from a command of the module.
    Module,
    /// All processes of this host.
    Host,
}

impl Of {
    /// The word in the module file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Host => "host",
        }
    }
}

/// How processes are found.
#[derive(Debug, Clone)]
pub enum Find {
    /// By the program's name (`comm`, or the file name of what was executed).
    Name(String),
    /// By a regular expression over the whole command line, arguments separated by single spaces.
    Arguments(regex::Regex),
    /// By a file that holds the process id.
    PidFile(PathBuf),
    /// By a systemd unit: all processes in its control group.
    Unit(String),
    /// The process that the host keeps for this command (without its children).
    Kept(CommandName),
}

impl PartialEq for Find {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) | (Self::Unit(a), Self::Unit(b)) => a == b,
            (Self::Arguments(a), Self::Arguments(b)) => a.as_str() == b.as_str(),
            (Self::PidFile(a), Self::PidFile(b)) => a == b,
            (Self::Kept(a), Self::Kept(b)) => a == b,
            _ => false,
        }
    }
}

/// The processes to look for, and where to look.
#[derive(Debug, Clone)]
pub struct Finder {
    pub find: Find,
    /// Whether to include those of containers.
    pub containers: bool,
    pub of: Of,
    /// For pid files: the process that was found last.
    pub known: Option<Stat>,
    /// For kept commands: the module.
    pub module: ModuleName,
    /// The processes of this node.
    pub table: ProcessTable,
    /// The processes that the host keeps.
    pub kept: KeptTable,
}

/// The processes that were found, all of them alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub processes: Vec<Stat>,
    /// Why there are none, if more is known: a whole sentence.
    pub absence: Option<String>,
    /// What is wrong although they exist.
    pub remark: Option<String>,
    /// Processes that match and do not count, because they do not come from the module.
    pub others: Vec<u32>,
    /// There may be more processes that this daemon cannot see.
    pub hidden: bool,
    /// There is none because the kept process has ended.
    pub ended: bool,
}

impl Finder {
    /// Looks for the processes. They were alive at most this long ago.
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

    /// Whether this requires a scan of all processes.
    pub fn scans(&self) -> bool {
        matches!(self.find, Find::Name(_) | Find::Arguments(_) | Find::Unit(_))
    }
}

impl Finder {
    /// Whether a process with the application's name can be a part of it: not if it is in a container, is one of
    /// the daemon's own commands, or runs in the foreground of a terminal.
    fn counts(&self, process: &Process) -> bool {
        if matches!(self.find, Find::Unit(_)) {
            return true;
        }
        let Process { stat, image } = process;
        let contained = image.inner_pid.is_some() && !self.containers;
        !contained && !is_errand(stat) && (!stat.foreground || in_own_session(stat))
    }
}

/// The maximum length of a chain of parents. A process that is deeper does not count as a part of the application.
const MAX_PARENTS: usize = 64;

impl Finder {
    /// Whether a process comes from a command of the module, if only such processes count: it is a kept process or
    /// was started by one, is in its group, or is identified by its control group or its mark.
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

/// Whether a process belongs to the session of this daemon. In a PID namespace whose session leader is outside (as
/// with `unshare --pid --fork`), the session reads as 0 (`pid_namespaces(7)`). The file shows that, whereas a `Pid`
/// cannot hold what getsid(2) returns then.
fn in_own_session(stat: &Stat) -> bool {
    Stat::read(std::process::id()).is_ok_and(|own| own.session == stat.session)
}

/// Whether this kind of look-up matches processes by their properties.
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
            // The owner of the kept process is about to publish how it ended.
            None => format!("process `{command}` (pid {}) has ended", id.pid),
        },
        KeptState::Ended { pid, how, .. } => format!("process `{command}` (pid {pid}) {how}"),
        KeptState::Never => format!("process `{command}` has not been started"),
    };
    Ok(Found { absence: Some(absence), ended: *state != KeptState::Never, ..Found::default() })
}

#[cfg(test)]
mod tests;
