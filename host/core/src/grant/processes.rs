//! The grant `processes = true`.

use super::{GrantKind, Grants, NotationError, Refusal};

pub(super) fn parse(text: &str) -> Result<bool, NotationError> {
    text.parse().map_err(|_| NotationError::new(format!("`{text}` is neither true nor false")))
}

impl Grants {
    /// Whether facts about the module's processes may be read.
    pub fn may_see_processes(&self) -> Result<(), Refusal> {
        if self.processes {
            return Ok(());
        }
        let wanted = "see the processes of the module".to_owned();
        Err(Refusal::missing(GrantKind::Processes, wanted, "true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_seen_only_if_that_is_granted() {
        let mut grants = Grants::default();
        assert_eq!(
            grants.may_see_processes().unwrap_err().to_string(),
            "refused: see the processes of the module; to allow it add grant = { processes = true }"
        );
        grants.add(GrantKind::Processes, "true").unwrap();
        assert!(grants.may_see_processes().is_ok());
        assert!(grants.add(GrantKind::Processes, "yes").is_err());
    }
}
