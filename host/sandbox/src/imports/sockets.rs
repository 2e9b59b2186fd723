//! Creates and counts sockets: each is a file descriptor of the daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{IoError, Network, SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use crate::failure::{Ended, Limit};
use crate::store::Run;
use bellwether_os::exhaustion::Exhaustion;

/// The number of sockets that a run, or the host for it, may still create.
#[derive(Clone)]
pub(crate) struct SocketLimit {
    limit: u32,
    made: Arc<AtomicU32>,
}

impl SocketLimit {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, made: Arc::default() }
    }

    /// Counts one more, if one is left.
    pub(super) fn take(&self) -> Result<(), Limit> {
        if self.made.fetch_add(1, Ordering::Relaxed) >= self.limit {
            return Err(Limit::Sockets(self.limit));
        }
        Ok(())
    }

    /// The same for a call of the guest: an error ends the run.
    fn take_or_end(&self) -> Result<(), SocketError> {
        self.take().map_err(|limit| SocketError::trap(Ended(limit.into())))
    }
}

/// Replaces WASI's own implementation.
pub(super) fn add_to_linker(linker: &mut Linker<Run>) -> wasmtime::Result<()> {
    tcp_create_socket::add_to_linker::<Run, HasSockets>(linker, counted)?;
    udp_create_socket::add_to_linker::<Run, HasSockets>(linker, counted)
}

fn counted(run: &mut Run) -> Counted<'_> {
    Counted {
        limit: &run.sockets,
        wasi: WasiSocketsCtxView { ctx: run.wasi.sockets(), table: &mut run.table },
    }
}

struct HasSockets;

impl HasData for HasSockets {
    type Data<'a> = Counted<'a>;
}

struct Counted<'a> {
    limit: &'a SocketLimit,
    wasi: WasiSocketsCtxView<'a>,
}

/// The guest cannot report that the daemon has no descriptor left, and the resource that it checks is not at fault:
/// the run ends.
fn told(error: SocketError) -> SocketError {
    let unclear = matches!(error.downcast_ref(), Some(ErrorCode::NewSocketLimit | ErrorCode::Unknown));
    // wasmtime-wasi has no word for it, so it is asked for once more.
    let lacking = Exhaustion::of_files().filter(|_| unclear);
    lacking.map_or(error, |shortage| SocketError::trap(Ended(shortage.into())))
}

impl tcp_create_socket::Host for Counted<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.limit.take_or_end()?;
        self.wasi.create_tcp_socket(family).map_err(told)
    }
}

impl udp_create_socket::Host for Counted<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.limit.take_or_end()?;
        self.wasi.create_udp_socket(family).await.map_err(told)
    }
}

impl network::Host for Counted<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn network_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.network_error_code(error)
    }
}

impl network::HostNetwork for Counted<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.wasi, network)
    }
}
