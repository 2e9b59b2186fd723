//! The target of the attributes' expansion. Not for authors: it may change with any version of the macros.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Observation, Plan, PlanRequest, Run};

/// What an attribute knows about its component.
#[derive(Debug)]
pub struct Manifest {
    pub name: &'static str,
    pub version: &'static str,
    pub summary: &'static str,
    /// Kind, value and reason of each.
    pub grants: &'static [(&'static str, &'static str, &'static str)],
}

/// Implemented by both kinds of component.
pub trait Component {
    type Config: DeserializeOwned + JsonSchema;
    const MANIFEST: Manifest;
}

/// Implemented by the attribute `#[checker]`.
pub trait Checker: Component {
    fn check(config: Self::Config, run: &Run) -> Observation;
}

/// Implemented by the attribute `#[restart_script]`.
pub trait RestartScript: Component {
    fn plan(config: Self::Config, request: &PlanRequest) -> Result<Plan, String>;
}

/// The default name of a component is that of its file, which is that of the crate.
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
