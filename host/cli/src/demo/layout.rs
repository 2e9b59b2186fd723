//! The files of the example.
//!
//! ```text
//!   ROOT/                      node-1: bellwether.toml, modules/, state/ …, as for any daemon
//!   ROOT/nodes/node-2/         node-2: the same
//!   ROOT/nodes/node-3/         …
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// The first ports that are tried.
const FIRST_HEALTH_PORT: u16 = 9010;
const FIRST_CONSOLE_PORT: u16 = 9013;
const FIRST_FARM_PORT: u16 = 9014;
const FIRST_APP_PORT: u16 = 8080;
/// The load balancer's, with a distance of one: further ones end below the first of an application.
const FIRST_TRAFFIC_PORT: u16 = 8000;
const TRAFFIC_PORTS: u16 = FIRST_APP_PORT - FIRST_TRAFFIC_PORT;
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

/// The folder of the further nodes.
const NODES: &str = "nodes";

/// The name of a node of the example, from 1.
pub(super) fn node_name(number: usize) -> String {
    format!("node-{number}")
}

/// The root of a node: that of the demo for the first one, and a folder below it for each other.
pub(super) fn node_root(root: &Path, number: usize) -> PathBuf {
    if number == 1 { root.to_owned() } else { root.join(NODES).join(node_name(number)) }
}

/// How many nodes are created already: the first, and all that follow it without a gap.
pub(super) fn nodes_laid_out(root: &Path, most: usize) -> usize {
    (1..=most).take_while(|number| is_laid_out(&node_root(root, *number))).count()
}

/// The drain of a node that nobody probes regularly.
const ALONE: &str = "3s";
/// Behind the demo's load balancer, which asks once a second: six answers (see `core/src/drain.rs`) and a margin.
const BEHIND_THE_LOAD_BALANCER: &str = "7s";

/// The addresses of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses {
    health: SocketAddr,
    console: SocketAddr,
    /// For the other nodes of the farm.
    farm: SocketAddr,
    application: SocketAddr,
}

/// Writes the example into `root`: one module `web`, whose application is `program demo-app`. The node has `name`,
/// or else that of the host.
pub(super) fn lay_out(
    root: &Path,
    program: &Path,
    node: NodeFile,
    name: Option<&str>,
    addresses: Addresses,
) -> Result<(), Failure> {
    let drain = if name.is_some() { BEHIND_THE_LOAD_BALANCER } else { ALONE };
    let write = || -> io::Result<()> {
        for folder in ["modules", "checkers", "restart-scripts"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        if node == NodeFile::Example {
            std::fs::write(root.join(NODE), node_file(name, addresses))?;
        }
        std::fs::write(root.join("modules/web.toml"), module_file(program, addresses.application, drain)?)
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

/// Addresses for this many nodes, without ports in use and those of nodes that are `present` and do not run yet.
/// Always with the same distance from their first ones, so that two nodes never differ in one of them only: the health
/// port is open from the beginning, the application's only once it runs.
pub(super) fn free_addresses(nodes: usize, present: &[PathBuf]) -> Result<Vec<Addresses>, Failure> {
    let taken: Vec<SocketAddr> = present.iter().filter_map(|root| application(root, "web")).collect();
    let listen = |first: u16, step: u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, first.checked_add(step * STEP)?));
        TcpListener::bind(address).ok().map(|listener| (address, listener))
    };
    let free = |step| {
        let (health, _held) = listen(FIRST_HEALTH_PORT, step)?;
        let (console, _held) = listen(FIRST_CONSOLE_PORT, step)?;
        let (farm, _held) = listen(FIRST_FARM_PORT, step)?;
        let (application, _held) = listen(FIRST_APP_PORT, step)?;
        (!taken.contains(&application)).then_some(Addresses { health, console, farm, application })
    };
    let found: Vec<Addresses> = (0..TRIES).filter_map(free).take(nodes).collect();
    if found.len() == nodes {
        return Ok(found);
    }
    let what = format!("no ports are free from {FIRST_HEALTH_PORT} and {FIRST_APP_PORT} on");
    Err(Failure::new(Exit::Error, what, "end a program that listens there (`ss -ltnp` lists them)"))
}

