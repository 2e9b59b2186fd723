//! Users, tokens and sign-ins.
//!
//! ```text
//!   user + password ──┐                     ┌─ idle, too old
//!                     ├──▶ session ──used──▶│─ signed out
//!      one-time link ─┘                     └─ password, role or user changed ──▶ its streams end
//!
//!   token ──used──▶ … ──▶ expired, revoked ──▶ its streams end
//! ```
//! Requests read a published state without a lock; changes wait for the previous change and for the disk. Secrets
//! are stored as hashes only.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_api::accounts::{TokenStatus, UserStatus};
use bellwether_core::access::{ONE_TIME_MOST, Role, Rule, Throttle, Use};
use bellwether_core::id::AccountName;
use bellwether_core::moment::{Moment, plain};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use bellwether_bus::Message;
use bellwether_bus::recorder::Recorder;
use bellwether_os::atomic_file::{self, SetAside};
use bellwether_os::clock::Clock;

mod hasher;
mod neighbourhood;
mod notes;
mod refusal;
mod register;
mod secret;
#[cfg(test)]
mod tests;

use self::hasher::Hasher;
pub(crate) use self::neighbourhood::neighbourhood;
use self::notes::Notes;
pub use self::refusal::Refusal;
use self::register::{Register, Session, Token, User};
pub use self::secret::Digest;

/// The maximum number of a user's sessions; a new one replaces the oldest.
const SESSIONS_OF_USER: usize = 20;
/// The maximum number of users, and of tokens.
const ACCOUNTS: usize = 1_000;
/// The maximum number of valid one-time links.
const ONE_TIMES: usize = 100;
/// Shorter passwords can be guessed.
const PASSWORD_AT_LEAST: usize = 10;
/// Longer passwords only cost time.
const PASSWORD_AT_MOST: usize = 250;
/// The last use of sessions and tokens is stored with at most this delay.
const KEEP: Duration = Duration::from_mins(1);
/// A session or token that has expired ends with at most this delay.
const SHORTEST: Duration = Duration::from_millis(100);

const BY_ADDRESS: Rule = Rule {
    free: 5,
    first: Duration::from_secs(1),
    most: Duration::from_mins(5),
    forget: Duration::from_mins(15),
    capacity: 10_000,
};
const BY_ACCOUNT: Rule = Rule { free: 10, most: Duration::from_secs(30), ..BY_ADDRESS };

/// Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    clock: Clock,
    register: ArcSwap<Register>,
    /// Allows one change at a time. Contains what was written last: the same content is not written again.
    written: tokio::sync::Mutex<Option<Vec<u8>>>,
    hasher: Hasher,
    /// Notified when another session or token may be the next to expire.
    changed: Notify,
    gate: Mutex<Gate>,
    notes: Notes,
}

/// The rate limits of sign-in attempts.
#[derive(Debug)]
struct Gate {
    addresses: Throttle<IpAddr>,
    accounts: Throttle<String>,
    one_times: Vec<(Digest, String, Moment)>,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct SignedIn {
    /// The name of the user.
    pub user: String,
    /// The value of the session cookie.
    pub cookie: String,
    /// The key that changes require besides the cookie.
    pub act_key: String,
}

#[derive(Debug, Clone)]
pub struct Known {
    /// The user's name, or the token's.
    pub name: String,
    /// The role of the caller.
    pub role: Role,
    /// Becomes true when the session or token ends.
    pub ended: watch::Receiver<bool>,
}

impl Access {
    /// The accounts that the last daemon stored. A damaged file is moved aside and gives no access, and the
    /// sentence reports it.
    pub fn open(root: &Path, clock: Clock, events: mpsc::Sender<Message>) -> (Self, Option<String>) {
        let path = root.join("state/access.json");
        let (register, damaged) = match std::fs::read(&path) {
            Ok(text) => match Register::from_json(&text, clock.now()) {
                Ok(register) => {
                    atomic_file::remember(&path);
                    (register, None)
                }
                Err(error) => (Register::default(), Some(set_aside(&path, &error.to_string()))),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Register::default(), None),
            Err(error) => {
                let sentence =
                    format!("state/access.json cannot be read, sign-ins are not possible: {error}");
                (Register::default(), Some(sentence))
            }
        };
        let gate = Gate {
            addresses: Throttle::new(BY_ADDRESS),
            accounts: Throttle::new(BY_ACCOUNT),
            one_times: Vec::new(),
        };
        let (hasher, no_thread) = Hasher::start();
        let no_thread = no_thread.map(|error| {
            format!("password sign-ins are not possible: the thread that checks passwords cannot be started: {error}")
        });
        let inner = Inner {
            path,
            clock,
            register: ArcSwap::from_pointee(register),
            written: tokio::sync::Mutex::default(),
            hasher,
            changed: Notify::new(),
            gate: Mutex::new(gate),
            notes: Notes::new(Recorder::new(events)),
        };
        (Self(Arc::new(inner)), damaged.or(no_thread))
    }

