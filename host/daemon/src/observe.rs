//! Looking at the application: what is seen becomes an observation.

pub mod process;
