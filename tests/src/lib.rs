//! What the tests of the whole share: the real binary, roots to run it on, and
//! patience with a limit.

pub mod binary;
pub mod daemon;
pub mod demo;
pub mod eventually;
pub mod guest;
pub mod http;
pub mod invocation;
pub mod probe;
pub mod process;
pub mod root;
pub mod web;
pub mod writing;
