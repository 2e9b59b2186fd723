//! Users, tokens and sign-ins, as they stand in `state/access.json`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bellwether_core::access::{Role, Use};
use bellwether_core::moment::Moment;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::secret::Digest;

/// Everything that is known of who may do what. A picture: whoever changes it makes another.
#[derive(Debug, Clone, Default)]
pub(super) struct Register {
    pub(super) users: BTreeMap<String, User>,
    pub(super) tokens: BTreeMap<String, Arc<Token>>,
    pub(super) sessions: HashMap<Digest, Arc<Session>>,
}

/// A person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) role: Role,
    /// PHC string of argon2id. None for one who signs in by one-time addresses only.
    pub(super) password: Option<String>,
    /// Since when, in microseconds after the Unix epoch.
    pub(super) created: i64,
    /// Likewise.
    pub(super) last_sign_in: Option<i64>,
}

/// A program.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) digest: Digest,
    /// In microseconds after the Unix epoch.
    pub(super) created: i64,
    /// Likewise; never if it is not said.
    pub(super) expires: Option<i64>,
    /// Likewise; 0 if it never was.
    pub(super) used: AtomicI64,
    /// True once it is revoked.
    pub(super) ended: watch::Sender<bool>,
}

/// One sign-in.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: String,
    pub(super) began: Moment,
    used: AtomicI64,
    /// Of the key that changes want besides the cookie.
    pub(super) act: Digest,
    /// True once it has ended.
    pub(super) ended: watch::Sender<bool>,
}

impl Session {
    pub(super) fn new(user: String, times: Use, act: Digest) -> Self {
        let last = AtomicI64::new(times.used.as_micros());
        Self { user, began: times.began, used: last, act, ended: watch::Sender::new(false) }
    }

    pub(super) fn times(&self) -> Use {
        Use { began: self.began, used: Moment::from_micros(self.used.load(Ordering::Relaxed)) }
    }

    pub(super) fn use_now(&self, now: Moment) {
        self.used.fetch_max(now.as_micros(), Ordering::Relaxed);
    }
}

impl Token {
    pub(super) fn is_over(&self, wall: i64) -> bool {
        self.expires.is_some_and(|expires| wall >= expires)
    }
}

/// The file. Tokens and sessions are kept as hashes: whoever reads it can use none of them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, StoredToken>,
    sessions: Vec<StoredSession>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredToken {
    role: Role,
    digest: Digest,
    created: i64,
    expires: Option<i64>,
    used: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSession {
    digest: Digest,
    user: String,
    act: Digest,
    times: Use,
}

impl Register {
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let token = |token: &Token| StoredToken {
            role: token.role,
            digest: token.digest.clone(),
            created: token.created,
            expires: token.expires,
            used: token.used.load(Ordering::Relaxed),
        };
        let session = |(digest, session): (&Digest, &Arc<Session>)| StoredSession {
            digest: digest.clone(),
            user: session.user.clone(),
            act: session.act.clone(),
            times: session.times(),
        };
        let file = File {
            users: self.users.clone(),
            tokens: self.tokens.iter().map(|(name, kept)| (name.clone(), token(kept))).collect(),
            sessions: self.sessions.iter().map(session).collect(),
        };
        serde_json::to_vec_pretty(&file)
    }

    /// Those sign-ins that are over are left out.
    pub(super) fn from_json(text: &[u8], now: Moment) -> serde_json::Result<Self> {
        let file: File = serde_json::from_slice(text)?;
        let token = |(name, row): (String, StoredToken)| {
            let StoredToken { role, digest, created, expires, used } = row;
            let (used, ended) = (AtomicI64::new(used), watch::Sender::new(false));
            (name.clone(), Arc::new(Token { name, role, digest, created, expires, used, ended }))
        };
        let session = |row: StoredSession| (row.digest, Arc::new(Session::new(row.user, row.times, row.act)));
        let sessions = file.sessions.into_iter().filter(|row| !row.times.is_over(now)).map(session);
        Ok(Self {
            sessions: sessions.filter(|(_, session)| file.users.contains_key(&session.user)).collect(),
            tokens: file.tokens.into_iter().map(token).collect(),
            users: file.users,
        })
    }

    /// Ends the sign-ins of a user, and tells whoever hangs on them.
    pub(super) fn end_sessions(&mut self, user: &str) {
        self.sessions.retain(|_, session| {
            let stays = session.user != user;
            if !stays {
                session.ended.send_replace(true);
            }
            stays
        });
    }

    /// So many users may manage users.
    pub(super) fn admins(&self) -> usize {
        self.users.values().filter(|user| user.role == Role::Admin).count()
    }
}
