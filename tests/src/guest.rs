//! The guests that tests drop into a root.

/// A checker that does what its configuration tells it.
pub const HOSTILE: &[u8] = include_bytes!(env!("GUEST_HOSTILE"));
/// The standard checker `tcp`.
pub const TCP: &[u8] = include_bytes!(env!("GUEST_TCP"));
