//! Machine code becomes a component.
#![allow(unsafe_code, reason = "machine code is run as it is: only its origin can vouch for it")]

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// `code` must come from [`Engine::precompile_component`] in a process of this
/// very program, and have been in nobody else's hands since.
pub(super) fn component(engine: &Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: the only callers pass what a child of this program, run from
    // /proc/self/exe, has written into a pipe that no other process holds. wasmtime
    // itself refuses code of another version or for other settings.
    unsafe { Component::deserialize(engine, code) }
}
