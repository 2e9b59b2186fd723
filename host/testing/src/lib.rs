//! Shared code for the unit tests of several crates. A development dependency only.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod fuzz;
pub mod guest;
pub mod long;
pub mod namespace;
pub mod process;
