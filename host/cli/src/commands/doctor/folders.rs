//! Checks the root: its files, their permissions, and their disk.

use std::fs;
use std::io;
use std::path::Path;

use bellwether_config as config;
use bellwether_os::file::{Access, Space};
use bellwether_os::socket;

use super::finding::{Finding, advice, ok, problem, unknown};
use crate::output::counted;

/// With less free space than this, in bytes, the journal and the logs of applications soon cannot be written.
const LITTLE: u64 = 64 << 20;
const SOME: u64 = 512 << 20;

pub(super) fn look(root: &Path, daemon_runs: bool) -> Vec<Finding> {
    let mut findings = vec![files(root)];
    findings.extend(permissions(root));
    findings.push(space(root));
    findings.extend(old_files(root, daemon_runs));
    findings
}

fn files(root: &Path) -> Finding {
    let report = config::read_root(root);
    let node = report.node.as_ref().err().map_or(0, |mistakes| mistakes.iter().count());
    let modules = report.modules.iter().filter_map(|(_, module)| module.as_ref().err());
    let mistakes = node + modules.map(|mistakes| mistakes.iter().count()).sum::<usize>();
    match (mistakes, report.modules.len()) {
        (0, 0) => advice(
            "files",
            format!("no modules in {}", root.join("modules").display()),
            "copy modules/example.toml.sample to modules/NAME.toml and edit it",
        ),
        (0, modules) => {
            let modules = counted(modules, "module file", "module files");
            ok("files", format!("no errors in bellwether.toml and {modules}"))
        }
        (mistakes, _) => {
            problem("files", counted(mistakes, "error", "errors"), "bellwether validate shows them")
        }
    }
}

fn permissions(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folders = [".", "modules", "checkers", "restart-scripts"];
    let nodes = folders.iter().flat_map(|folder| {
        let folder = root.join(folder);
        let inside =
            fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        let inside: Vec<_> = inside.filter(|path| path.is_file()).collect();
        std::iter::once(folder).chain(inside)
    });
    for path in nodes {
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) => {
                findings.extend(not_told(&path, &error));
                continue;
            }
        };
        if Access::of(&found).is_written_by_everyone() {
            findings.push(problem(
                "permissions",
                format!("all users of this host can change {}, and so what runs here", path.display()),
                format!("chmod o-w {}", path.display()),
            ));
        }
    }
    for folder in ["state", "logs"] {
        let path = root.join(folder);
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) => {
                findings.extend(not_told(&path, &error));
                continue;
            }
        };
        let access = Access::of(&found);
        if access.is_for_others() {
            findings.push(problem(
                "permissions",
                format!("other users can read {}: the output of applications may be secret", path.display()),
                format!("chmod 700 {}", path.display()),
            ));
        }
        if !access.is_own() {
            findings.push(advice(
                "permissions",
                format!("{} belongs to user {}, not to you", path.display(), access.owner),
                "the daemon must run as the owner of its state",
            ));
        }
    }
    if findings.is_empty() {
        findings.push(ok("permissions", "no other user can change or read protected files"));
    }
    findings
}

/// A missing file needs no permissions; a file that cannot be read says nothing.
fn not_told(path: &Path, error: &io::Error) -> Option<Finding> {
    let what = || format!("the permissions of {} cannot be determined: {error}", path.display());
    let next = "run this command again as the daemon's user, or as root";
    (error.kind() != io::ErrorKind::NotFound).then(|| unknown("permissions", what(), next))
}

fn space(root: &Path) -> Finding {
    let state = root.join("state");
    let place = if state.is_dir() { &state } else { root };
    let Ok(disk) = Space::at(place) else {
        return problem("disk", format!("{} cannot be examined", place.display()), "check its permissions");
    };
    let shown = format!("{} MiB free at {}", disk.free >> 20, place.display());
    match disk.free {
        _ if disk.is_read_only => {
            problem("disk", format!("{} is read-only", place.display()), "mount it writable")
        }
        _ if disk.has_no_inodes => {
            problem("disk", format!("no inodes left at {}", place.display()), "remove files")
        }
        ..LITTLE => problem("disk", shown, "free space: the journal and the applications' logs need it"),
        LITTLE..SOME => advice("disk", shown, "free space before it is full"),
        _ => ok("disk", shown),
    }
}

fn old_files(root: &Path, daemon_runs: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let entries = fs::read_dir(root.join("state")).into_iter().flatten().filter_map(Result::ok);
    for name in entries.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        if name.contains(".damaged") {
            findings.push(advice(
                "old files",
                format!("state/{name} is a damaged file, kept for inspection"),
                "check it if data is missing, then remove it; a disk that damages files is failing",
            ));
        }
    }
    if !daemon_runs && socket::is_socket(&socket::path(root)) {
        findings.push(ok("old files", "a killed daemon left its socket; the next daemon replaces it"));
    }
    findings
}
