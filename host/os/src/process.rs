//! Facts about the processes of this node. All of it is specific to Linux: pidfd and /proc.
//!
//! This module makes no decisions: it reports which processes exist, which of them match, what they use, and when
//! they end.

pub mod acceptance;
pub mod account;
pub mod capability;
pub mod control_group;
pub mod ending;
pub mod environment;
pub mod errands;
pub mod find;
pub mod group;
pub mod hidden;
pub mod identity;
pub mod inherited;
pub mod kept_table;
pub mod notified;
pub mod open_files;
pub mod orphans;
pub mod own;
mod pid_file;
pub mod pidfd;
pub mod port_holder;
pub mod stat;
pub mod table;
pub mod usage;

pub mod readable;
