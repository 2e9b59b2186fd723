//! Facts about the processes of this node.
//!
//! Nothing here decides anything: it says which processes there are, which of
//! them are meant, what they use, and when they end. What is not about names alone is Linux's own: pidfd and /proc.

pub mod account;
pub mod capability;
pub mod find;

#[cfg(target_os = "linux")]
pub mod acceptance;
#[cfg(target_os = "linux")]
pub mod control_group;
#[cfg(target_os = "linux")]
pub mod dependent;
#[cfg(target_os = "linux")]
pub mod ending;
#[cfg(target_os = "linux")]
pub mod entry;
#[cfg(target_os = "linux")]
pub mod environment;
#[cfg(target_os = "linux")]
pub mod errands;
#[cfg(target_os = "linux")]
pub mod group;
#[cfg(target_os = "linux")]
pub mod hidden;
#[cfg(target_os = "linux")]
pub mod identity;
#[cfg(target_os = "linux")]
pub mod inherited;
#[cfg(target_os = "linux")]
pub mod kept_table;
#[cfg(target_os = "linux")]
pub mod limits;
#[cfg(target_os = "linux")]
pub mod notified;
#[cfg(target_os = "linux")]
pub mod open_files;
#[cfg(target_os = "linux")]
pub mod orphans;
#[cfg(target_os = "linux")]
pub mod own;
#[cfg(target_os = "linux")]
mod pid_file;
#[cfg(target_os = "linux")]
pub mod pidfd;
#[cfg(target_os = "linux")]
pub mod port_holder;
#[cfg(target_os = "linux")]
pub mod readable;
#[cfg(target_os = "linux")]
pub mod stat;
#[cfg(target_os = "linux")]
pub mod strays;
#[cfg(target_os = "linux")]
pub mod table;
#[cfg(target_os = "linux")]
pub mod usage;
