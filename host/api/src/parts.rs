//! Parts of a module.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A plan that is not carried out: `GET /api/v1/modules/M/plans/OCCASION`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanAnswer {
    /// In the script's words.
    pub summary: String,
    /// Its steps in words.
    pub steps: Vec<String>,
}

/// The end of what one command has written: `GET /api/v1/modules/M/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogAnswer {
    /// Which command.
    pub command: String,
    /// The latest last.
    pub lines: Vec<String>,
}
