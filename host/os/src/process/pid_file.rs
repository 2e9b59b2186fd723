//! The process that a pid file names.
//!
//! A pid file outlives its process and even the boot, is written in several steps, is replaced together with the
//! application, and may come from a container in which the number means another process. What is certain is
//! reported; anything else is an error, which means that the result is unknown.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::find::Found;
use super::stat::{Stat, since_boot, ticks};
use super::table::{Process, Table};

/// How much later than its pid file a process may seem to have started: clocks are set, and the kernel and file
/// systems round times differently.
const SLACK: Duration = Duration::from_mins(1);
/// The same tolerance for the boot, which happens once.
const BOOT_SLACK: Duration = Duration::from_secs(2);
/// A file that was changed less than this ago may not be complete yet.
const COMPLETE: Duration = Duration::from_secs(1);
/// A process writes its pid file within this time after its start.
const WRITTEN_WITHIN: Duration = Duration::from_mins(10);
/// The maximum that is read of a pid file: the id is in its first line.
const MAX_SIZE: u64 = 4 << 10;

/// The content of a pid file.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Missing,
    /// It may be complete in a moment.
    Unfinished,
    NoId(String),
    /// The id, and when the file was written (since 1970).
    Id(u32, Duration),
}

/// What is known about the process that a file names.
enum Named {
    Found(Stat),
    /// There is none, or it is another process: a whole sentence.
    Absent(String),
}

/// Whether all processes of this node must be read to interpret the file.
pub(super) fn needs_table(path: &Path, known: Option<&Stat>) -> bool {
    match read(path) {
        Ok(Content::Id(pid, _)) => known.is_none_or(|known| known.pid != pid || !lives(known)),
        Ok(_) | Err(_) => false,
    }
}

/// The process that the file names. `known`: the process that it named before. `table`: needed for a process that
/// it did not name before.
pub(super) fn look(path: &Path, known: Option<&Stat>, table: Option<&Table>) -> io::Result<Found> {
    let shown = path.display();
    let named = match read(path)? {
        Content::Missing => Named::Absent(format!("there is no pid file {shown}")),
        Content::NoId(text) => Named::Absent(format!("pid file {shown} contains no process id but {text:?}")),
        Content::Unfinished => match known.filter(|known| lives(known)) {
            Some(known) => Named::Found(known.clone()),
            None => return Err(io::Error::other(format!("pid file {shown} is just being written"))),
        },
        Content::Id(pid, written) => named(pid, written, path, known, table)?,
    };
    let absence = match named {
        Named::Found(stat) => return Ok(Found { processes: vec![stat], ..Found::default() }),
        Named::Absent(absence) => absence,
    };
    // The file may be wrong while its process is still alive.
    Ok(match known.filter(|known| lives(known)) {
        Some(known) => Found {
            processes: vec![known.clone()],
            remark: Some(format!("{absence}; pid {}, which the file named before, still runs", known.pid)),
            ..Found::default()
        },
        None => Found { absence: Some(absence), ..Found::default() },
    })
}

fn named(
    pid: u32,
    written: Duration,
    path: &Path,
    known: Option<&Stat>,
    table: Option<&Table>,
) -> io::Result<Named> {
    let shown = path.display();
    let is_known = |stat: &Stat| known.is_some_and(|known| known.is_same(stat));
    let living = match Stat::read(pid) {
        Ok(stat) => Some(stat).filter(|stat| !stat.is_dead()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(stat) = living.as_ref().filter(|stat| is_known(stat)) {
        return Ok(Named::Found(stat.clone()));
    }
    if living.is_none() && exists(pid) {
        let reason =
            format!("pid {pid} of {shown} is running, but this user cannot see what it is (hidepid)");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    let namesake = table.and_then(|table| namesake(pid, written, living.as_ref(), table));
    if let (Some(other), None) = (namesake, known.filter(|known| known.pid == pid)) {
        return Err(io::Error::other(format!(
            "pid {pid} of {shown} may be that of a container, where it stands for `{}` (pid {} of this host)",
            other.stat.comm, other.stat.pid
        )));
    }
    let Some(stat) = living else {
        return Ok(Named::Absent(format!("pid {pid} of {shown} has ended")));
    };
    if pid == std::process::id() || stat.kernel_thread || is_stale(written, &stat) {
        return Ok(Named::Absent(format!(
            "pid file {shown} is stale: pid {pid} belongs to `{}` by now, which started after the file was written",
            stat.comm
        )));
    }
    Ok(Named::Found(stat))
}

/// A process of a container that has this id there, and is more likely to have written the file than the process
/// that has the id on the host.
fn namesake<'t>(pid: u32, written: Duration, here: Option<&Stat>, table: &'t Table) -> Option<&'t Process> {
    table.living().find(|other| {
        let started = started(&other.stat);
        other.image.inner_pid == Some(pid)
            && started <= written + SLACK
            && started + WRITTEN_WITHIN >= written
            && here.is_none_or(|here| here.start_time < other.stat.start_time)
    })
}

/// Whether the process cannot be the one that wrote the file.
fn is_stale(written: Duration, stat: &Stat) -> bool {
    let before_the_boot = written + BOOT_SLACK < now().saturating_sub(since_boot());
    before_the_boot || started(stat) > written + SLACK
}

fn lives(known: &Stat) -> bool {
    Stat::read(known.pid).is_ok_and(|stat| stat.is_same(known) && !stat.is_dead())
}

/// Whether there is a process with this id, even one that this daemon cannot see.
fn exists(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    matches!(test_kill_process(pid), Err(Errno::PERM))
}

fn read(path: &Path) -> io::Result<Content> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("pid file {}: {error}", path.display()));
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Missing),
        opened => opened.map_err(named)?,
    };
    let written = file.metadata().and_then(|of| of.modified()).map_err(named)?;
    let mut text = Vec::new();
    file.take(MAX_SIZE).read_to_end(&mut text).map_err(named)?;
    let written = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(understand(&String::from_utf8_lossy(&text), written, now()))
}

/// The id is the first line (that of `PostgreSQL` has several).
fn understand(text: &str, written: Duration, now: Duration) -> Content {
    let young = now.checked_sub(written).is_some_and(|age| age < COMPLETE);
    let line = text.trim_start().lines().next().unwrap_or_default().trim();
    // A part of a number is a number as well, so the line must be complete.
    let ends = text.trim_start().contains(['\n', '\r']);
    match line.parse() {
        Ok(pid) if ends || !young => Content::Id(pid, written),
        Ok(_) => Content::Unfinished,
        Err(_) if young => Content::Unfinished,
        Err(_) => Content::NoId(line.chars().take(64).collect()),
    }
}

/// The time since 1970, on the wall clock as it is set now.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// When the process started, on the same clock.
fn started(stat: &Stat) -> Duration {
    (now() + ticks(stat.start_time)).saturating_sub(since_boot())
}

#[cfg(test)]
mod tests;
