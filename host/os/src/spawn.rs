//! Starts commands, and manages their output.
//!
//! ```text
//!   CommandSpec ──▶ child.rs ──▶ settings.rs: user, limits, priority ──▶ the program
//!                      │ gate.rs: a launcher waits until the start is on disk
//!                      └──▶ captured.rs (output in memory) or log_file.rs (output in a file)
//! ```

pub mod captured;
pub mod child;
pub mod command;
pub mod env_file;
pub mod execution;
pub mod gate;
pub mod log_file;
mod log_growth;
pub mod mark;
pub mod program;
pub mod running;
mod settings;

#[cfg(test)]
mod harness;
