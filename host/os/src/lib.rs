//! The operating system behind small interfaces. All code that is specific to Linux or Unix is in this crate.

pub mod address;
pub mod atomic_file;
pub mod clock;
pub mod exhaustion;
pub mod fault;
pub mod handover;
pub mod heartbeat;
pub mod names;
pub mod patience;
pub mod process;
pub mod root;
pub mod runtime;
pub mod service_manager;
pub mod socket;
pub mod spawn;
