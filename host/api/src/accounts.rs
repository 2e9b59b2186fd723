//! Users and tokens in answers of the API.

use bellwether_core::access::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shapes;

use bellwether_os::clock::timestamp;

/// A user, as the API and the console show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatus {
    pub name: String,
    /// The role of the user.
    pub role: Role,
    /// Whether it can sign in without a one-time link.
    pub has_password: bool,
    /// In microseconds since the Unix epoch.
    pub created: i64,
    /// In microseconds since the Unix epoch; `None` if it has never signed in.
    pub last_sign_in: Option<i64>,
    /// The number of its sessions.
    pub sessions: usize,
}

/// A token, as the API and the console show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStatus {
    pub name: String,
    /// The role of the token.
    pub role: Role,
    /// In microseconds since the Unix epoch.
    pub created: i64,
    /// In microseconds since the Unix epoch; `None` if it never expires.
    pub expires: Option<i64>,
    /// In microseconds since the Unix epoch; `None` if it has never been used.
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
    /// The name of the user.
    pub name: String,
    /// The role of the user.
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
    /// The name of the token.
    pub name: String,
    /// The role of the token.
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
    /// The name of the token.
    pub name: String,
    /// What to send: `Authorization: Bearer SECRET`.
    pub secret: String,
}

/// A link that signs a user in once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OneTimeAnswer {
    /// The user that it signs in.
    pub user: String,
    /// The path after the console's address: `/login/…`.
    pub path: String,
    /// How long it is valid, in seconds.
    pub expires_in_s: u64,
}

impl UserLine {
    /// In the form of the API.
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
    /// In the form of the API.
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
