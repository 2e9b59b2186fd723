//! Checks the machine: its clock, its kernel and its limits.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use bellwether_os::kernel;
use bellwether_os::process::limits;

use super::finding::{Finding, advice, ok, problem, unknown};

pub(super) fn look(root: &Path) -> Vec<Finding> {
    let mut findings = vec![clock(), synchronized()];
    findings.extend(features());
    findings.extend(limits_of_daemon(root));
    findings
}

/// Bellwether did not exist before, so an earlier clock is wrong.
const EARLIEST: &str = "2025-01-01T00:00:00Z";

fn clock() -> Finding {
    let now = jiff::Timestamp::now();
    let earliest: jiff::Timestamp = EARLIEST.parse().unwrap_or(now);
    if now < earliest {
        let next = "set it; intervals are not affected, but records and signatures have wrong times";
        return problem("clock", format!("the clock says {now:.0}"), next);
    }
    ok("clock", format!("the clock says {now:.0}"))
}

fn synchronized() -> Finding {
    let told = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match told.ok().filter(|told| told.status.success()).map(|told| told.stdout) {
        Some(answer) if answer.starts_with(b"yes") => ok("clock", "it is synchronised"),
        Some(answer) if answer.starts_with(b"no") => advice(
            "clock",
            "it is not synchronised: records of several nodes cannot be compared",
            "install chrony or systemd-timesyncd",
        ),
        _ => unknown(
            "clock",
            "whether it is synchronised cannot be determined (timedatectl does not answer)",
            "query the time service: chronyc tracking, or ntpq -p",
        ),
    }
}

fn features() -> Vec<Finding> {
    let mut findings = Vec::new();
    let release = kernel::version();
    let (pidfd, beneath) = (kernel::watches_processes(), kernel::keeps_paths_beneath());
    for (feature, since, missing) in [
        ("pidfd_open (to monitor processes)", "5.3", pidfd.err()),
        ("openat2 (to read granted folders)", "5.6", beneath.err()),
    ] {
        if let Some(error) = missing {
            let next = format!("use kernel {since} or later, and check that no container filters the call");
            findings.push(problem("kernel", format!("no {feature}: {error}"), next));
        }
    }
    if version(&release).is_some_and(|version| version < (6, 7)) {
        findings.push(advice(
            "kernel",
            format!("Linux {release} cannot report which memory a component used: each run is cleaned up more slowly"),
            "no action is needed; Linux 6.7 supports it (PAGEMAP_SCAN)",
        ));
    }
    if findings.is_empty() {
        findings.push(ok("kernel", format!("Linux {release} has all required features")));
    }
    findings
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Of `/proc/PID/limits`: the soft limit in the line of that name; `None` if there is none.
fn limit(table: &str, name: &str) -> Option<u64> {
    table.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn limits_of_daemon(root: &Path) -> Vec<Finding> {
    let pid = fs::read_to_string(root.join("state/daemon.lock")).unwrap_or_default();
    let daemon = pid.trim().parse().ok().and_then(|pid| limits::table(Some(pid)).ok());
    let whose = if daemon.is_some() { "the daemon's" } else { "this shell's" };
    let table = daemon.or_else(|| limits::table(None).ok()).unwrap_or_default();
    let mut findings = Vec::new();
    for (name, least, what) in [("Max open files", 1024, "open files"), ("Max processes", 1024, "processes")]
    {
        if let Some(limit) = limit(&table, name).filter(|limit| *limit < least) {
            let next = format!("raise it to {least} (ulimit, LimitNOFILE and LimitNPROC of the unit)");
            findings.push(advice("limits", format!("{whose} limit of {what} is {limit}"), next));
        }
    }
    if let Some(limit) = limit(&table, "Max address space") {
        let next =
            "lift it (ulimit -v unlimited): the memory of components is reserved as address space, not used";
        findings.push(advice(
            "limits",
            format!("{whose} address space is limited to {} MiB", limit >> 20),
            next,
        ));
    }
    for (key, least, why) in [
        ("vm/max_map_count", 65_530, "the memory of each component needs some maps"),
        ("fs/inotify/max_user_instances", 16, "without a free one, the folders are scanned once a second"),
        ("fs/inotify/max_user_watches", 1024, "without a free one, the folders are scanned once a second"),
    ] {
        if let Some(value) = kernel::setting(key).filter(|value| *value < least) {
            let next = format!("sysctl {}={least}: {why}", key.replace('/', "."));
            findings.push(advice("limits", format!("{} is {value}", key.replace('/', ".")), next));
        }
    }
    if kernel::setting("vm/overcommit_memory") == Some(2) {
        findings.push(advice(
            "limits",
            "vm.overcommit_memory is 2: address space that is reserved for components counts as used",
            "use 0 or 1, or leave room with vm.overcommit_ratio; without it components run more slowly",
        ));
    }
    if findings.is_empty() {
        findings.push(if whose == "the daemon's" {
            ok("limits", "the daemon's limits and the kernel's are high enough")
        } else {
            unknown(
                "limits",
                "no daemon is running, so its limits are unknown; this shell's and the kernel's are high enough",
                "run this command again when the daemon is running",
            )
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_versions_are_read_as_the_kernel_writes_them() {
        let table = "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max address space         unlimited            unlimited            bytes\n\
                     Max open files            256                  524288               files\n";
        assert_eq!(limit(table, "Max open files"), Some(256));
        assert_eq!(limit(table, "Max address space"), None);
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert!(version("?").is_none());
    }
}
