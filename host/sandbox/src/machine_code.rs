//! Loads machine code as a component.
#![allow(unsafe_code, reason = "machine code is run as it is: only its origin can vouch for it")]

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// `code` must come from [`Engine::precompile_component`] of this very program: in this process, out of a child's
/// pipe, or out of the cache, whose MAC authenticates it.
pub(super) fn component(engine: &Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: the only caller passes what this process has compiled itself; or what a
    // child of this program, run from /proc/self/exe, has written into a pipe that no
    // other process holds; or what a daemon of this user has kept of these two, read
    // into memory before its MAC was found right, with a key that only this user can
    // read. wasmtime itself refuses code of another version or for other settings.
    unsafe { Component::deserialize(engine, code) }
}
