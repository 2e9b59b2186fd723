//! Tokens: what programs show instead of signing in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellwether_api::accounts::TokenStatus;
use bellwether_core::access::Role;
use bellwether_core::id::AccountName;
use bellwether_core::moment::plain;
use tokio::sync::watch;

use super::register::Token;
use super::secret::{self, Digest};
use super::{ACCOUNTS, Access, AccountKind, Identity, Refusal};

impl Access {
    /// The token with this secret. It counts as a use.
    pub(crate) fn by_token(&self, secret: &str) -> Option<Identity> {
        let wall = self.wall();
        let digest = Digest::of(secret);
        let register = self.0.register.load();
        let token = register.tokens.values().find(|token| token.digest == digest)?;
        if token.is_over(wall) {
            token.ended.send_replace(true);
            return None;
        }
        token.used.store(wall, Ordering::Relaxed);
        Some(Identity { name: token.name.clone(), role: token.role, ended: token.ended.subscribe() })
    }

    /// All tokens, ordered by name.
    pub fn tokens(&self) -> Vec<TokenStatus> {
        let register = self.0.register.load();
        let status = |token: &Arc<Token>| TokenStatus {
            name: token.name.clone(),
            role: token.role,
            created: token.created,
            expires: token.expires,
            last_used: Some(token.used.load(Ordering::Relaxed)).filter(|used| *used > 0),
        };
        register.tokens.values().map(status).collect()
    }

    /// Creates a token and returns its secret, which is not shown again.
    ///
    /// # Errors
    /// If the name is not acceptable.
    pub(crate) async fn create_token(
        &self,
        name: &str,
        role: Role,
        lasts: Option<Duration>,
        by: &str,
    ) -> Result<String, Refusal> {
        let name = AccountName::new(name).map_err(|error| Refusal::BadName(error.to_string()))?.to_string();
        let secret = format!("bw_{}", secret::chance()?);
        let (digest, created) = (Digest::of(&secret), self.wall());
        let expires =
            lasts.map(|lasts| created.saturating_add(i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX)));
        self.change(|register| {
            if register.tokens.contains_key(&name) {
                return Err(Refusal::Taken(AccountKind::Token, name.clone()));
            }
            if register.tokens.len() >= ACCOUNTS {
                return Err(Refusal::TooMany);
            }
            let (used, ended) = (AtomicI64::new(0), watch::Sender::new(false));
            let token = Token { name: name.clone(), role, digest, created, expires, used, ended };
            register.tokens.insert(name.clone(), Arc::new(token));
            Ok(())
        })
        .await?;
        let until = lasts.map_or(String::new(), |lasts| format!(", for {}", plain(lasts)));
        self.note(by.to_owned(), &format!("made token {name} with the role {role}{until}"));
        Ok(secret)
    }

    /// Revokes a token by its name.
    ///
    /// # Errors
    /// If no token has that name.
    pub(crate) async fn revoke_token(&self, name: &str, by: &str) -> Result<(), Refusal> {
        self.change(|register| {
            let token = register
                .tokens
                .remove(name)
                .ok_or_else(|| Refusal::NoSuch(AccountKind::Token, name.to_owned()))?;
            token.ended.send_replace(true);
            Ok(())
        })
        .await?;
        self.note(by.to_owned(), &format!("revoked token {name}"));
        Ok(())
    }
}
