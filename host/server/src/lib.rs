//! Shows the state of the node: everything here reads a published snapshot.

pub mod access;
pub mod api;
pub mod console;
mod conversation;
mod guard;
mod in_time;
pub mod metrics;
pub mod site;
