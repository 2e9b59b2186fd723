//! The mark in the environment of a kept process, for when the list of kept processes does not contain it: the file
//! was removed, or damaged by hand, or could not be written because the disk was read-only.
//!
//! A program may overwrite its mark (one that sets its title does), and another program's process may carry the
//! same mark. Therefore a living process in the list takes precedence, and a process of another user than the
//! daemon's counts only if it is known to [belong](super::belonging) to the command. The children of a kept process
//! inherit the mark, and are distinguished by the process id in it.

use std::io;
use std::path::Path;

use bellwether_core::id::{CommandName, ModuleName};

use super::ledger::KeptProcess;
use bellwether_os::process::entry;
use bellwether_os::process::environment;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::kept_table::KeptKey;
use bellwether_os::process::stat::Stat;
use bellwether_os::spawn::mark::{NAME, PID, digest};
use bellwether_os::user;

/// The list, completed by the processes under this root that carry the mark and lead a group of their own. Of
/// several with the same mark, the first that was started is the command's: the others inherited its environment.
/// `belongs` returns the command of a process, independent of its mark.
pub(super) fn find(
    root: &Path,
    list: Vec<KeptProcess>,
    belongs: impl Fn(u32) -> Option<KeptKey>,
) -> io::Result<Vec<KeptProcess>> {
    let mut marked_ones = Vec::new();
    for pid in entry::all()? {
        // Who has ended meanwhile is none.
        marked_ones.extend(marked(root, pid?, &belongs).ok().flatten());
    }
    Ok(complete(list, marked_ones, |entry| entry.process.still_alive()))
}

/// What is in the list and lives is right. What is in the list and has ended may have a successor,
/// which was started later.
fn complete(
    list: Vec<KeptProcess>,
    mut marked: Vec<KeptProcess>,
    lives: impl Fn(&KeptProcess) -> bool,
) -> Vec<KeptProcess> {
    marked.sort_by_key(|entry| entry.process.start_time);
    let mut found: Vec<KeptProcess> = list;
    for entry in marked {
        // Another module may have taken it over since it was started.
        if found.iter().any(|known| known.process == entry.process) {
            continue;
        }
        let same =
            |known: &&mut KeptProcess| (&known.module, &known.command) == (&entry.module, &entry.command);
        match found.iter_mut().find(same) {
            None => found.push(entry),
            Some(known) if !lives(known) && comes_before(&known.process, &entry.process) => *known = entry,
            Some(_) => {}
        }
    }
    found
}

/// Whether the one was started before the other, which is alive: times of another boot are not comparable.
fn comes_before(known: &ProcessId, living: &ProcessId) -> bool {
    known.boot_id != living.boot_id || known.start_time < living.start_time
}

fn marked(
    root: &Path,
    pid: u32,
    belongs: impl Fn(u32) -> Option<KeptKey>,
) -> io::Result<Option<KeptProcess>> {
    let is_own = Some(entry::owner(pid)?) == user::uid();
    let stat = Stat::read(pid)?;
    if stat.group != pid || stat.is_dead() {
        return Ok(None);
    }
    let Some((module, command)) = parse(&environment::of(pid)?, &digest(root), pid) else { return Ok(None) };
    if !is_own && belongs(pid) != Some((module.clone(), command.clone())) {
        return Ok(None);
    }
    Ok(Some(KeptProcess {
        module,
        command,
        process: ProcessId::from_stat(&stat)?,
        launched: None,
        log_from: None,
        former: None,
        // It is treated like one without a mark.
        notify: None,
    }))
}

/// The module and the command in a process's environment, if the mark is of this root and of this process.
fn parse(environment: &[u8], root: &str, pid: u32) -> Option<(ModuleName, CommandName)> {
    let own = pid.to_string();
    let variable = |name: &str| {
        environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    variable(PID).is_none_or(|pid| pid == own.as_bytes()).then_some(())?;
    let value = variable(NAME)?;
    let mut parts = std::str::from_utf8(value).ok()?.splitn(3, ':');
    let (of, module, command) = (parts.next()?, parts.next()?, parts.next()?);
    (of == root).then_some(())?;
    Some((ModuleName::new(module).ok()?, CommandName::new(command).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_os::process::identity::BootId;
    use bellwether_os::spawn::mark::value;

    #[test]
    fn a_mark_is_read_as_it_was_made() {
        let (module, command) = (ModuleName::new("a.b").unwrap(), CommandName::new("start").unwrap());
        let root = Path::new("/srv/x");
        let variable = |value: &str| format!("HOME=/\0{NAME}={value}\0LANG=C\0").into_bytes();
        let good = value(root, &module, &command);
        let found = Some((module.clone(), command.clone()));
        assert_eq!(parse(&variable(&good), &digest(root), 7), found);
        for (pid, expected) in [("7", found), ("8", None)] {
            let environment = [variable(&good), format!("{PID}={pid}\0").into_bytes()].concat();
            assert_eq!(parse(&environment, &digest(root), 7), expected, "{pid}");
        }
        let elsewhere = value(Path::new("/srv/y"), &module, &command);
        for text in [elsewhere.as_str(), "", "x", &good[..10], "::", &format!("{}:../x:start", digest(root))]
        {
            assert_eq!(parse(&variable(text), &digest(root), 7), None, "{text}");
        }
        assert_eq!(parse(b"", &digest(root), 7), None);
    }

    #[test]
    fn the_first_of_several_is_the_commands_and_who_is_in_the_list_and_lives_is() {
        let of_this_process = ProcessId::of(std::process::id()).unwrap();
        let entry = |command: &str, start_time: u64| KeptProcess {
            module: ModuleName::new("web").unwrap(),
            command: CommandName::new(command).unwrap(),
            process: ProcessId { start_time, ..of_this_process },
            launched: None,
            log_from: None,
            former: None,
            notify: None,
        };
        let marked = || vec![entry("a", 9), entry("a", 7), entry("b", 8), entry("c", 3)];
        let list = || vec![entry("a", 2), entry("b", 5), entry("c", 4)];
        // In the list, `b` is alive; `a` has a successor with a child; the process with the mark of `c` is older.
        let found = complete(list(), marked(), |entry| entry.process.start_time != 2);
        assert_eq!(found, [entry("a", 7), entry("b", 5), entry("c", 4)]);
        assert_eq!(complete(Vec::new(), marked(), |_| true), [entry("c", 3), entry("a", 7), entry("b", 8)]);
        // One that another module has taken over is that one's.
        let heir = KeptProcess { module: ModuleName::new("shop").unwrap(), ..entry("a", 7) };
        assert_eq!(complete(vec![heir.clone()], vec![entry("a", 7)], |_| true), [heir]);
    }

    #[test]
    fn a_process_of_this_boot_succeeds_one_of_an_earlier_boot_whatever_their_times() {
        let process = ProcessId::of(std::process::id()).unwrap();
        let entry = |process: ProcessId| KeptProcess {
            module: ModuleName::new("web").unwrap(),
            command: CommandName::new("start").unwrap(),
            process,
            launched: None,
            log_from: None,
            former: None,
            notify: None,
        };
        let earlier_boot = BootId::try_from("0".repeat(32)).unwrap();
        // The machine ran for a year before this boot: the numbers of that time are larger.
        let listed = entry(ProcessId { start_time: u64::MAX, boot_id: earlier_boot, ..process });
        let found = complete(vec![listed], vec![entry(process)], |entry| entry.process.still_alive());
        assert_eq!(found, [entry(process)]);
    }
}
