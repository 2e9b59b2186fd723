//! The operating system, behind small interfaces: what is Linux's or Unix's own is in this crate.

pub mod address;
pub mod clock;
pub mod durable;
pub mod fault;
pub mod handover;
pub mod names;
pub mod patience;
pub mod process;
pub mod pulse;
pub mod root;
pub mod service_manager;
pub mod shortage;
pub mod socket;
pub mod spawn;
pub mod threads;