    /// Whether there is anyone who could sign in.
    pub(crate) fn has_users(&self) -> bool {
        !self.0.register.load().users.is_empty()
    }

    /// The user of this session cookie. It counts as a use.
    pub(crate) fn by_cookie(&self, cookie: &str) -> Option<Known> {
        let now = self.0.clock.now();
        let register = self.0.register.load();
        let session = register.sessions.get(&Digest::of(cookie))?;
        let user = register.users.get(&session.user)?;
        if session.times().is_over(now) {
            session.ended.send_replace(true);
            return None;
        }
        session.use_now(now);
        Some(Known { name: session.user.clone(), role: user.role, ended: session.ended.subscribe() })
    }

    /// The token with this secret. It counts as a use.
    pub(crate) fn by_token(&self, secret: &str) -> Option<Known> {
        let wall = self.wall();
        let digest = Digest::of(secret);
        let register = self.0.register.load();
        let token = register.tokens.values().find(|token| token.digest == digest)?;
        if token.is_over(wall) {
            token.ended.send_replace(true);
            return None;
        }
        token.used.store(wall, Ordering::Relaxed);
        Some(Known { name: token.name.clone(), role: token.role, ended: token.ended.subscribe() })
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

    async fn begin_session(&self, name: &str, origin: String) -> Result<SignedIn, Refusal> {
        let (cookie, act_key) = (secret::chance()?, secret::chance()?);
        let (now, wall) = (self.0.clock.now(), self.wall());
        let (digest, act) = (Digest::of(&cookie), Digest::of(&act_key));
        self.change(|register| {
            let user = register.users.get_mut(name).ok_or(Refusal::NoSuch("user"))?;
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

    /// A code that signs `user` in once, within this time and ten minutes at most.
    ///
    /// # Errors
    /// If the user does not exist.
    pub(crate) fn one_time(&self, user: &str, within: Duration, by: &str) -> Result<String, Refusal> {
        if !self.0.register.load().users.contains_key(user) {
            return Err(Refusal::NoSuch("user"));
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
                return Err(Refusal::Taken("user"));
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
            let user = register.users.get_mut(name).ok_or(Refusal::NoSuch("user"))?;
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
            let user = register.users.get_mut(name).ok_or(Refusal::NoSuch("user"))?;
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
            let user = register.users.get(name).ok_or(Refusal::NoSuch("user"))?;
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
                return Err(Refusal::Taken("token"));
            }
            if register.tokens.len() >= ACCOUNTS {
                return Err(Refusal::TooMany);
            }
            let (used, ended) = (std::sync::atomic::AtomicI64::new(0), watch::Sender::new(false));
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
            let token = register.tokens.remove(name).ok_or(Refusal::NoSuch("token"))?;
            token.ended.send_replace(true);
            Ok(())
        })
        .await?;
        self.note(by.to_owned(), &format!("revoked token {name}"));
        Ok(())
    }

    /// Checks periodically which sessions have expired.
    pub async fn keep_forever(&self) {
        loop {
            self.keep().await;
            let kept = Instant::now();
            loop {
                let due = (kept + KEEP).min(Instant::now() + self.next_end());
                tokio::select! {
                    () = tokio::time::sleep_until(due) => break,
                    () = self.0.changed.notified() => {}
                }
            }
        }
    }

    /// The time until the next session or token expires, unless it is used before.
    fn next_end(&self) -> Duration {
        let (register, now, wall) = (self.0.register.load(), self.0.clock.now(), self.wall());
        // An expired one could not be stored just now, and is retried after the usual interval.
        let sessions =
            register.sessions.values().map(|session| session.times()).filter(|times| !times.is_over(now));
        let sessions = sessions.map(|times| times.ends().since(now));
        let tokens = register.tokens.values().filter_map(|token| token.expires);
        let tokens = tokens
            .filter_map(|expires| u64::try_from(expires.saturating_sub(wall)).ok().filter(|left| *left > 0));
        let next = sessions.chain(tokens.map(Duration::from_micros)).min();
        next.map_or(KEEP, |next| next.clamp(SHORTEST, KEEP))
    }

    /// Stores the last use of sessions and tokens, and ends the expired ones.
    pub async fn keep(&self) {
        if self.0.register.load().users.is_empty() && self.0.register.load().tokens.is_empty() {
            return;
        }
        let (now, wall) = (self.0.clock.now(), self.wall());
        let kept = self
            .change(|register| {
                register.sessions.retain(|_, session| {
                    let over = session.times().is_over(now);
                    if over {
                        session.ended.send_replace(true);
                    }
                    !over
                });
                for token in register.tokens.values().filter(|token| token.is_over(wall)) {
                    token.ended.send_replace(true);
                }
                Ok(())
            })
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "state/access.json cannot be written");
        }
    }

