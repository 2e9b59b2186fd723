//! What the attributes make of an author's function. Not for authors: it may
//! change with any version of the macros.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Observation, Plan, PlanRequest, Run};

/// What an attribute knows of its component.
#[derive(Debug)]
pub struct Manifest {
    pub name: &'static str,
    pub version: &'static str,
    pub summary: &'static str,
    /// Kind, value and reason of each.
    pub grants: &'static [(&'static str, &'static str, &'static str)],
}

/// Both kinds of component.
pub trait Component {
    type Config: DeserializeOwned + JsonSchema;
    const MANIFEST: Manifest;
}

/// What `#[checker]` implements.
pub trait Checker: Component {
    fn check(config: Self::Config, run: &Run) -> Observation;
}

/// What `#[restart_script]` implements.
pub trait RestartScript: Component {
    fn plan(config: Self::Config, request: &PlanRequest) -> Result<Plan, String>;
}

/// A component is named like its file, and that is named like the crate.
pub const fn crate_name(module_path: &'static str) -> &'static str {
    let bytes = module_path.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b':' {
        end += 1;
    }
    module_path.split_at(end).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_is_the_first_part_of_a_path() {
        assert_eq!(crate_name("my_check::inner::more"), "my_check");
        assert_eq!(crate_name("http"), "http");
    }
}
