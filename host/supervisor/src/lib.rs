//! Runs the parts of modules: observes with checkers, carries out plans, reloads files.
//!
//! ```text
//!   reload ──▶ registry (components), loaded_modules (modules)
//!                 │
//!   observe ──Message──▶ driver ──action──▶ act
//! ```

pub mod act;
pub mod announcer;
pub mod component_registry;
pub mod facilities;
pub mod guest_store;
pub mod loaded_modules;
pub mod observe;
pub mod persisted_state;
pub mod reload;
pub mod simulate;
pub mod unclaimed;
