//! Names and numbers that identify things.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The text is longer than [`MAX_NAME`] bytes.
    #[error("a name has at most {MAX_NAME} characters")]
    TooLong,
    /// A character that is not allowed in a name.
    #[error(
        "`{0}` does not belong in a name: letters, digits, `-`, `_` and `.` do, and it starts with a letter or digit"
    )]
    BadCharacter(char),
}

/// Names are used in URLs, file names and metrics, so they are short and plain.
pub const MAX_NAME: usize = 63;

fn check_name(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::BadCharacter(first));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
        Some(bad) => Err(NameError::BadCharacter(bad)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// A name, if `text` is a valid one.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check_name(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A server that runs the daemon.
    NodeName
}
name! {
    /// An application as Bellwether manages it; the name of its file in `modules/`.
    ModuleName
}
name! {
    /// A checker within its module.
    CheckerName
}
name! {
    /// A command that a module declares.
    CommandName
}
name! {
    /// A component: its file name without `.wasm`.
    ComponentName
}

name! {
    /// A notification target: the name of a `[[notify]]` table.
    TargetName
}
name! {
    /// A user who may sign in, or a program's token.
    AccountName
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The watch of a checker that an observation belongs to. It changes each time a watch begins, so that late
    /// observations are recognised.
    Generation
}
number! {
    /// The attempt to carry out a plan that a completion belongs to.
    AttemptId
}
number! {
    /// A command that waits for its answer.
    RequestId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_words() {
        for good in ["web", "web-1", "a", "9lives", "home.page", "a_b", &"x".repeat(MAX_NAME)] {
            assert!(ModuleName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-web", ".", "..", "a/b", "a b", "é", "a\n", &"x".repeat(MAX_NAME + 1)] {
            assert!(ModuleName::new(bad).is_err(), "{bad:?}");
        }
    }
}
