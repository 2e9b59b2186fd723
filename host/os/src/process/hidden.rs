//! Whether processes of other users can be seen (proc(5), `hidepid`).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{getegid, getgroups};

/// Mounts and capabilities rarely change.
const REFRESH: Duration = Duration::from_secs(30);
/// `CAP_SYS_PTRACE` (capabilities(7)): a process that has it sees all others.
const SEES_ALL: u32 = 19;

/// Whether there may be processes that this daemon cannot see.
pub(crate) fn others_are_hidden() -> bool {
    static LAST: Mutex<Option<(Instant, bool)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, hidden)) = *last
        && at.elapsed() < REFRESH
    {
        return hidden;
    }
    let hidden = look();
    *last = Some((Instant::now(), hidden));
    hidden
}

fn look() -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut groups: Vec<u32> = getgroups().unwrap_or_default().iter().map(|group| group.as_raw()).collect();
    groups.push(getegid().as_raw());
    !sees_all(&read("/proc/self/status")) && hides(&read("/proc/self/mountinfo"), &groups)
}

fn sees_all(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    effective.is_some_and(|mask| mask & (1 << SEES_ALL) != 0)
}

/// Whether the mount at `/proc` hides processes from members of these groups.
fn hides(mount_info: &str, groups: &[u32]) -> bool {
    let at_proc = |line: &&str| line.split(' ').nth(4) == Some("/proc");
    let Some(line) = mount_info.lines().rfind(at_proc) else { return false };
    let options = line.rsplit(' ').next().unwrap_or_default();
    let value =
        |name: &str| options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let member = || {
        let group = value("gid").and_then(|gid| gid.parse().ok()).unwrap_or(0);
        groups.contains(&group)
    };
    match value("hidepid") {
        None | Some("0" | "off") => false,
        // Groups make no difference on this mount.
        Some("4" | "ptraceable") => true,
        Some(_) => !member(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_hides_processes_from_all_but_the_members_of_its_group() {
        let line = |options: &str| format!("22 28 0:20 / /proc rw,nosuid shared:12 - proc proc rw{options}");
        for (options, groups, hidden) in [
            ("", &[1000][..], false),
            (",hidepid=0", &[1000], false),
            (",hidepid=off", &[1000], false),
            (",hidepid=1", &[1000], true),
            (",hidepid=2", &[1000], true),
            (",hidepid=invisible", &[1000], true),
            (",gid=4,hidepid=invisible", &[1000, 4], false),
            (",gid=4,hidepid=ptraceable", &[1000, 4], true),
            (",hidepid=2", &[0], false),
        ] {
            assert_eq!(hides(&line(options), groups), hidden, "{options} {groups:?}");
        }
        assert!(!hides("", &[1000]));
        let mounts = format!("{}\n{}", line(",hidepid=2"), line(""));
        assert!(!hides(&mounts, &[1000]), "the last one is what is seen");
    }

    #[test]
    fn the_capability_is_read_from_the_mask() {
        assert!(sees_all("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(!sees_all("Name:\tx\nCapEff:\t0000000000000000\n"));
        assert!(!sees_all(""));
    }
}
