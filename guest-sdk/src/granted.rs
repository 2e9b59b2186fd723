//! Errors of the calls that need a grant.

use std::error::Error;
use std::fmt;

use crate::observation::Observation;

/// Why the host refused or failed. The text is one sentence.
///
/// As an observation it is **unknown**, except if the resource was examined
/// and is unhealthy: a command that did not exit in time, a host that did not
/// answer a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostError {
    /// A code for programs: `not-granted`, `timeout`, … Later hosts may have others.
    pub code: String,
    /// One sentence for people. If it is not granted, it says what to add.
    pub message: String,
}

/// The codes that are about the resource and not about the host.
const FAILS: [&str; 3] = ["timeout", "no-answer", "unreachable"];

impl HostError {
    /// Creates an error, for a test.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The operator has not allowed it.
    pub fn is_not_granted(&self) -> bool {
        self.code == "not-granted"
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn not_granted(wanted: &str, grant: &str) -> Self {
        let message = format!("refused: {wanted}; to allow it add grant = {{ {grant} }}");
        Self::new("not-granted", message)
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for HostError {}

impl From<HostError> for Observation {
    fn from(error: HostError) -> Self {
        if FAILS.contains(&error.code.as_str()) {
            Self::fail(error.message)
        } else {
            Self::unknown(error.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Status;

    #[test]
    fn only_what_was_asked_and_is_not_well_is_a_fail() {
        for (code, status) in [
            ("not-granted", Status::Unknown),
            ("cannot-start", Status::Unknown),
            ("a-word-of-2030", Status::Unknown),
            ("timeout", Status::Fail),
            ("no-answer", Status::Fail),
            ("unreachable", Status::Fail),
        ] {
            let seen = Observation::from(HostError::new(code, "why"));
            assert_eq!((seen.status, seen.summary.as_str()), (status, "why"), "{code}");
        }
    }

    #[test]
    fn a_missing_grant_is_told_apart() {
        let error = HostError::not_granted("run the command `probe`", "commands = [\"probe\"]");
        assert!(error.is_not_granted());
        assert!(error.to_string().ends_with("add grant = { commands = [\"probe\"] }"), "{error}");
        assert!(!HostError::new("timeout", "").is_not_granted());
    }
}
