//! The functions that guests can call.

mod commands;
pub(super) mod connect;
pub(super) mod connections;
pub(super) mod env;
pub(super) mod http;
pub(super) mod log;
mod ping;
mod processes;
pub(super) mod read;
mod secrets;
pub(super) mod sockets;
pub(super) mod state;

use bellwether_core::grant::Refusal;
use bellwether_core::text::one_line;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::bindings;
use super::bindings::errors::Error;
use super::store::Run;

/// All of WASI 0.2 and all of Bellwether's own interfaces. What is not granted is denied at the call, so that
/// guests of every language start and learn what is missing.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Run>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // WASI's own implementation cannot allow single names, and does not report what it refused.
    linker.allow_shadowing(true);
    connect::add_name_lookup(&mut linker)?;
    sockets::add_to_linker(&mut linker)?;
    read::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    bindings::log::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    bindings::state::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    bindings::secrets::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    bindings::commands::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    bindings::processes::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    bindings::ping::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    bindings::connections::add_to_linker::<Run, HasSelf<Run>>(&mut linker, |run| run)?;
    Ok(linker)
}

/// The maximum length of a message to a guest, in bytes.
const MAX_REASON: usize = 500;

/// The reason why the host rejected a call, as the guest receives it.
fn error(code: &str, message: &str) -> Error {
    Error { code: code.to_owned(), message: one_line(message, MAX_REASON), attributes: Vec::new() }
}

/// The same for what is not granted; the run reports it, too.
fn refused(run: &Run, refusal: Refusal) -> Error {
    let told = error("not-granted", &refusal.to_string());
    run.output.refuse(refusal);
    told
}
