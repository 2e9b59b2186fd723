//! Sign-ins: with a password, and what a session may do.

use std::net::IpAddr;
use std::sync::Arc;

use bellwether_core::access::Use;

use super::neighbourhood::neighbourhood;
use super::register::Session;
use super::secret::{self, Digest};
use super::users::PASSWORD_AT_MOST;
use super::{Access, Identity, Refusal, SignedIn};

/// The maximum number of a user's sessions; a new one replaces the oldest.
const SESSIONS_OF_USER: usize = 20;

impl Access {
    /// The user of this session cookie. It counts as a use.
    pub(crate) fn by_cookie(&self, cookie: &str) -> Option<Identity> {
        let now = self.0.clock.now();
        let register = self.0.register.load();
        let session = register.sessions.get(&Digest::of(cookie))?;
        let user = register.users.get(&session.user)?;
        if session.times().is_over(now) {
            session.ended.send_replace(true);
            return None;
        }
        session.use_now(now);
        Some(Identity { name: session.user.clone(), role: user.role, ended: session.ended.subscribe() })
    }

    /// Whether the key is the one of this session.
    pub(crate) fn may_act(&self, cookie: &str, key: &str) -> bool {
        let register = self.0.register.load();
        register.sessions.get(&Digest::of(cookie)).is_some_and(|session| session.act == Digest::of(key))
    }

    /// Whether it is the password of the session's user. Counts as an attempt to sign in.
    ///
    /// # Errors
    /// If it is wrong, or the attempt comes too early.
    pub async fn confirm(&self, cookie: &str, password: String, from: IpAddr) -> Result<(), Refusal> {
        let user = self.0.register.load().sessions.get(&Digest::of(cookie)).map(|s| s.user.clone());
        let user = user.ok_or(Refusal::NotSignedIn)?;
        self.let_in(&user, password, from).await
    }

    /// Signs a user in with a password.
    ///
    /// # Errors
    /// If name and password do not match, the attempt comes too early, or the disk fails.
    pub async fn sign_in(&self, name: &str, password: String, from: IpAddr) -> Result<SignedIn, Refusal> {
        self.let_in(name, password, from).await?;
        self.begin_session(name, format!("from {from}")).await
    }

    /// Records the attempt if it fails.
    async fn let_in(&self, name: &str, password: String, from: IpAddr) -> Result<(), Refusal> {
        let let_in = self.is_let_in(name, password, from).await;
        if let Err(refusal) = &let_in {
            self.0.notes.failed(format!("an unknown user from {from}"), refusal, name, self.0.clock.now());
        }
        let_in
    }

    async fn is_let_in(&self, name: &str, password: String, from: IpAddr) -> Result<(), Refusal> {
        let now = self.0.clock.now();
        let begun = {
            let mut gate = self.gate();
            gate.addresses
                .begin(&neighbourhood(from), now)
                .and_then(|()| gate.accounts.begin(&name.to_owned(), now))
        };
        begun.map_err(Refusal::TooSoon)?;
        let hash = self.0.register.load().users.get(name).and_then(|user| user.password.clone());
        let fits = password.chars().count() <= PASSWORD_AT_MOST && self.0.hasher.fits(password, hash).await?;
        if !fits {
            return Err(Refusal::Wrong);
        }
        let mut gate = self.gate();
        gate.addresses.succeeded(&neighbourhood(from));
        gate.accounts.succeeded(&name.to_owned());
        Ok(())
    }

    pub(super) async fn begin_session(&self, name: &str, origin: String) -> Result<SignedIn, Refusal> {
        let (cookie, act_key) = (secret::chance()?, secret::chance()?);
        let (now, wall) = (self.0.clock.now(), self.wall());
        let (digest, act) = (Digest::of(&cookie), Digest::of(&act_key));
        self.change(|register| {
            let user = register.users.get_mut(name).ok_or_else(|| Refusal::no_such_user(name))?;
            user.last_sign_in = Some(wall);
            register.sessions.retain(|_, session| !session.times().is_over(now));
            let mut own: Vec<_> = register.sessions.iter().filter(|(_, s)| s.user == name).collect();
            own.sort_by_key(|(_, session)| session.began);
            let surplus = (own.len() + 1).saturating_sub(SESSIONS_OF_USER);
            let oldest: Vec<Digest> = own.iter().take(surplus).map(|(digest, _)| (*digest).clone()).collect();
            for digest in oldest {
                if let Some(session) = register.sessions.remove(&digest) {
                    session.ended.send_replace(true);
                }
            }
            register.sessions.insert(digest, Arc::new(Session::new(name.to_owned(), Use::begin(now), act)));
            Ok(())
        })
        .await?;
        self.note(format!("{name} {origin}"), "signed in");
        Ok(SignedIn { user: name.to_owned(), cookie, act_key })
    }

    /// Ends a session, as its user asked.
    ///
    /// # Errors
    /// If the disk fails; the session has ended nevertheless.
    pub(crate) async fn sign_out(&self, cookie: &str, by: String) -> Result<(), Refusal> {
        let digest = Digest::of(cookie);
        let ended = self
            .change(|register| {
                if let Some(session) = register.sessions.remove(&digest) {
                    session.ended.send_replace(true);
                }
                Ok(())
            })
            .await;
        self.note(by, "signed out");
        ended
    }
}
