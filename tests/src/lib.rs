//! What the tests of the whole share: the real binary, roots to run it on, and
//! patience with a limit.

pub mod binary;
pub mod daemon;
pub mod eventually;
pub mod guest;
pub mod haproxy;
pub mod http;
pub mod load;
pub mod nginx;
pub mod process;
pub mod program;
pub mod root;