    async fn hashed(&self, password: Option<String>) -> Result<Option<String>, Refusal> {
        let Some(password) = password else { return Ok(None) };
        if !(PASSWORD_AT_LEAST..=PASSWORD_AT_MOST).contains(&password.chars().count()) {
            return Err(Refusal::BadPassword { at_least: PASSWORD_AT_LEAST, at_most: PASSWORD_AT_MOST });
        }
        self.0.hasher.hash(password).await.map(Some)
    }

    /// Creates a new state, stores it, and publishes it. Nothing is published that is not stored, except ends:
    /// those apply even if the disk fails.
    async fn change<T>(
        &self,
        change: impl FnOnce(&mut Register) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut written = self.0.written.lock().await;
        let mut register = Register::clone(&self.0.register.load());
        let answer = change(&mut register)?;
        let text = register.to_json().map_err(anyhow::Error::from)?;
        if written.as_ref() != Some(&text) {
            let path = self.0.path.clone();
            let writing =
                tokio::task::spawn_blocking(move || atomic_file::replace(&path, &text).map(|()| text));
            *written = Some(writing.await.map_err(|_| Refusal::Ending)?.map_err(Refusal::NotWritten)?);
        }
        self.0.register.store(Arc::new(register));
        self.0.changed.notify_one();
        Ok(answer)
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        // A panic while it was locked has left numbers that are slightly wrong at worst.
        self.0.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, by: String, what: &str) {
        self.0.notes.write(by, what.to_owned());
    }

    fn wall(&self) -> i64 {
        self.0.clock.wall_micros(self.0.clock.now())
    }
}

fn set_aside(path: &Path, why: &str) -> String {
    match atomic_file::set_aside(path) {
        SetAside::As(aside) => format!(
            "state/access.json was damaged ({why}) and is now {}: sign-ins are not possible until users are added again",
            aside.display()
        ),
        SetAside::Not(error) => {
            format!("state/access.json is damaged ({why}) and cannot be moved aside: {error}")
        }
    }
}
