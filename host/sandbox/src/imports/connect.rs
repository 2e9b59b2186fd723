//! Network access, as far as `connect` grants permit.
//!
//! WASI asks here about every use of an address. Only names in a grant are resolved, and the result is remembered:
//! a connection is allowed or denied by its address, never by the name that the guest claims for it.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use std::vec;

use bellwether_core::grant::{Grant, Grants, Protocol, Refusal, normal_name};
use futures_util::future::{BoxFuture, FutureExt as _};
use url::Host as UrlHost;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    self, Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress};
use wasmtime_wasi::p2::{
    DynPollable, IoError, Network as WasiNetwork, Pollable, SocketError, SocketResult, subscribe,
};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};

use crate::output::Output;
use crate::store::Run;
use bellwether_os::names::{Share, look_up};

/// The network access of one run.
pub(crate) struct Network {
    grants: Arc<Grants>,
    output: Output,
    /// What granted names have resolved to in this run.
    resolved: Mutex<BTreeSet<(String, IpAddr)>>,
}

/// The maximum number of addresses that are remembered in one run.
const MAX_RESOLVED: usize = 256;
const ONLY_OUTWARDS: &str = "components can open connections, but not accept any";

impl Network {
    pub(crate) fn new(grants: Arc<Grants>, output: Output) -> Arc<Self> {
        Arc::new(Self { grants, output, resolved: Mutex::default() })
    }

    /// Answers WASI's question. What is refused is recorded, with the grant that would allow it.
    pub(crate) fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        let answer = match purpose {
            SocketAddrUse::TcpConnect => self.may_connect(Protocol::Tcp, address).map(Some),
            // Every connect asks first for the local address that the system will choose.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind
                if address.ip().is_unspecified() && address.port() == 0 =>
            {
                Ok(None)
            }
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                Err(Refusal::never("bind a socket to an address", ONLY_OUTWARDS))
            }
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => {
                Err(Refusal::never("listen for connections", ONLY_OUTWARDS))
            }
            SocketAddrUse::UdpSend => self.may_connect(Protocol::Udp, address).map(Some),
            // Packets from other senders are ignored; that is not the component's fault.
            SocketAddrUse::UdpReceive => return self.may_connect(Protocol::Udp, address).is_ok(),
        };
        self.told(answer)
    }

    /// Whether the address is allowed. Records the grant that allows it, or the refusal.
    fn told(&self, answer: Result<Option<Grant<'_>>, Refusal>) -> bool {
        match answer {
            Ok(grant) => {
                if let Some(grant) = grant {
                    self.output.has_used(grant);
                }
                true
            }
            Err(refusal) => {
                self.output.refuse(refusal);
                false
            }
        }
    }

    fn may_connect(&self, protocol: Protocol, address: SocketAddr) -> Result<Grant<'_>, Refusal> {
        let resolved = |name: &str, ip: IpAddr| self.resolved().contains(&(name.to_owned(), ip));
        self.grants.may_connect(protocol, address, resolved)
    }

    /// Whether a connection to this address is allowed, given the names that this run has resolved.
    pub(super) fn may_connect_to(&self, address: SocketAddr) -> Result<(), Refusal> {
        self.may_connect(Protocol::Tcp, address).map(drop)
    }

    fn allows_lookup(&self, name: &str) -> bool {
        self.told(self.grants.may_look_up(name))
    }

    fn learn(&self, name: &str, ip: IpAddr) {
        let mut resolved = self.resolved();
        if resolved.len() < MAX_RESOLVED {
            resolved.insert((name.to_owned(), ip.to_canonical()));
        }
    }

    fn resolved(&self) -> std::sync::MutexGuard<'_, BTreeSet<(String, IpAddr)>> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces WASI's own name resolution, which blocks a thread for disk access as long as a name server does not
/// respond.
pub(super) fn add_name_lookup(linker: &mut Linker<Run>) -> wasmtime::Result<()> {
    ip_name_lookup::add_to_linker::<Run, HasNames>(linker, |run| Names {
        network: &run.network,
        share: &run.share.names,
        answer_by: run.answer_by,
        wasi: WasiSocketsCtxView { ctx: run.wasi.sockets(), table: &mut run.table },
    })
}

struct HasNames;

impl HasData for HasNames {
    type Data<'a> = Names<'a>;
}

/// The look-ups of one run, after the check whether the name is granted.
struct Names<'a> {
    network: &'a Network,
    share: &'a Share,
    answer_by: Instant,
    wasi: WasiSocketsCtxView<'a>,
}

/// One look-up of a guest, referenced by WASI's handle.
struct Lookup {
    /// In the notation of grants.
    name: String,
    state: LookupState,
}

enum LookupState {
    UnderWay(BoxFuture<'static, Result<Vec<IpAddr>, ErrorCode>>),
    Answered(Result<vec::IntoIter<IpAddr>, ErrorCode>),
}

impl Lookup {
    fn new(name: &str, share: &Share, by: Instant) -> Self {
        let (asked, share) = (name.to_owned(), share.clone());
        let state = LookupState::UnderWay(async move { addresses(&asked, &share, by).await }.boxed());
        Self { name: normal_name(name), state }
    }

