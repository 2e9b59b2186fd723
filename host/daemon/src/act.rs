//! Acting on the application: what was decided is carried out.

pub mod child;
pub mod kept;
pub mod log_file;
pub mod step;

#[cfg(test)]
mod harness;
