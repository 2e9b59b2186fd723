//! The pure core of Bellwether.
//!
//! ```text
//!  observe ──▶ judge ──▶ decide ──▶ act
//!  (shell)    verdict    module    (shell)
//!     ▲                   │            │
//!     └───────────────────┼────────────┘  completions come back as events
//!                         ▼
//!                      snapshot ──▶ show (shell)
//! ```
//! All decisions are made here; all effects are in the daemon. The shell calls `handle(event, now)` and carries out
//! the actions that it returns. No files, no clock, no randomness, no tasks: `clippy.toml` beside this crate
//! forbids them.

#![forbid(unsafe_code)]

pub mod about;
pub mod access;
pub mod action;
pub mod announcement;
pub mod attention;
pub mod budget;
pub mod change_set;
pub mod chart;
pub mod command;
pub mod consequence;
pub mod counting;
pub mod drain;
pub mod event;
pub mod grant;
pub mod headline;
pub mod health;
pub mod id;
pub mod left;
#[cfg(test)]
mod long;
pub mod measurements;
pub mod memory;
mod module;
pub mod moment;
pub mod node;
pub mod notify;
pub mod observation;
mod outbox;
pub mod permission;
pub mod pieces;
pub mod plan;
pub mod policy;
pub mod probation;
pub mod probers;
pub mod quarantine;
pub mod readmission;
pub mod record;
pub mod reload;
pub mod replay;
pub mod shutdown;
pub mod simulation;
pub mod snapshot;
pub mod state;
pub mod text;
pub mod transcript;
pub mod unclaimed;
pub mod vanished;
pub mod verdict;
pub mod watchdog;
pub mod why;
