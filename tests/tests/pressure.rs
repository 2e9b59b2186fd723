//! The real daemon on a node that runs out of everything: what `docs/pressure.md` states.
//! Load balancers ask all the while, and every answer is right and on time.

mod application;
mod checkers;
mod clock;
mod descriptors;
mod disk;
mod memory;
mod processes;
mod processor;
mod scene;
