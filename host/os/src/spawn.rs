//! Starts commands, and looks after what they write. Windows knows what they are and does not start them yet.
//!
//! ```text
//!   CommandSpec ──▶ child.rs ──▶ settings.rs: user, limits, priority ──▶ the program
//!                      │ gate.rs: a launcher waits until the start is on disk
//!                      └──▶ captured.rs (output in memory) or log_file.rs (output in a file)
//! ```

pub mod command;
pub mod env_file;
pub mod execution;
pub mod log_file;
pub mod program;

#[cfg(target_os = "linux")]
pub mod captured;
#[cfg(target_os = "linux")]
pub mod child;
#[cfg(target_os = "linux")]
pub mod gate;
#[cfg(target_os = "linux")]
pub mod mark;
#[cfg(target_os = "linux")]
pub mod running;
#[cfg(target_os = "linux")]
mod settings;

#[cfg(test)]
mod harness;
