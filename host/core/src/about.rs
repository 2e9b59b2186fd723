//! What a component says of itself.

use std::fmt;

use serde::Serialize;

use crate::grant::GrantRequest;

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct About {
    /// Short name, as in the file name.
    pub name: String,
    /// The component's own version.
    pub version: String,
    /// What it checks or does, in one sentence.
    pub summary: String,
    /// A JSON Schema of its configuration; empty if it takes none.
    pub config_schema: String,
    /// What it would like to be allowed.
    pub grants: Vec<GrantRequest>,
    /// Room to grow.
    pub attributes: Vec<(String, String)>,
}

/// For `inspect` and the log.
impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.name, self.version, self.summary)
    }
}
