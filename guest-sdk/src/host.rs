//! The host's interfaces for every component, a log and a small store, and those that need a grant.
//!
//! In a component they are the host's own; in a native test they are kept in memory, under the same limits, for
//! inspection by the test.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(not(target_arch = "wasm32"))]
mod memory;
#[cfg(target_arch = "wasm32")]
mod requests;

#[cfg(target_arch = "wasm32")]
pub(crate) use component::Host;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use memory::Host;

/// The level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the component's author.
    Debug,
    /// For information about normal operation.
    Info,
    /// Something that needs attention.
    Warn,
    /// The component cannot do its work.
    Error,
}
