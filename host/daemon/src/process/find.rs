//! Which processes are meant.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bellwether_core::id::ModuleName;

use super::kept_table::{KeptState, KeptTable};
use super::stat::{Stat, since_boot, ticks};
use super::table::{Process, ProcessTable};
use crate::config::spec::Find;

/// How much later than its pid file a process may seem to have started: the
/// kernel and file systems round their times differently.
const PID_FILE_SLACK: Duration = Duration::from_secs(2);
/// A pid file holds one number.
const MAX_PID_FILE: u64 = 64;

/// Which processes are looked for, and where.
#[derive(Debug, Clone)]
pub struct Finder {
    /// Which.
    pub find: Find,
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
}

impl Finder {
    /// Looks for them. What is found was alive at most so long ago.
    pub async fn look(&self, not_older_than: Duration) -> io::Result<Found> {
        match &self.find {
            Find::Kept(command) => kept(command.as_str(), &self.kept.state(&self.module, command)),
            Find::PidFile(path) => by_pid_file(path),
            Find::Name(_) | Find::Arguments(_) | Find::Unit(_) => {
                let table = self.table.scan(not_older_than).await?;
                let processes = table.living().filter(|p| matches(&self.find, p)).map(|p| p.stat.clone());
                Ok(Found { processes: processes.collect(), absence: None })
            }
        }
    }

    /// Whether looking means a scan of all processes.
    pub fn scans(&self) -> bool {
        matches!(self.find, Find::Name(_) | Find::Arguments(_) | Find::Unit(_))
    }
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
            Some(stat) => return Ok(Found { processes: vec![stat], absence: None }),
            // Who keeps it is about to say how it ended.
            None => format!("process `{command}` (pid {}) has ended", id.pid),
        },
        KeptState::Ended { pid, how, .. } => format!("process `{command}` (pid {pid}) {how}"),
        KeptState::Never => format!("process `{command}` has not been started"),
    };
    Ok(Found { processes: Vec::new(), absence: Some(absence) })
}

/// A pid file outlives its process and even the boot: what it names must also
/// have been there when it was written.
fn by_pid_file(path: &Path) -> io::Result<Found> {
    let shown = path.display();
    let absent = |why: String| Ok(Found { processes: Vec::new(), absence: Some(why) });
    let (text, modified) = match read_pid_file(path) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return absent(format!("there is no pid file {shown}"));
        }
        Err(error) => return Err(io::Error::new(error.kind(), format!("pid file {shown}: {error}"))),
    };
    let Ok(pid) = text.trim().parse::<u32>() else {
        return absent(format!("pid file {shown} holds no process id but {:?}", text.trim()));
    };
    let stat = match Stat::read(pid) {
        Ok(stat) if !stat.is_dead() => stat,
        Ok(_) => return absent(format!("pid {pid} of {shown} has ended")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return absent(format!("pid {pid} of {shown} has ended"));
        }
        Err(error) => return Err(error),
    };
    if pid == std::process::id() || stat.kernel_thread || started(&stat) > modified + PID_FILE_SLACK {
        return absent(format!(
            "pid file {shown} is stale: pid {pid} belongs to `{}` by now, which started after the file was written",
            stat.comm
        ));
    }
    Ok(Found { processes: vec![stat], absence: None })
}

/// The file's text, and when it was written (after 1970).
fn read_pid_file(path: &Path) -> io::Result<(String, Duration)> {
    use std::io::Read;
    let file = std::fs::File::open(path)?;
    let modified = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = Vec::new();
    file.take(MAX_PID_FILE).read_to_end(&mut text)?;
    Ok((String::from_utf8_lossy(&text).into_owned(), modified))
}

/// When it started, after 1970, on the wall clock as it is set now.
fn started(stat: &Stat) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now + ticks(stat.start_time)).saturating_sub(since_boot())
}

#[cfg(test)]
mod tests;