/// The listener of the load balancer in front of the nodes.
pub(super) fn listen_for_traffic() -> Result<TcpListener, Failure> {
    let ports = FIRST_TRAFFIC_PORT..FIRST_TRAFFIC_PORT + TRAFFIC_PORTS;
    let listener = ports.clone().find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    listener.ok_or_else(|| {
        let what = format!("no port is free from {} to {}", ports.start, ports.end - 1);
        Failure::new(Exit::Error, what, "end a program that listens there (`ss -ltnp` lists them)")
    })
}

fn node_file(name: Option<&str>, Addresses { health, console, farm, .. }: Addresses) -> String {
    let (name, farm) = match name {
        Some(name) => (
            format!("name = \"{name}\"\n\n"),
            format!("\n[farm]\nlisten = \"{farm}\"     # for the other nodes, always with TLS\n"),
        ),
        None => Default::default(),
    };
    format!(
        r#"# This node. Every key has a default; this file may be empty.

{name}[health]
listen = "{health}"     # for load balancers: http://{health}/health/web

[console]
listen = "{console}"     # for browsers: bellwether console
{farm}"#
    )
}

fn module_file(program: &Path, app: SocketAddr, drain: &str) -> io::Result<String> {
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
drain = "{drain}"                                    # fail the health check for this long before stopping

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

    fn lay_out_one(root: &Path, program: &Path, name: Option<&str>) -> Addresses {
        let addresses = free_addresses(1, &[]).unwrap()[0];
        lay_out(root, program, NodeFile::find(root), name, addresses).unwrap();
        addresses
    }

    #[test]
    fn the_files_are_laid_out_with_ports_that_are_free() {
        let root = tempfile::tempdir().unwrap();
        let taken = free_addresses(1, &[]).unwrap()[0].health;
        // It does not matter if it is in use by now.
        let _held = TcpListener::bind(taken);
        assert!(!is_laid_out(root.path()));
        lay_out_one(root.path(), Path::new("/opt/a \"b\"/bellwether"), None);
        assert!(is_laid_out(root.path()));
        let node = std::fs::read_to_string(root.path().join("bellwether.toml")).unwrap();
        assert!(!node.contains(&format!("{taken}\"")) && !node.contains("name ="), "{node}");
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
        for name in [None, Some("node-2")] {
            let root = tempfile::tempdir().unwrap();
            lay_out_one(root.path(), &std::env::current_exe().unwrap(), name);
            let report = bellwether_config::read_root(root.path());
            assert!(report.node.is_ok(), "{:?}", report.node);
            let node = report.node.unwrap().spec.name.to_string();
            assert!(name.is_none_or(|name| name == node), "{node}");
            let [(file, module)] = report.modules.as_slice() else { panic!("{:?}", report.modules) };
            assert_eq!(file, "web.toml");
            assert!(module.is_ok(), "{module:?}");
        }
    }

    #[test]
    fn a_node_file_that_is_there_is_kept() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("bellwether.toml"), "# mine\n").unwrap();
        lay_out_one(root.path(), Path::new("/bin/bellwether"), Some("node-1"));
        assert_eq!(std::fs::read_to_string(root.path().join("bellwether.toml")).unwrap(), "# mine\n");
    }

    #[test]
    fn nodes_have_no_address_in_common_and_are_found_again() {
        let root = tempfile::tempdir().unwrap();
        let addresses = free_addresses(3, &[]).unwrap();
        let all = addresses.iter().flat_map(|one| [one.health, one.console, one.farm, one.application]);
        assert_eq!(all.collect::<std::collections::BTreeSet<_>>().len(), 12);
        assert_eq!(nodes_laid_out(root.path(), 9), 0);
        for (number, addresses) in (1..).zip(addresses) {
            let place = node_root(root.path(), number);
            lay_out(&place, Path::new("/bin/b"), NodeFile::Example, Some(&node_name(number)), addresses)
                .unwrap();
            assert_eq!(nodes_laid_out(root.path(), 9), number);
        }
        assert_eq!(nodes_laid_out(root.path(), 2), 2);
        assert!(root.path().join("nodes/node-3/modules/web.toml").is_file());
    }
}
