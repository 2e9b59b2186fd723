//! Everything that the daemon shows.

pub mod health;
