//! Parts of a module in answers of the API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A plan that is only shown: `GET /api/v1/modules/M/plans/OCCASION`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanAnswer {
    /// The summary of the script.
    pub summary: String,
    /// Its steps in words.
    pub steps: Vec<String>,
}

/// The end of the output of one command: `GET /api/v1/modules/M/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogAnswer {
    /// The name of the command.
    pub command: String,
    /// The latest line is the last.
    pub lines: Vec<String>,
}
