//! Why access, or a change of accounts, is rejected.

use std::fmt;
use std::io;
use std::time::Duration;

use bellwether_core::moment::plain;

/// What has a name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// Of the console.
    User,
    /// Of a program.
    Token,
}

impl AccountKind {
    /// The word for it, which is also the command for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The message does not tell which of the two is wrong.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many attempts, from this address or for this name.
    #[error("too many attempts: wait {}", plain(whole(*.0)))]
    TooSoon(Duration),
    /// A one-time link that is invalid, or no longer valid.
    #[error("this link has been used, or has expired")]
    UsedUp,
    /// The session has ended.
    #[error("you are not signed in any more")]
    NotSignedIn,
    /// Of that name.
    #[error("there is no {0} `{1}`")]
    NoSuch(AccountKind, String),
    /// Of that name, already.
    #[error("there is a {0} `{1}` already")]
    Taken(AccountKind, String),
    /// Names stand in records and in commands.
    #[error("this is not a name: {0}")]
    BadName(String),
    /// The password is too short, or far too long.
    #[error("a password has at least {at_least} characters, and at most {at_most}")]
    BadPassword {
        /// The minimum length in characters.
        at_least: usize,
        /// The maximum length in characters.
        at_most: usize,
    },
    /// At least one user must be able to manage users.
    #[error("this is the last admin: make another user an admin first")]
    LastAdmin,
    /// There are too many accounts.
    #[error("there are too many of them: remove some first")]
    TooMany,
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    Ending,
    /// The change could not be stored, so it is not made.
    #[error("state/access.json cannot be written: {0}")]
    NotWritten(io::Error),
    /// Any other internal error.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Refusal {
    pub(super) fn no_such_user(name: &str) -> Self {
        Self::NoSuch(AccountKind::User, name.to_owned())
    }
}

/// Parts of a second are nobody's concern.
fn whole(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}
