//! Show: whatever answers others reads a published snapshot.

pub mod address;
pub mod api;
pub mod certificates;
pub mod console;
mod conversation;
mod guard;
pub mod health;
mod in_time;
pub mod metrics;
pub mod site;
pub mod wire;
