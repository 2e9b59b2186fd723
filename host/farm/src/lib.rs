//! Everything that the farm decides: who is a member, and which nodes hear which.
//!
//! ```text
//!   roster ──who is a member──▶ membership ──▶ view: who is heard, what each node says of itself
//!                                  ▲   │
//!             frames, links, time ─┘   └─▶ frames to send
//! ```
//! Nothing here reads a clock, a file or a socket, and nothing is random: times, frames and seeds come in as values.

pub mod admission;
pub mod dialing;
pub mod id;
pub mod invitation;
pub mod membership;
pub mod renewal;
pub mod roster;
#[cfg(test)]
mod simulation;
