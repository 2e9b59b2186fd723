//! Show: whatever answers others reads a published snapshot.

pub mod api;
pub mod console;
pub mod health;
pub mod metrics;
pub mod wire;
