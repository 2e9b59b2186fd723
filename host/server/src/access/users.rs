//! Users: added, changed, removed by admins.

use bellwether_api::accounts::UserStatus;
use bellwether_core::access::Role;
use bellwether_core::id::AccountName;

use super::register::User;
use super::{ACCOUNTS, Access, AccountKind, Refusal};

/// Shorter passwords can be guessed.
const PASSWORD_AT_LEAST: usize = 10;
/// Longer passwords only cost time.
pub(super) const PASSWORD_AT_MOST: usize = 250;

impl Access {
    /// All users, ordered by name.
    pub fn users(&self) -> Vec<UserStatus> {
        let (register, now) = (self.0.register.load(), self.0.clock.now());
        let status = |(name, user): (&String, &User)| UserStatus {
            name: name.clone(),
            role: user.role,
            has_password: user.password.is_some(),
            created: user.created,
            last_sign_in: user.last_sign_in,
            sessions: register
                .sessions
                .values()
                .filter(|session| session.user == *name && !session.times().is_over(now))
                .count(),
        };
        register.users.iter().map(status).collect()
    }

    /// Adds a user; without a password, it can sign in only with one-time links.
    ///
    /// # Errors
    /// If the name or the password is not acceptable.
    pub async fn add_user(
        &self,
        name: &str,
        role: Role,
        password: Option<String>,
        by: &str,
    ) -> Result<(), Refusal> {
        let name = AccountName::new(name).map_err(|error| Refusal::BadName(error.to_string()))?;
        let password = self.hashed(password).await?;
        let created = self.wall();
        self.change(|register| {
            if register.users.contains_key(name.as_str()) {
                return Err(Refusal::Taken(AccountKind::User, name.to_string()));
            }
            if register.users.len() >= ACCOUNTS {
                return Err(Refusal::TooMany);
            }
            register.users.insert(name.to_string(), User { role, password, created, last_sign_in: None });
            Ok(())
        })
        .await?;
        self.note(by.to_owned(), &format!("added user {name} with the role {role}"));
        Ok(())
    }

    /// Changes a user's role. Ends the user's sessions.
    ///
    /// # Errors
    /// If the user does not exist, or no admin would be left.
    pub(crate) async fn set_role(&self, name: &str, role: Role, by: &str) -> Result<(), Refusal> {
        self.change(|register| {
            let admins = register.admins();
            let user = register.users.get_mut(name).ok_or_else(|| Refusal::no_such_user(name))?;
            if user.role == Role::Admin && role != Role::Admin && admins == 1 {
                return Err(Refusal::LastAdmin);
            }
            user.role = role;
            register.end_sessions(name);
            Ok(())
        })
        .await?;
        self.note(by.to_owned(), &format!("gave user {name} the role {role}"));
        Ok(())
    }

    /// Sets a password. Ends the user's sessions.
    ///
    /// # Errors
    /// If the user does not exist, or the password is not acceptable.
    pub(crate) async fn set_password(&self, name: &str, password: String, by: &str) -> Result<(), Refusal> {
        let password = self.hashed(Some(password)).await?;
        self.change(|register| {
            let user = register.users.get_mut(name).ok_or_else(|| Refusal::no_such_user(name))?;
            user.password = password;
            register.end_sessions(name);
            Ok(())
        })
        .await?;
        self.note(by.to_owned(), &format!("set the password of user {name}"));
        Ok(())
    }

    /// Removes a user. Ends the user's sessions.
    ///
    /// # Errors
    /// If the user does not exist, or no admin would be left although there are other users.
    pub(crate) async fn remove_user(&self, name: &str, by: &str) -> Result<(), Refusal> {
        self.change(|register| {
            let user = register.users.get(name).ok_or_else(|| Refusal::no_such_user(name))?;
            if user.role == Role::Admin && register.admins() == 1 && register.users.len() > 1 {
                return Err(Refusal::LastAdmin);
            }
            register.users.remove(name);
            register.end_sessions(name);
            Ok(())
        })
        .await?;
        self.note(by.to_owned(), &format!("removed user {name}"));
        Ok(())
    }

    async fn hashed(&self, password: Option<String>) -> Result<Option<String>, Refusal> {
        let Some(password) = password else { return Ok(None) };
        if !(PASSWORD_AT_LEAST..=PASSWORD_AT_MOST).contains(&password.chars().count()) {
            return Err(Refusal::BadPassword { at_least: PASSWORD_AT_LEAST, at_most: PASSWORD_AT_MOST });
        }
        self.0.hasher.hash(password).await.map(Some)
    }
}
