//! Where the daemon listens, and what it does where it cannot.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use tokio::time::Instant;

use super::RunError;
use crate::config::spec::NodeSpec;
use crate::handover::holder::HELD_FOR;
use crate::handover::{Held, Inherited};
use crate::serve::api::socket;
use crate::serve::health::{BindError, HealthServer, HealthView};
use crate::serve::site::{NotOpened, Site};

/// How long a port that is in use is tried: a daemon of another root may have ended a moment ago, and its sockets
/// are held for the one after it.
const PORT_FREE_WITHIN: Duration = HELD_FOR.saturating_add(Duration::from_secs(1));
const PORT_LOOK: Duration = Duration::from_millis(20);

/// Listens for load balancers, on the sockets of the last daemon where they are held. A daemon that was killed an instant ago may hold the port for another:
/// its sockets are closed one after the other.
async fn bind_health(
    node: &NodeSpec,
    view: &HealthView,
    inherited: &Inherited,
) -> Result<HealthServer, BindError> {
    let until = Instant::now() + PORT_FREE_WITHIN;
    loop {
        match HealthServer::take_over(node.health, &node.agent_checks, view.clone(), inherited) {
            Err(BindError::InUse { .. }) if Instant::now() < until => {
                tokio::time::sleep(PORT_LOOK).await;
            }
            bound => return bound,
        }
    }
}

/// Opens the health endpoint, and sees to it that its sockets outlive this daemon: by `holder`, if there is to be
/// one.
pub(super) async fn open_health(
    root: &Path,
    node: &NodeSpec,
    view: &HealthView,
    holder: Option<&'static str>,
) -> Result<(HealthServer, Option<Held>), BindError> {
    let mut inherited = Inherited::take(root);
    let mut addresses = vec![node.health];
    addresses.extend(node.agent_checks.iter().map(|check| check.listen));
    inherited.only_for(&addresses);
    let mut health = bind_health(node, view, &inherited).await?;
    let sockets = health.sockets_for_the_next();
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

/// All addresses that somebody listens on, and who.
pub(super) fn listeners(node: &NodeSpec) -> Vec<(String, SocketAddr)> {
    let mut listeners = vec![("the health endpoint".to_owned(), node.health)];
    listeners.extend(node.agent_checks.iter().map(|check| ("agent-check".to_owned(), check.listen)));
    listeners.extend(node.metrics.map(|address| ("the metrics".to_owned(), address)));
    listeners.extend(node.console.iter().map(|console| ("the console".to_owned(), console.listen)));
    listeners
}

/// What to say if the socket for commands could not be in the root.
pub(super) fn read_only(root: &Path, place: &Path) -> Option<String> {
    (place != socket::path(root)).then(|| {
        format!(
            "{} is on a disk that is read-only: nothing that happens from now on is remembered, and commands are \
             taken at {}; mend the disk, mount it writable, and start the daemon again",
            root.display(),
            place.display()
        )
    })
}

/// The console's listener, or why there is none. An address that nobody chose is no reason not to run.
pub(super) async fn open_site(
    root: &Path,
    node: &NodeSpec,
) -> Result<(Option<Site>, Option<String>), RunError> {
    let Some(spec) = &node.console else { return Ok((None, None)) };
    let error = match Site::open(root, node, spec).await {
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
                "start the daemon again once that is mended"
            } else {
                next
            };
            Ok((None, Some(format!("console: it is not served: {error}; {next}"))))
        }
    }
}

pub(super) fn no_metrics(addr: SocketAddr, error: io::Error) -> RunError {
    if error.kind() == io::ErrorKind::AddrInUse {
        return RunError::PortInUse { addr };
    }
    RunError::Other(anyhow!(error).context(format!("metrics cannot be served on {addr}")))
}
