//! `bellwether:guest/connections`: TLS and Unix sockets, and whether a TCP connection was accepted.
//!
//! ```text
//!   open("tls:HOST:PORT") ──▶ judged by `connect` grants ──▶ HttpClient::open ──▶ a handle of the run
//!   open("unix:PATH")     ──▶ judged by its path ──────────▶ connect ──────────▶ a handle of the run
//!   accepted(…)           ──▶ judged like a connection ────▶ process/acceptance.rs, until it is or in time
//! ```

mod failed;
mod target;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::grant::{Grant, Grants, Protocol, Refusal, normal_name};
use bellwether_http_client::{HttpClient, Opened, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout_at};
use wasmtime::component::Resource;

use self::failed::NotOpened;
use self::target::{BadOption, Target, tls_options};
use super::{error, refused};
use crate::bindings::connections::{Acceptance as Told, Host, HostConnection};
use crate::bindings::errors::Error;
use crate::failure::Ended;
use crate::output::Output;
use crate::store::Run;
use bellwether_os::names::Share;
use bellwether_os::process::acceptance::{self, Acceptance};
use bellwether_os::process::port_holder;
use bellwether_os::socket;

/// One connection of a run.
#[allow(unreachable_pub, reason = "generated code exports it again")]
pub struct Link {
    stream: Box<dyn Stream>,
    about: Vec<(String, String)>,
}

/// The maximum number of bytes in one read.
const MOST_READ: u32 = 64 << 10;
/// The retry interval for a Unix socket whose queue is full: the kernel does not report when it has room.
const TRY_AGAIN: Duration = Duration::from_millis(20);
/// The kernel does not report when a connection is accepted: it is checked after this time, then after twice as
/// long, and so on.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(50);
/// The handshake of a connection on this machine completes within this time, or not at all.
const FINISHES_WITHIN: Duration = Duration::from_millis(200);
/// This part of the waiting time is reserved for finding the process that should have accepted the connection.
const NAMING: u32 = 4;

impl Run {
    fn until(&self, timeout_ms: u32) -> Instant {
        Instant::now() + self.time_left().min(Duration::from_millis(timeout_ms.into()))
    }
}

/// Checks and opens the connections of a run.
struct Connector {
    grants: Arc<Grants>,
    output: Output,
    client: Arc<HttpClient>,
    names: Share,
}

impl Connector {
    async fn connect(
        &self,
        target: &Target,
        options: &[(String, String)],
        by: Instant,
    ) -> Result<Opened, NotOpened> {
        match target {
            Target::Unix(path) => {
                let grant = self.grants.may_connect_unix(path).map_err(NotOpened::Refused)?;
                self.output.has_used(Grant::Unix(grant));
                // As it was granted, which may be spelled differently from the request.
                unix(grant.path(), by).await
            }
            Target::Tcp { host, port } | Target::Tls { host, port } => {
                let is_tls = matches!(target, Target::Tls { .. });
                let bad = |why: BadOption| NotOpened::Failed("bad-option", why.to_string());
                let tls = is_tls.then(|| tls_options(options)).transpose().map_err(bad)?;
                if target.is_name() {
                    self.grants.may_look_up(host).map_err(NotOpened::Refused)?;
                }
                let judge = |address| self.may_connect(address, host);
                Ok(self.client.open((host.as_str(), *port), judge, tls.as_ref(), &self.names, by).await?)
            }
        }
    }

    /// Whether `address` may be connected to: because it is granted itself, or because the granted name resolved to
    /// it.
    fn may_connect(&self, address: SocketAddr, name: &str) -> Result<(), Refusal> {
        let asked = normal_name(name);
        let granted = self.grants.may_connect(Protocol::Tcp, address, |granted, _| granted == asked)?;
        self.output.has_used(granted);
        Ok(())
    }
}

