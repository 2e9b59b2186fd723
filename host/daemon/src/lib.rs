//! Builds the daemon of its parts, and drives the core.
//!
//! ```text
//!   app ──builds──▶ everything
//!   driver (owns the core) ◀── messages; snapshot, actions ──▶
//!   steward (signals), watchdog, office (what the API asks of the daemon)
//! ```

pub mod app;
mod continuity;
pub mod driver;
pub mod office;
mod state_folder;
pub mod steward;
pub mod watchdog;
