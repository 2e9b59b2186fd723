//! Checks the console: its listener, its certificate, and the permissions of its key.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use bellwether_config as config;
use bellwether_config::certificate::{Pair, PairFiles};
use bellwether_config::spec::ConsoleSpec;
use bellwether_os::file::Access;
use bellwether_server::site::{is_loopback, own_files};
use jiff::Timestamp;

use super::finding::{Finding, advice, ok, problem};
use super::service::port;

const TOPIC: &str = "console";
/// A warning is given when a certificate is valid for fewer days.
const DAYS: i64 = 14;
const DAY: i64 = 86_400;

pub(super) fn look(root: &Path, daemon_runs: bool) -> Vec<Finding> {
    // Errors are reported elsewhere.
    let Ok(node) = config::read_node(root) else { return Vec::new() };
    let Some(spec) = &node.console else {
        return vec![ok(TOPIC, "disabled in bellwether.toml")];
    };
    let mut findings = vec![listener(spec, daemon_runs)];
    if spec.pair.is_some() || !is_loopback(spec.listen.ip()) {
        let own = own_files(root);
        let files = spec.pair.as_ref().unwrap_or(&own);
        findings.extend(certificate(files, spec.pair.is_some(), Timestamp::now()));
        findings.extend(key(files));
    }
    findings
}

fn listener(spec: &ConsoleSpec, daemon_runs: bool) -> Finding {
    let address: SocketAddr = spec.listen;
    if address.port() == 0 {
        return ok(TOPIC, "it uses any free port");
    }
    if spec.configured || daemon_runs {
        return port("the console", address, daemon_runs);
    }
    match TcpListener::bind(address) {
        Ok(_) => ok("ports", format!("{address} is free for the console")),
        Err(error) => advice(
            "ports",
            format!("the console cannot listen on {address}: {error}; the daemon runs without it"),
            "choose another address in bellwether.toml: [console] listen",
        ),
    }
}

fn certificate(files: &PairFiles, given: bool, now: Timestamp) -> Option<Finding> {
    let pair = match Pair::read(files) {
        Ok(pair) => pair,
        // The daemon creates it when it starts.
        Err(_) if !given => return None,
        Err(error) => {
            let what =
                format!("{} and {} do not match: {error}", files.certificate.display(), files.key.display());
            return Some(problem(TOPIC, what, "correct them; the daemon reads them again automatically"));
        }
    };
    let ends = pair.ends?;
    let shown = files.certificate.display();
    let left = ends.as_second() - now.as_second();
    Some(match left.div_euclid(DAY) {
        _ if !given => ok(TOPIC, format!("its own certificate expires {ends}, and is renewed before")),
        ..0 => problem(TOPIC, format!("{shown} expired {ends}"), "replace it"),
        0..DAYS => advice(TOPIC, format!("{shown} expires {ends}"), "replace it"),
        _ => ok(TOPIC, format!("{shown} expires {ends}")),
    })
}

fn key(files: &PairFiles) -> Option<Finding> {
    let found = fs::metadata(&files.key).ok()?;
    let shown = files.key.display();
    Access::of(&found).is_for_everyone().then(|| {
        problem(TOPIC, format!("all users of this host can read {shown}"), format!("chmod o-rwx {shown}"))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::commands::doctor::finding::Level;

    #[test]
    fn a_key_that_everybody_may_read_is_a_problem_and_one_for_a_group_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        fs::write(&file, "").unwrap();
        let files = PairFiles { certificate: file.clone(), key: file.clone() };
        for (mode, bad) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let level = key(&files).map(|finding| finding.level);
            assert_eq!(level == Some(Level::Problem), bad, "{mode:o}");
        }
    }

    #[test]
    fn a_default_address_that_is_taken_is_advice_and_a_chosen_one_a_problem() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let level = |configured| {
            listener(&ConsoleSpec { listen, configured, pair: None, names: Vec::new(), url: None }, false)
                .level
        };
        assert_eq!((level(false), level(true)), (Level::Advice, Level::Problem));
    }
}