impl Host for Run {
    async fn open(
        &mut self,
        target: String,
        options: Vec<(String, String)>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Resource<Link>, Error>> {
        let by = self.until(timeout_ms);
        let target = match Target::parse(&target) {
            Ok(target) => target,
            Err(why) => return Ok(Err(error("bad-target", &why.to_string()))),
        };
        self.sockets.take().map_err(|limit| Ended(limit.into()))?;
        let (grants, output) = (Arc::clone(&self.grants), self.output.clone());
        let (client, names) = (self.http.client(), self.share.names.clone());
        let connector = Connector { grants, output, client, names };
        match connector.connect(&target, &options, by).await {
            Ok(Opened { stream, certificate_ends_ms }) => {
                let ends =
                    certificate_ends_ms.map(|ends| ("certificate-ends-ms".to_owned(), ends.to_string()));
                let link = Link { stream, about: ends.into_iter().collect() };
                Ok(Ok(self.table.push(link)?))
            }
            Err(NotOpened::Refused(refusal)) => Ok(Err(refused(self, refusal))),
            Err(NotOpened::Failed(code, why)) => Ok(Err(error(code, &why))),
        }
    }

    async fn accepted(
        &mut self,
        local: String,
        peer: String,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Told, Error>> {
        let (Ok(local), Ok(peer)) = (local.parse::<SocketAddr>(), peer.parse::<SocketAddr>()) else {
            return Ok(Err(error("bad-target", "the ends of a connection are two HOST:PORT")));
        };
        let until = self.until(timeout_ms);
        if let Err(refusal) = self.network.may_connect_to(peer) {
            return Ok(Err(refused(self, refusal)));
        }
        let naming = until.saturating_duration_since(Instant::now()) / NAMING;
        Ok(match wait_for_acceptance(peer, local, until - naming).await {
            Ok(Acceptance::Accepted) => Ok(Told { accepted: true, attributes: Vec::new() }),
            Ok(Acceptance::Queued) => {
                let look = tokio::task::spawn_blocking(move || port_holder::of_address(peer));
                let holders = timeout_at(until, look).await;
                let holders = holders.ok().and_then(Result::ok).unwrap_or_default();
                let held_by = (!holders.is_empty()).then(|| ("held-by".to_owned(), holders.join(", ")));
                Ok(Told { accepted: false, attributes: held_by.into_iter().collect() })
            }
            // A connection whose handshake stays incomplete waits for data, as the service requested.
            Ok(Acceptance::Elsewhere | Acceptance::Unfinished) => {
                Err(error("elsewhere", "this machine does not see whether the service accepts it"))
            }
            Err(why) => {
                Err(error("unavailable", &format!("the kernel does not say whether it is accepted: {why}")))
            }
        })
    }
}

/// The final state of the connection.
async fn wait_for_acceptance(
    service: SocketAddr,
    client: SocketAddr,
    by: Instant,
) -> std::io::Result<Acceptance> {
    let (mut pause, begun) = (FIRST_LOOK, Instant::now());
    loop {
        let seen = acceptance::look(service, client)?;
        let left = by.saturating_duration_since(Instant::now());
        let waits = match seen {
            Acceptance::Queued => true,
            Acceptance::Unfinished => begun.elapsed() < FINISHES_WITHIN,
            Acceptance::Accepted | Acceptance::Elsewhere => false,
        };
        if !waits || left.is_zero() {
            return Ok(seen);
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
}

async fn unix(path: &Path, by: Instant) -> Result<Opened, NotOpened> {
    let shown = path.display();
    let failed = |code, why: String| NotOpened::Failed(code, why);
    let connecting = async {
        loop {
            match socket::connect_to(path).await {
                // The queue of the service is full: it accepts no connections at present.
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(TRY_AGAIN).await,
                done => return done,
            }
        }
    };
    let late = |_| failed("timeout", format!("unix:{shown} takes no connection in time"));
    match timeout_at(by, connecting).await.map_err(late)? {
        Ok(stream) => Ok(Opened { stream: Box::new(stream), certificate_ends_ms: None }),
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::NotFound => "refused",
                _ => "unavailable",
            };
            Err(failed(code, format!("cannot connect to unix:{shown}: {error}")))
        }
    }
}

impl HostConnection for Run {
    async fn write(
        &mut self,
        link: Resource<Link>,
        bytes: Vec<u8>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<(), Error>> {
        let by = self.until(timeout_ms);
        let stream = &mut self.table.get_mut(&link)?.stream;
        let writing = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        Ok(told(timeout_at(by, writing).await))
    }

    async fn read(
        &mut self,
        link: Resource<Link>,
        most: u32,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let by = self.until(timeout_ms);
        let stream = &mut self.table.get_mut(&link)?.stream;
        let mut bytes = vec![0; most.min(MOST_READ) as usize];
        let read = timeout_at(by, stream.read(&mut bytes)).await;
        // TLS that ends without a closing message (RFC 8446, 6.1) has ended: the protocol on top of it knows
        // whether that was too early.
        let read = read.map(|read| match read {
            Err(why) if why.kind() == ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        });
        let read = told(read);
        Ok(read.map(|length| {
            bytes.truncate(length);
            bytes
        }))
    }

    async fn about(&mut self, link: Resource<Link>) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.table.get(&link)?.about.clone())
    }

    async fn drop(&mut self, link: Resource<Link>) -> wasmtime::Result<()> {
        self.table.delete(link)?;
        Ok(())
    }
}

fn told<T, E>(done: Result<std::io::Result<T>, E>) -> Result<T, Error> {
    match done {
        Err(_) => Err(error("timeout", "the other side did not continue in time")),
        Ok(Ok(done)) => Ok(done),
        Ok(Err(why)) => {
            let code = match why.kind() {
                ErrorKind::InvalidData => "no-answer",
                _ => "broken-off",
            };
            Err(error(code, &why.to_string()))
        }
    }
}
