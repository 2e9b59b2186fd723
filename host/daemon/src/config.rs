//! The operator's files.

pub mod spec;
