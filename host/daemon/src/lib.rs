//! Builds the daemon from its parts, and drives the core.
//!
//! ```text
//!   app ──builds──▶ everything
//!   driver (owns the core) ◀── messages; snapshot, actions ──▶
//!   lifecycle (signals), watchdog, api_backend (what the API asks of the daemon)
//! ```

pub mod api_backend;
pub mod app;
mod continuity;
pub mod driver;
mod farm;
pub mod lifecycle;
mod state_folder;
pub mod watchdog;
