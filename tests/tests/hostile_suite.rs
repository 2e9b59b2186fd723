//! Guests that are hostile, broken or both, by family. Of each: what became of it and why, that
//! it ended when it had to, and that nobody else noticed.

mod abi;
mod act;
mod cpu;
mod exit;
mod family;
mod format;
mod host_calls;
mod memory;
mod reload;
