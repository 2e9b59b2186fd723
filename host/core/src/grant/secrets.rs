//! `secrets = { db-password = "/etc/app/db.secret" }`

use std::fmt;
use std::path::{Path, PathBuf};

use super::{GrantKind, Grants, NotationError, Refusal};
use crate::id::ComponentName;

/// The name under which a component asks for a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(String);

impl SecretName {
    /// A name, if `text` is valid: the same characters as in every other name.
    pub fn new(text: &str) -> Result<Self, NotationError> {
        ComponentName::new(text).map_err(|error| NotationError::new(error.to_string()))?;
        Ok(Self(text.to_owned()))
    }
}

impl std::borrow::Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses `NAME=FILE`, as on the command line.
pub(super) fn parse(text: &str) -> Result<(SecretName, PathBuf), NotationError> {
    let missing = || NotationError::new(format!("`{text}` names no file")).help("write NAME=FILE");
    let (name, file) = text.split_once('=').ok_or_else(missing)?;
    if file.is_empty() || file.contains('\0') {
        return Err(missing());
    }
    Ok((SecretName::new(name)?, PathBuf::from(file)))
}

impl Grants {
    /// The file of a secret, if it is granted.
    pub fn secret(&self, name: &str) -> Result<(&SecretName, &Path), Refusal> {
        self.secrets
            .get_key_value(name)
            .map(|(name, file)| (name, file.as_path()))
            .ok_or_else(|| Refusal::missing(GrantKind::Secrets, format!("read the secret `{name}`"), name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_had_by_its_name_alone() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Secrets, "db-password=/etc/app/db=secret").unwrap();
        assert_eq!(grants.secret("db-password").unwrap().1, Path::new("/etc/app/db=secret"));
        assert_eq!(
            grants.secret("other").unwrap_err().to_string(),
            "refused: read the secret `other`; to allow it add grant = { secrets = { other = \"FILE\" } }"
        );
        for text in ["", "a", "a=", "=/x", "../a=/x", "a b=/x"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
