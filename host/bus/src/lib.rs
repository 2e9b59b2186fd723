//! The messages and data that the crates of the daemon exchange.
//!
//! ```text
//!   observe, act, reload, people ──Message──▶ driver (owns the core) ──▶ Published: the snapshot
//!                                                │
//!                                                └──▶ Entry (a record), Metrics (counters), Diagnostics
//! ```
//! None of it makes decisions, and none of it waits.

pub mod component_counts;
pub mod diagnostics;
mod entry;
pub mod farm_counts;
pub mod inbox;
mod message;
pub mod metrics;
pub mod recorder;
pub mod refused_files;

pub use self::entry::Entry;
pub use self::message::{Message, Published};
