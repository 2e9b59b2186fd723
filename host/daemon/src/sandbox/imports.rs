//! What guests may call.

pub(super) mod connect;
pub(super) mod log;
pub(super) mod sockets;
pub(super) mod state;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::bindings;
use super::store::Run;

/// All of WASI 0.2, denied inside where nothing is granted, so that guests of
/// every language start; and what Bellwether offers every guest.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Run>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // WASI's own can only be allowed for all names or for none.
    linker.allow_shadowing(true);
    connect::add_name_lookup(&mut linker)?;
    sockets::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    bindings::log::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    bindings::state::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    Ok(linker)
}
