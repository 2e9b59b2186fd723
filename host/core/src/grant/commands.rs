//! The grant `commands = ["probe"]`.

use super::{GrantKind, Grants, NotationError, Refusal};
use crate::id::CommandName;

pub(super) fn parse(text: &str) -> Result<CommandName, NotationError> {
    CommandName::new(text).map_err(|error| {
        NotationError::new(error.to_string())
            .help("a command is granted by its name under `[commands]`, not by its program")
    })
}

impl Grants {
    /// Whether a command of the module may be run.
    pub fn may_run(&self, name: &str) -> Result<&CommandName, Refusal> {
        self.commands
            .get(name)
            .ok_or_else(|| Refusal::missing(GrantKind::Commands, format!("run the command `{name}`"), name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_run_only_if_it_is_named() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Commands, "probe").unwrap();
        assert_eq!(grants.may_run("probe").unwrap().as_str(), "probe");
        assert_eq!(
            grants.may_run("/bin/sh").unwrap_err().to_string(),
            "refused: run the command `/bin/sh`; to allow it add grant = { commands = [\"/bin/sh\"] }"
        );
        assert!(parse("/bin/sh").is_err());
    }
}
