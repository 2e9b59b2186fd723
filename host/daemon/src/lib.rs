//! Everything that Bellwether does: observe, act, show.

pub mod act;
pub mod clock;
pub mod config;
pub mod observe;
pub mod process;
pub mod pulse;
