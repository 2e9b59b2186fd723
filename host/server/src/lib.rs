//! Show: whatever answers people reads a published snapshot.

pub mod access;
pub mod api;
pub mod console;
mod guard;
mod http_server;
mod in_time;
pub mod metrics;
pub mod site;
