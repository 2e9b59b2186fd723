//! Roles and sign-ins: who may do what, and for how long.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod session;
mod throttle;

pub use self::session::{IDLE, LIFE, ONE_TIME, ONE_TIME_MOST, Use};
pub use self::throttle::{Rule, Throttle};

/// What a user or a program may do. Each role may do everything that the roles before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// View everything except users and tokens.
    Monitor,
    /// Also give commands to modules, and run checkers.
    Control,
    /// Also approve components, and manage users and tokens.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Monitor, Self::Control, Self::Admin];

    /// The word for it, in files, the CLI and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Control => "control",
            Self::Admin => "admin",
        }
    }

    /// Whether this role includes `needed`.
    pub fn may(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that is not the name of a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: expected monitor, control or admin")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.word() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
