//! Checks the unit, the daemon, and its ports.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_api::NodeStatus;
use bellwether_config as config;
use bellwether_os::process::entry;

use super::finding::{Finding, advice, ok, problem};
use crate::commands::install::unit_text;
use crate::output::counted;

/// The folders of units; the first one found counts.
const UNITS: [&str; 3] = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
const NAME: &str = "bellwether.service";
/// A port of this host answers immediately, or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn look(root: &Path, system: &Path, status: Option<&NodeStatus>) -> Vec<Finding> {
    let mut findings = unit(system);
    findings.extend(daemon(root, status));
    findings.extend(ports(root, status.is_some()));
    findings
}

fn unit(system: &Path) -> Vec<Finding> {
    let found = UNITS.iter().find_map(|folder| {
        let path = system.join(folder).join(NAME);
        Some((fs::read_to_string(&path).ok()?, path))
    });
    let Some((text, path)) = found else {
        let next = "bellwether install (or the Debian package) writes it: without a unit, the daemon is not restarted";
        return vec![advice("unit", "there is no unit for systemd", next)];
    };
    let setting = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next());
    let binary = PathBuf::from(setting("ExecStart=").unwrap_or_default());
    let mut findings = Vec::new();
    if !system.join(binary.strip_prefix("/").unwrap_or(&binary)).is_file() {
        let what = format!("{} starts {}, which does not exist", path.display(), binary.display());
        findings.push(problem("unit", what, "bellwether install writes both"));
    }
    if text == unit_text(&binary, setting("User=")) {
        findings.push(ok("unit", format!("{} is up to date", path.display())));
    } else {
        let next =
            "bellwether install rewrites it; put your own settings into a drop-in: systemctl edit bellwether";
        findings.push(advice(
            "unit",
            format!("{} differs from what this version writes", path.display()),
            next,
        ));
    }
    let wanted = system.join("etc/systemd/system/multi-user.target.wants").join(NAME);
    if fs::symlink_metadata(wanted).is_err() {
        let next = "systemctl enable bellwether";
        findings.push(advice("unit", "it is not enabled: the daemon does not start at boot", next));
    }
    findings
}

fn daemon(root: &Path, status: Option<&NodeStatus>) -> Vec<Finding> {
    let pid = fs::read_to_string(root.join("state/daemon.lock")).unwrap_or_default();
    let Some(status) = status else {
        let next =
            "systemctl start bellwether, or bellwether run; `journalctl -u bellwether` shows why it exited";
        return vec![problem("daemon", "no daemon answers on this root", next)];
    };
    let mut findings: Vec<Finding> = status
        .problems
        .iter()
        .map(|said| problem("daemon", said, "correct it; `bellwether status` shows whether it is solved"))
        .collect();
    let program = pid.trim().parse().ok().and_then(|pid| entry::program(pid).ok()).unwrap_or_default();
    if program.to_string_lossy().ends_with(" (deleted)") {
        findings.push(advice(
            "daemon",
            "its program was replaced since it started: it is still the old version",
            "systemctl restart bellwether; the applications keep running",
        ));
    }
    let ready = status.modules.iter().filter(|module| module.ready).count();
    let modules = counted(status.modules.len(), "module", "modules");
    findings.push(ok("daemon", format!("it answers: {modules}, {ready} ready")));
    findings
}

fn ports(root: &Path, daemon_runs: bool) -> Vec<Finding> {
    // Errors are reported elsewhere.
    let Ok(node) = config::read_node(root) else { return Vec::new() };
    let agents = node.agent_checks.iter().map(|agent| ("HAProxy's agent-check", agent.listen));
    let listeners = std::iter::once(("the health endpoint", node.health)).chain(agents);
    listeners.map(|(who, address)| port(who, address, daemon_runs)).collect()
}

pub(super) fn port(who: &str, address: SocketAddr, daemon_runs: bool) -> Finding {
    if daemon_runs {
        return match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
            Ok(_) => ok("ports", format!("{who} accepts connections on {address}")),
            Err(error) => problem(
                "ports",
                format!("{who} does not answer on {address}: {error}"),
                "if bellwether.toml was edited: systemctl restart bellwether",
            ),
        };
    }
    match TcpListener::bind(address) {
        Ok(_) => ok("ports", format!("{address} is free for {who}")),
        Err(error) => problem(
            "ports",
            format!("{who} cannot listen on {address}: {error}"),
            format!(
                "stop the program that uses it (`ss -ltnp 'sport = :{}'` shows it), or set another in bellwether.toml",
                address.port()
            ),
        ),
    }
}
