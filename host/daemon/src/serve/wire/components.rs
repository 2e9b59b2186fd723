//! Checkers and restart scripts as files.

use bellwether_core::quarantine::Case;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// One checker or restart script as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentStatus {
    /// What it can be used for.
    pub kind: ComponentKind,
    /// Its file name without `.wasm`.
    pub name: String,
    /// As it says itself; unknown if it never could.
    pub version: Option<String>,
    /// BLAKE3 of the bytes in force, in hexadecimal.
    pub digest: String,
    /// Where these come from.
    pub origin: Origin,
    /// Why the file that is there now is not in force, if it is not.
    pub error: Option<String>,
    /// The version that is there now does not work.
    #[serde(default)]
    pub quarantine: Option<QuarantineStatus>,
    /// The version that is there now waits for approval.
    #[serde(default)]
    pub waiting: Option<WaitingStatus>,
}

/// A version that does not work and is not tried again for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineStatus {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// What happened.
    pub why: String,
    /// Since when it is known.
    pub since: String,
    /// How often it was tried.
    pub tries: u32,
    /// Not tried again before.
    pub next: String,
}

impl QuarantineStatus {
    /// A case as the core knows it.
    pub fn new(case: &Case, clock: Clock) -> Self {
        Self {
            digest: case.digest.clone(),
            why: case.why.clone(),
            since: clock.timestamp(case.since),
            tries: case.tries,
            next: clock.timestamp(case.next),
        }
    }
}

/// A version that asks for more than the one before it, and runs once a person has let it in or a
/// module grants what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingStatus {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// As it says itself.
    pub version: String,
    /// What it asks for, in the notation of grants.
    pub asks: Vec<String>,
}

/// What a component can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// `checkers/`
    Checker,
    /// `restart-scripts/`
    RestartScript,
}

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It is part of the binary.
    Embedded,
    /// It was dropped into the root.
    File,
}

/// The answer to an approval: what was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAnswer {
    /// Its file: `checkers/http.wasm`.
    pub what: String,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// As it says itself.
    pub version: String,
    /// What it asks for and has not been granted, in the notation of grants.
    pub asks: Vec<String>,
}
