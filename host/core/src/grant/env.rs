//! `env = ["LANG", "APP_MODE"]`

use std::fmt;
use std::str::FromStr;

use super::NotationError;

/// The name of a variable of the daemon's environment (POSIX.1-2024, Base Definitions, 8.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvName(String);

impl EnvName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvName {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let is_name = !text.is_empty() && text.bytes().all(plain) && !text.as_bytes()[0].is_ascii_digit();
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        let error = NotationError::new(format!("`{text}` is not the name of a variable"));
        Err(if text.contains('=') {
            error.help("its value is the daemon's own: write the name alone")
        } else {
            error
        })
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_variables_can_be_granted() {
        for text in ["LANG", "_a1", "lower_case"] {
            assert_eq!(text.parse::<EnvName>().unwrap().as_str(), text);
        }
        for text in ["", "1A", "A=b", "A B", "A*", "$A"] {
            assert!(text.parse::<EnvName>().is_err(), "{text:?}");
        }
    }
}
