//! The files of the example.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context as _;

use crate::exit::{Exit, Failure};

/// The first ports that are tried.
const FIRST_HEALTH_PORT: u16 = 9010;
const FIRST_CONSOLE_PORT: u16 = 9013;
const FIRST_APP_PORT: u16 = 8080;
/// The number of further attempts, and the distance between them.
const TRIES: u16 = 100;
const STEP: u16 = 10;
const NODE: &str = "bellwether.toml";

/// Whether the example has been created already.
pub(super) fn is_laid_out(root: &Path) -> bool {
    root.join("modules").is_dir()
}

/// The origin of the node's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeFile {
    /// Created with the example, or about to be.
    Example,
    /// It existed before, and is kept.
    Operator,
}

impl NodeFile {
    /// The state before the example is created.
    pub(super) fn find(root: &Path) -> Self {
        if root.join(NODE).exists() { Self::Operator } else { Self::Example }
    }
}

/// Writes the example into `root`: one module `web`, whose application is `program demo-app`. Ports in use are
/// skipped.
pub(super) fn lay_out(root: &Path, program: &Path, node: NodeFile) -> Result<(), Failure> {
    let [health, console, app] = free_ports()?;
    let write = || -> io::Result<()> {
        for folder in ["modules", "checkers", "restart-scripts"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        if node == NodeFile::Example {
            std::fs::write(root.join(NODE), node_file(health, console))?;
        }
        std::fs::write(root.join("modules/web.toml"), module_file(program, app)?)
    };
    write().map_err(|error| {
        let what = format!("{} cannot be written: {error}", root.display());
        Failure::new(Exit::RootNotWritable, what, "name a folder that you may write to with --root DIR")
    })
}

/// The address of the example's application, if the module is still the example.
pub(super) fn application(root: &Path, module: &str) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(root.join("modules").join(format!("{module}.toml"))).ok()?;
    let (_, rest) = text.split_once(r#""demo-app", "--listen", ""#)?;
    rest.split_once('"')?.0.parse().ok()
}

/// Always with the same distance from their first ones, so that two demos never differ in one of them only: the
/// health port is open from the beginning, the application's only once it runs.
fn free_ports() -> Result<[SocketAddr; 3], Failure> {
    let listen = |first: u16, step: u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, first.checked_add(step * STEP)?));
        TcpListener::bind(address).ok().map(|listener| (address, listener))
    };
    let found = (0..TRIES).find_map(|step| {
        let (health, _held) = listen(FIRST_HEALTH_PORT, step)?;
        let (console, _held) = listen(FIRST_CONSOLE_PORT, step)?;
        let (app, _held) = listen(FIRST_APP_PORT, step)?;
        Some([health, console, app])
    });
    let found =
        found.with_context(|| format!("no ports are free from {FIRST_HEALTH_PORT} and {FIRST_APP_PORT} on"));
    found.map_err(|error| {
        Failure::from(error).next("end a program that listens there (`ss -ltnp` lists them)")
    })
}

fn node_file(health: SocketAddr, console: SocketAddr) -> String {
    format!(
        r#"# This node. Every key has a default; this file may be empty.

[health]
listen = "{health}"     # for load balancers: http://{health}/health/web

[console]
listen = "{console}"     # for browsers: bellwether console
"#
    )
}

fn module_file(program: &Path, app: SocketAddr) -> io::Result<String> {
    // A JSON string is also a TOML basic string.
    let text = program.to_str().ok_or_else(|| io::Error::other("this program's path is not UTF-8"))?;
    let program = serde_json::to_string(text)?;
    Ok(format!(
        r#"# The module `web`: an application, how to restart it, and how to check its health.

[restart]
script = "command"                              # stop and start by the commands below
budget = {{ restarts = 20, within = "1h" }}       # generous, for experiments
backoff = {{ first = "200ms", max = "5s" }}

[commands]
# keep: the long-running application itself
start = {{ run = [{program}, "demo-app", "--listen", "{app}"], keep = true, timeout = "3s" }}

[health]
drain = "3s"                                    # fail the health check for this long before stopping

[[checker]]
name = "process"
process = {{ kept = "start", at-least = 1 }}      # detects a crash immediately
on-down = "restart"

[[checker]]
name = "home-page"
component = "http"
interval = "1s"
timeout = "800ms"
fall = 2                                        # two fails in a row take it down
rise = 2                                        # two passes in a row bring it up
grace = "2s"                                    # fails within this time after a start do not count
on-down = "restart"
config = {{ url = "http://{app}/", expect-status = 200 }}
grant = {{ connect = ["{app}"] }}
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_laid_out_with_ports_that_are_free() {
        let root = tempfile::tempdir().unwrap();
        let [taken, ..] = free_ports().unwrap();
        // It does not matter if it is in use by now.
        let _held = TcpListener::bind(taken);
        assert!(!is_laid_out(root.path()));
        lay_out(root.path(), Path::new("/opt/a \"b\"/bellwether"), NodeFile::Example).unwrap();
        assert!(is_laid_out(root.path()));
        let node = std::fs::read_to_string(root.path().join("bellwether.toml")).unwrap();
        assert!(!node.contains(&format!("{taken}\"")), "{node}");
        let module = std::fs::read_to_string(root.path().join("modules/web.toml")).unwrap();
        let app = application(root.path(), "web").unwrap();
        assert!(module.contains(&format!("http://{app}/")), "{module}");
        assert!(
            module.contains(r#"run = ["/opt/a \"b\"/bellwether", "demo-app", "--listen", "127.0.0.1:"#),
            "{module}"
        );
    }

    #[test]
    fn the_files_have_no_mistakes() {
        let root = tempfile::tempdir().unwrap();
        lay_out(root.path(), &std::env::current_exe().unwrap(), NodeFile::find(root.path())).unwrap();
        let report = bellwether_config::read_root(root.path());
        assert!(report.node.is_ok(), "{:?}", report.node);
        let [(file, module)] = report.modules.as_slice() else { panic!("{:?}", report.modules) };
        assert_eq!(file, "web.toml");
        assert!(module.is_ok(), "{module:?}");
    }

    #[test]
    fn a_node_file_that_is_there_is_kept() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("bellwether.toml"), "# mine\n").unwrap();
        lay_out(root.path(), Path::new("/bin/bellwether"), NodeFile::find(root.path())).unwrap();
        assert_eq!(std::fs::read_to_string(root.path().join("bellwether.toml")).unwrap(), "# mine\n");
    }
}
