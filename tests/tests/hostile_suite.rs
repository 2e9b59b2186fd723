//! Guests that are hostile, broken or both, by family. Of each: what became of it and why, that
//! it ended when it had to, and that nobody else noticed.
//!
//! A long run (`BELLWETHER_LONG=1`) has all guests and all broken files. Every run has all families, and
//! of each family the first guest of every ending (by the words with which it is told) and the first
//! broken file of every reason for which one is refused: what ends a guest, and what refuses a file, is
//! one place in the daemon for each ending, and the further guests are other ways to come there. It flips
//! a bit at eight places, one of each bit of a byte, instead of at 32. What replaces and removes guests
//! while they run is there in every run.

mod abi;
mod act;
mod cpu;
mod exit;
mod family;
mod format;
mod host_calls;
mod memory;
mod reload;
