//! Where the daemon listens for clients of the network, and what it does where it cannot.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use bellwether_bus::recorder::Recorder;
use bellwether_core::record::RecordKind;
use bellwether_os::socket::LocalListener;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::base::Base;
use super::tasks::Tasks;
use super::{Ready, RunError};
use crate::watchdog;
use bellwether_config::certificates::Certificates;
use bellwether_config::spec::NodeSpec;
use bellwether_health::{BindError, HealthServer, HealthView};
use bellwether_os::handover::holder::HELD_FOR;
use bellwether_os::handover::{Held, Inherited, Socket};
use bellwether_os::socket;
use bellwether_server as serve;
use bellwether_server::site::{NotOpened, Site};

/// How long a port that is in use is tried: a daemon of another root may have ended a moment ago, and its sockets
/// are held for the one after it.
const PORT_FREE_WITHIN: Duration = HELD_FOR.saturating_add(Duration::from_secs(1));
const PORT_LOOK: Duration = Duration::from_millis(20);

/// All that the daemon listens on.
pub(super) struct Listeners {
    /// Load balancers, which are answered by a thread of its own.
    pub(super) health: HealthServer,
    /// Keeps the sockets of the health endpoint for the next daemon.
    pub(super) held: Option<Held>,
    /// Prometheus.
    pub(super) metrics: Option<TcpListener>,
    /// Browsers, and programs on other hosts.
    pub(super) console: Option<Site>,
    /// Clients on this node.
    pub(super) local: Option<LocalListener>,
}

impl Listeners {
    /// Load balancers come first: they are heard from here on, and answered once there is something to say.
    pub(super) async fn open(
        base: &Base,
        local: Option<(LocalListener, PathBuf)>,
        holder: Option<&'static str>,
    ) -> Result<Self, RunError> {
        let Base { root, node, problems, .. } = base;
        let (health, held) = open_health(root, node, &base.health_view(), holder).await?;
        let metrics = bind_metrics(node).await?;
        let (console, no_console) = open_site(root, node).await?;
        let (local, path) = local.unzip();
        problems.set("console's listener", no_console.as_slice());
        problems.set("disk", read_only(root, path.as_deref()).as_slice());
        Ok(Self { health, held, metrics, console, local })
    }

    /// Where the daemon listens.
    pub(super) fn ready(&self, base: &Base) -> Ready {
        let mut health = self.health.local_addrs().iter().copied();
        let modules = base.node.agent_checks.iter().map(|check| check.agent.module.clone());
        Ready {
            health: health.next().unwrap_or(base.node.health),
            agents: health.zip(modules).collect(),
            metrics: self.metrics.as_ref().and_then(|listener| listener.local_addr().ok()),
            console: self.console.as_ref().and_then(|console| console.console_address().status()),
            socket: socket::path(&base.root),
        }
    }

    pub(super) fn watch_health(&self, tasks: &mut Tasks) {
        tasks.watch(watchdog::HEALTH, self.health.heart());
        tasks.watch(watchdog::HEALTH_HTTP2, self.health.multiplexed_heart());
    }

    /// Starts what renews the certificate of the health endpoint.
    pub(super) fn start_renewal(&self, base: &Base, tasks: &mut Tasks) {
        if let Some(certificates) = self.health.certificates() {
            let (recorder, problems) = (Recorder::new(base.events.clone()), base.problems.clone());
            let say = move |message| recorder.record_later(None, RecordKind::Daemon { message });
            tasks.spawn(certificates.look_after(problems, say));
        }
    }
}

/// Listens. A daemon that was killed an instant ago may hold a port for another: its sockets are closed
/// one after the other.
async fn patiently<T, E, Bind: Future<Output = Result<T, E>>>(
    within: Duration,
    bind: impl Fn() -> Bind,
    is_in_use: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let until = Instant::now() + within;
    loop {
        match bind().await {
            Err(error) if is_in_use(&error) && Instant::now() < until => tokio::time::sleep(PORT_LOOK).await,
            bound => return bound,
        }
    }
}

/// Listens for load balancers, on the sockets of the last daemon where they are held.
async fn bind_health(
    node: &NodeSpec,
    view: &HealthView,
    inherited: &Inherited,
) -> Result<(HealthServer, Vec<Socket>), BindError> {
    let certificates = match node.health_pair.clone() {
        Some(files) => {
            let opened = tokio::task::spawn_blocking(|| Certificates::for_health(files)).await;
            Some(opened.unwrap_or_else(|error| Err(error.into())).map_err(BindError::NoCertificate)?)
        }
        None => None,
    };
    let (agents, certificates) = (&node.agent_checks, &certificates);
    let bind = || async {
        HealthServer::take_over(node.health, agents, view.clone(), certificates.clone(), inherited)
    };
    patiently(PORT_FREE_WITHIN, bind, |error| matches!(error, BindError::InUse { .. })).await
}

/// Listens for Prometheus, if that is asked for.
async fn bind_metrics(node: &NodeSpec) -> Result<Option<TcpListener>, RunError> {
    let Some(addr) = node.metrics else { return Ok(None) };
    let bind = || async move { serve::metrics::bind(addr) };
    let bound = patiently(PORT_FREE_WITHIN, bind, |error| error.kind() == io::ErrorKind::AddrInUse).await;
    bound.map(Some).map_err(|error| no_metrics(addr, error))
}

