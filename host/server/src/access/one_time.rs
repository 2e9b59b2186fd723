//! Links that sign a user in once, without a password.

use std::net::IpAddr;
use std::time::Duration;

use bellwether_core::access::ONE_TIME_MOST;

use super::neighbourhood::neighbourhood;
use super::secret::{self, Digest};
use super::{Access, Refusal, SignedIn};

/// The maximum number of valid one-time links.
const ONE_TIMES: usize = 100;

impl Access {
    /// A code that signs `user` in once, within this time and ten minutes at most.
    ///
    /// # Errors
    /// If the user does not exist.
    pub(crate) fn one_time(&self, user: &str, within: Duration, by: &str) -> Result<String, Refusal> {
        if !self.0.register.load().users.contains_key(user) {
            return Err(Refusal::no_such_user(user));
        }
        let code = secret::chance()?;
        let now = self.0.clock.now();
        let mut gate = self.gate();
        gate.one_times.retain(|(_, _, until)| now < *until);
        if gate.one_times.len() >= ONE_TIMES {
            gate.one_times.remove(0);
        }
        gate.one_times.push((Digest::of(&code), user.to_owned(), now + within.min(ONE_TIME_MOST)));
        drop(gate);
        self.note(by.to_owned(), &format!("created a one-time link for {user}"));
        Ok(code)
    }

    /// The user whom the code would sign in.
    pub(crate) fn one_time_for(&self, code: &str) -> Option<String> {
        let (digest, now) = (Digest::of(code), self.0.clock.now());
        let gate = self.gate();
        let found = gate.one_times.iter().find(|(known, _, until)| *known == digest && now < *until);
        found.map(|(_, user, _)| user.clone())
    }

    /// Signs in with a code, which is used up.
    ///
    /// # Errors
    /// If it is invalid, or no longer valid.
    pub(crate) async fn redeem(&self, code: &str, from: IpAddr) -> Result<SignedIn, Refusal> {
        let (digest, now) = (Digest::of(code), self.0.clock.now());
        let user = {
            let mut gate = self.gate();
            gate.addresses.begin(&neighbourhood(from), now).map_err(Refusal::TooSoon)?;
            let found = gate.one_times.iter().position(|(known, _, until)| *known == digest && now < *until);
            let Some(found) = found else { return Err(Refusal::UsedUp) };
            gate.addresses.succeeded(&neighbourhood(from));
            gate.one_times.remove(found).1
        };
        self.begin_session(&user, format!("from {from}, with a one-time link,")).await
    }
}
