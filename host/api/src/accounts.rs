//! Users and tokens.

use bellwether_core::access::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shapes;

use bellwether_os::clock::timestamp;

/// A user, for those who show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatus {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it can sign in without a one-time address.
    pub has_password: bool,
    /// In microseconds after the Unix epoch.
    pub created: i64,
    /// Likewise.
    pub last_sign_in: Option<i64>,
    /// So many sign-ins are under way.
    pub sessions: usize,
}

/// A token, for those who show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStatus {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// In microseconds after the Unix epoch.
    pub created: i64,
    /// Likewise; nothing if it never does.
    pub expires: Option<i64>,
    /// Likewise.
    pub last_used: Option<i64>,
}

/// The caller: `GET /api/v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeAnswer {
    /// The user's name, `token NAME`, or the user of the local socket.
    pub name: String,
    /// The role of the caller.
    #[schemars(with = "shapes::Role")]
    pub role: Role,
}

/// One user: `GET /api/v1/users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserLine {
    /// Its name.
    pub name: String,
    /// Its role.
    #[schemars(with = "shapes::Role")]
    pub role: Role,
    /// Whether it can sign in without a one-time link.
    pub has_password: bool,
    /// When it was created.
    pub created: String,
    /// When it signed in last, if ever.
    pub last_sign_in: Option<String>,
    /// The number of its sessions.
    pub sessions: usize,
}

/// One token: `GET /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenLine {
    /// Its name.
    pub name: String,
    /// Its role.
    #[schemars(with = "shapes::Role")]
    pub role: Role,
    /// When it was created.
    pub created: String,
    /// When it expires; absent if it is valid until it is revoked.
    pub expires: Option<String>,
    /// When it was used last, if ever.
    pub last_used: Option<String>,
}

/// A new token. Its secret is not shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenAnswer {
    /// Its name.
    pub name: String,
    /// What to send: `Authorization: Bearer SECRET`.
    pub secret: String,
}

/// A one-time link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OneTimeAnswer {
    /// The user whom it signs in.
    pub user: String,
    /// The path after the console's address: `/login/…`.
    pub path: String,
    /// How many seconds it is valid.
    pub expires_in_s: u64,
}

impl UserLine {
    /// As the API writes it.
    pub fn new(user: &UserStatus) -> Self {
        Self {
            name: user.name.clone(),
            role: user.role,
            has_password: user.has_password,
            created: timestamp(user.created),
            last_sign_in: user.last_sign_in.map(timestamp),
            sessions: user.sessions,
        }
    }
}

impl TokenLine {
    /// As the API writes it.
    pub fn new(token: &TokenStatus) -> Self {
        Self {
            name: token.name.clone(),
            role: token.role,
            created: timestamp(token.created),
            expires: token.expires.map(timestamp),
            last_used: token.last_used.map(timestamp),
        }
    }
}
