//! Making sockets, counted: each holds a file descriptor of the daemon.

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{IoError, Network, SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use crate::sandbox::failure::{Ended, Limit};
use crate::sandbox::store::Run;

/// How many sockets a run may still make.
pub(in crate::sandbox) struct SocketLimit {
    limit: u32,
    made: u32,
}

impl SocketLimit {
    pub(in crate::sandbox) fn new(limit: u32) -> Self {
        Self { limit, made: 0 }
    }

    /// Counts one more. An error ends the run.
    fn take(&mut self) -> Result<(), SocketError> {
        if self.made >= self.limit {
            return Err(SocketError::trap(Ended(Limit::Sockets(self.limit).into())));
        }
        self.made += 1;
        Ok(())
    }
}

/// Takes the place of WASI's own.
pub(super) fn add_to_linker(linker: &mut Linker<Run>) -> wasmtime::Result<()> {
    tcp_create_socket::add_to_linker::<Run, HasSockets>(linker, counted)?;
    udp_create_socket::add_to_linker::<Run, HasSockets>(linker, counted)
}

fn counted(run: &mut Run) -> Counted<'_> {
    Counted {
        limit: &mut run.sockets,
        wasi: WasiSocketsCtxView { ctx: run.wasi.sockets(), table: &mut run.table },
    }
}

struct HasSockets;

impl HasData for HasSockets {
    type Data<'a> = Counted<'a>;
}

struct Counted<'a> {
    limit: &'a mut SocketLimit,
    wasi: WasiSocketsCtxView<'a>,
}

impl tcp_create_socket::Host for Counted<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.limit.take()?;
        self.wasi.create_tcp_socket(family)
    }
}

impl udp_create_socket::Host for Counted<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.limit.take()?;
        self.wasi.create_udp_socket(family).await
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
