//! Guests that are hostile, broken or both, by family. For each: the result and its reason, that it ended when it
//! had to, and that nothing else was affected.
//!
//! A long run (`BELLWETHER_LONG=1`) has all guests and all broken files. Every run has all families, and of each
//! family the first guest of every ending (by its message) and the first broken file of every reason for a
//! rejection: each ending and each rejection has one place in the daemon, and the further guests are other ways to
//! reach it. It flips a bit at eight places, one of each bit of a byte, instead of at 32. The replacement and
//! removal of guests while they run is in every run.

mod abi;
mod act;
mod cpu;
mod exit;
mod family;
mod format;
mod host_calls;
mod memory;
mod reload;