/// Opens the health endpoint, and sees to it that its sockets outlive this daemon: by `holder`, if there is to be
/// one.
async fn open_health(
    root: &Path,
    node: &NodeSpec,
    view: &HealthView,
    holder: Option<&'static str>,
) -> Result<(HealthServer, Option<Held>), BindError> {
    let mut inherited = Inherited::take(root);
    let mut addresses = vec![node.health];
    addresses.extend(node.agent_checks.iter().map(|check| check.listen));
    inherited.only_for(&addresses);
    let (health, sockets) = bind_health(node, view, &inherited).await?;
    let held = holder.and_then(|holder| {
        let held = Held::begin(root, sockets, holder);
        held.inspect_err(|error| {
            tracing::warn!(%error, "the sockets are not held for the next daemon: probes are refused between the two");
        })
        .ok()
    });
    inherited.dismiss_holder();
    Ok((health, held))
}

/// All addresses that are listened on, and for what.
pub(super) fn addresses(node: &NodeSpec) -> Vec<(String, SocketAddr)> {
    let mut listeners = vec![("the health endpoint".to_owned(), node.health)];
    listeners.extend(node.agent_checks.iter().map(|check| ("agent-check".to_owned(), check.listen)));
    listeners.extend(node.metrics.map(|address| ("the metrics".to_owned(), address)));
    listeners.extend(node.console.iter().map(|console| ("the console".to_owned(), console.listen)));
    listeners.push(("the farm".to_owned(), node.farm.listen));
    listeners
}

/// What to say if the socket for commands could not be in the root.
fn read_only(root: &Path, place: Option<&Path>) -> Option<String> {
    let commands = match place {
        Some(place) if place == socket::path(root) => return None,
        Some(place) => format!("commands are accepted at {}", place.display()),
        None => "no commands are accepted (there is no folder in /run for them)".to_owned(),
    };
    Some(format!(
        "{} is on a disk that is read-only: nothing that happens from now on is remembered, and {commands}; mend the \
         disk, mount it writable, and start the daemon again",
        root.display()
    ))
}

/// The console's listener, or why there is none. An address that was not chosen is no reason not to run.
async fn open_site(root: &Path, node: &NodeSpec) -> Result<(Option<Site>, Option<String>), RunError> {
    let Some(spec) = &node.console else { return Ok((None, None)) };
    let open = || Site::open(root, node, spec);
    let error = match patiently(PORT_FREE_WITHIN, open, |error| matches!(error, NotOpened::InUse(_))).await {
        Ok(site) => return Ok((Some(site), None)),
        Err(error) => error,
    };
    match error {
        NotOpened::InUse(addr) if spec.configured => Err(RunError::PortInUse { addr }),
        NotOpened::NotBound(..) if spec.configured => {
            Err(RunError::Other(anyhow!(error).context("the console cannot be served")))
        }
        error => {
            tracing::warn!(%error, "there is no console");
            let next = "write another `listen` into [console] of bellwether.toml";
            let next = if matches!(error, NotOpened::NoCertificate(_)) {
                "restart the daemon once that is fixed"
            } else {
                next
            };
            Ok((None, Some(format!("console: it is not served: {error}; {next}"))))
        }
    }
}

fn no_metrics(addr: SocketAddr, error: io::Error) -> RunError {
    if error.kind() == io::ErrorKind::AddrInUse {
        return RunError::PortInUse { addr };
    }
    RunError::Other(anyhow!(error).context(format!("metrics cannot be served on {addr}")))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_port_that_is_still_held_is_tried_again_for_some_time() {
        let in_use = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        let tries = Cell::new(0);
        let bind = |held: u32, why: io::ErrorKind| {
            tries.set(tries.get() + 1);
            let so_far = tries.get();
            async move { if so_far > held { Ok(so_far) } else { Err(io::Error::from(why)) } }
        };
        let held = io::ErrorKind::AddrInUse;
        assert_eq!(patiently(LONG, || bind(2, held), in_use).await.unwrap(), 3);
        tries.set(0);
        let error = patiently(Duration::ZERO, || bind(2, held), in_use).await.unwrap_err();
        assert_eq!((error.kind(), tries.get()), (held, 1));
        // What is wrong otherwise does not become right by itself.
        tries.set(0);
        let error = patiently(LONG, || bind(2, io::ErrorKind::PermissionDenied), in_use).await.unwrap_err();
        assert_eq!((error.kind(), tries.get()), (io::ErrorKind::PermissionDenied, 1));
    }

    #[test]
    fn a_disk_that_is_read_only_is_told_with_where_commands_are_taken() {
        let root = Path::new("/srv/b");
        assert_eq!(read_only(root, Some(&socket::path(root))), None);
        let elsewhere = read_only(root, Some(Path::new("/run/bellwether/x.sock"))).unwrap();
        assert!(elsewhere.contains("commands are accepted at /run/bellwether/x.sock"), "{elsewhere}");
        let nowhere = read_only(root, None).unwrap();
        assert!(nowhere.contains("no commands are accepted"), "{nowhere}");
    }
}
