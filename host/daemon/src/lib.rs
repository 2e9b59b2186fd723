//! Everything that Bellwether does: observe, act, show.
//!
//! ```text
//!   reload ──▶ registry, roster
//!                 │
//!   observe ──▶ driver (owns the core) ──▶ act
//!                 │
//!                 ▼ snapshot, records
//!              journal, serve (health, API)
//! ```
//! `observe`, `act` and `serve` do not know each other; only `driver` and `app` know all.

pub mod access;
pub mod act;
mod announcer;
pub mod app;
pub mod certificate;
pub mod clock;
pub mod config;
pub mod continuity;
pub mod driver;
mod durable;
pub mod facilities;
mod fault;
#[cfg(test)]
mod fuzz;
pub mod handover;
pub mod journal;
#[cfg(test)]
mod long;
pub mod memories;
pub mod metrics;
mod names;
#[cfg(test)]
mod namespace;
pub mod notify;
pub mod observe;
pub mod office;
mod patience;
pub mod probers;
pub mod problems;
pub mod process;
pub mod pulse;
pub mod recorder;
pub mod registry;
pub mod reload;
pub mod root;
pub mod roster;
pub mod sandbox;
pub mod serve;
pub mod service_manager;
pub mod shortage;
pub mod simulate;
mod state_folder;
pub mod steward;
pub mod stores;
pub mod telemetry;
pub mod threads;
pub mod transcriber;
pub mod unclaimed;
pub mod watchdog;
pub mod when;
