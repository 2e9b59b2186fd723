//! The real daemon on a node that runs out of every resource: the statements of `docs/pressure.md`. Load balancers
//! probe all the while, and every answer is correct and on time.

mod application;
mod checkers;
mod clock;
mod descriptors;
mod disk;
mod memory;
mod processes;
mod processor;
mod scene;
