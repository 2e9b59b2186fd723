//! Shared code of the end-to-end tests: the real binary, roots to run it on, and waiting with a limit.

pub mod answers;
pub mod api;
#[cfg(test)]
mod architecture;
pub mod balancer;
pub mod binary;
pub mod chance;
pub mod collector;
pub mod compiled;
pub mod composed;
pub mod control;
pub mod control_groups;
pub mod daemon;
pub mod demo;
pub mod eventually;
pub mod failed;
pub mod farm;
pub mod guest;
pub mod haproxy;
pub mod hook;
pub mod http;
pub mod invocation;
pub mod lateness;
pub mod load;
pub mod long;
pub mod namespaces;
pub mod network;
pub mod nginx;
pub mod probe;
pub mod process;
pub mod program;
pub mod root;
pub mod screen;
pub mod secure;
pub mod usage;
pub mod web;
pub mod writing;