    /// The part of the answer that is available now.
    fn poll(&mut self) -> Option<&mut Result<vec::IntoIter<IpAddr>, ErrorCode>> {
        if let LookupState::UnderWay(answer) = &mut self.state {
            let answer = answer.now_or_never()?;
            self.state = LookupState::Answered(answer.map(Vec::into_iter));
        }
        match &mut self.state {
            LookupState::UnderWay(_) => None,
            LookupState::Answered(answer) => Some(answer),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let LookupState::UnderWay(answer) = &mut self.state {
            let answer = answer.await;
            self.state = LookupState::Answered(answer.map(Vec::into_iter));
        }
    }
}

/// WASI's rules about names: an address is itself, other names are converted to ASCII (UTS 46).
async fn addresses(name: &str, share: &Share, by: Instant) -> Result<Vec<IpAddr>, ErrorCode> {
    let domain = match UrlHost::parse(name) {
        Ok(UrlHost::Domain(domain)) => domain,
        Ok(UrlHost::Ipv4(address)) => return Ok(vec![address.into()]),
        Ok(UrlHost::Ipv6(address)) => return Ok(vec![address.into()]),
        Err(_) => {
            let address = name.parse::<IpAddr>().map_err(|_| ErrorCode::InvalidArgument)?;
            return Ok(vec![address]);
        }
    };
    match look_up(&domain, share, by.into()).await {
        Ok(found) => Ok(found.into_iter().map(|address| address.ip().to_canonical()).collect()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(ErrorCode::TemporaryResolverFailure),
        Err(_) => Err(ErrorCode::NameUnresolvable),
    }
}

/// The guest's handles have the type of WASI's own look-up; the implementation is ours.
fn lookup<'t>(
    table: &'t mut ResourceTable,
    stream: &Resource<ResolveAddressStream>,
) -> wasmtime::Result<&'t mut Lookup> {
    Ok(table.get_mut(&Resource::<Lookup>::new_borrow(stream.rep()))?)
}

impl Host for Names<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<WasiNetwork>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        if !self.network.allows_lookup(&name) {
            return Err(ErrorCode::AccessDenied.into());
        }
        self.wasi.table.get(&network)?;
        let mut asked = Lookup::new(&name, self.share, self.answer_by);
        // A result that is known immediately is returned immediately.
        if let Some(Err(error)) = asked.poll() {
            return Err((*error).into());
        }
        let handle = self.wasi.table.push(asked)?;
        Ok(Resource::new_own(handle.rep()))
    }
}

impl HostResolveAddressStream for Names<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let asked = lookup(self.wasi.table, &stream).map_err(SocketError::trap)?;
        let next = match asked.poll() {
            None => return Err(ErrorCode::WouldBlock.into()),
            Some(Err(error)) => return Err((*error).into()),
            Some(Ok(addresses)) => addresses.next(),
        };
        if let Some(address) = next {
            self.network.learn(&asked.name, address);
        }
        Ok(next.map(wasi_address))
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.wasi.table, Resource::<Lookup>::new_borrow(stream.rep()))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.wasi.table.delete(Resource::<Lookup>::new_own(stream.rep()))?;
        Ok(())
    }
}

impl network::Host for Names<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn network_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.network_error_code(error)
    }
}

impl network::HostNetwork for Names<'_> {
    fn drop(&mut self, network: Resource<WasiNetwork>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.wasi, network)
    }
}

fn wasi_address(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(address) => IpAddress::Ipv4(address.octets().into()),
        IpAddr::V6(address) => IpAddress::Ipv6(address.segments().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_core::grant::GrantKind;

    #[test]
    fn only_connections_are_ever_allowed_and_each_refusal_is_remembered() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Connect, "db.internal:5432").unwrap();
        grants.add(GrantKind::Connect, "udp:10.0.0.53:53").unwrap();
        let output = Output::new(&bellwether_config::spec::RunLimits::default());
        let network = Network::new(Arc::new(grants), output.clone());
        let address: SocketAddr = "10.9.9.9:5432".parse().unwrap();
        assert!(!network.allows(address, SocketAddrUse::TcpConnect));
        network.learn("db.internal", address.ip());
        assert!(network.allows(address, SocketAddrUse::TcpConnect));

        let wildcard: SocketAddr = "0.0.0.0:0".parse().unwrap();
        assert!(network.allows(wildcard, SocketAddrUse::TcpBind));
        assert!(!network.allows("0.0.0.0:80".parse().unwrap(), SocketAddrUse::TcpBind));
        assert!(!network.allows(wildcard, SocketAddrUse::TcpListen));
        assert!(!network.allows(address, SocketAddrUse::UdpSend));
        let name_server = "10.0.0.53:53".parse().unwrap();
        assert!(network.allows(wildcard, SocketAddrUse::UdpBind));
        assert!(network.allows(name_server, SocketAddrUse::UdpSend));
        assert!(network.allows(name_server, SocketAddrUse::UdpReceive));
        assert!(!network.allows("10.0.0.54:53".parse().unwrap(), SocketAddrUse::UdpReceive));
        let used =
            ["db.internal:5432", "udp:10.0.0.53:53"].map(|value| (GrantKind::Connect, value.to_owned()));
        assert_eq!(output.take_used(), used);
        let (_, _, refusals) = output.take();
        let refusals: Vec<_> = refusals.iter().map(ToString::to_string).collect();
        assert_eq!(refusals.len(), 4, "{refusals:?}");
        assert!(refusals[0].starts_with("refused: connect to 10.9.9.9:5432; to allow it add"));
    }
}
