//! The operating system, behind small interfaces: what only Linux, Unix or Windows has is in this crate.
//!
//! A module that Windows does not have yet is declared for Linux alone. Every other module is the same on each system;
//! what differs inside is in a file named after the system, such as `file/unix.rs` and `file/windows.rs`.

pub mod address;
pub mod atomic_file;
pub mod boot_id;
pub mod clock;
pub mod exhaustion;
pub mod fault;
pub mod file;
#[cfg(target_os = "linux")]
pub mod handover;
pub mod heartbeat;
pub mod host;
#[cfg(target_os = "linux")]
pub mod kernel;
pub mod names;
pub mod patience;
pub mod process;
#[cfg(unix)]
pub mod random;
#[cfg(unix)]
pub mod readiness;
#[cfg(target_os = "linux")]
pub mod root;
pub mod runtime;
#[cfg(target_os = "linux")]
pub mod service_manager;
#[cfg(unix)]
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod user;
