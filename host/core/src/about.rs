//! A component's description of itself.

use std::fmt;

use serde::Serialize;

use crate::grant::GrantRequest;

/// A component's description of itself.
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
    /// The grants that it requests.
    pub grants: Vec<GrantRequest>,
    /// Extensions of later versions.
    pub attributes: Vec<(String, String)>,
}

/// The form for `inspect` and the log.
impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.name, self.version, self.summary)
    }
}
