//! Runs what modules are made of: checkers are observed, plans carried out, files reloaded.
//!
//! ```text
//!   reload ──▶ registry (components), roster (modules)
//!                 │
//!   observe ──Message──▶ driver ──action──▶ act
//! ```

pub mod act;
pub mod announcer;
pub mod facilities;
pub mod memories;
pub mod observe;
pub mod registry;
pub mod reload;
pub mod roster;
pub mod simulate;
pub mod stores;
pub mod unclaimed;
