//! Everything that Bellwether does: observe, act, show.

pub mod app;
pub mod clock;
pub mod config;
pub mod pulse;
pub mod sandbox;
pub mod serve;
