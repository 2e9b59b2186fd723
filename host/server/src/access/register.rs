//! Users, tokens and sessions, as stored in `state/access.json`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bellwether_core::access::{Role, Use};
use bellwether_core::moment::Moment;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::secret::Digest;

/// All accounts. Immutable: a change creates a new one.
#[derive(Debug, Clone, Default)]
pub(super) struct Register {
    pub(super) users: BTreeMap<String, User>,
    pub(super) tokens: BTreeMap<String, Arc<Token>>,
    pub(super) sessions: HashMap<Digest, Arc<Session>>,
}

/// A user with its sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) role: Role,
    /// The PHC string of argon2id. `None` for a user who signs in with one-time links only.
    pub(super) password: Option<String>,
    /// The time of creation, in microseconds since the Unix epoch.
    pub(super) created: i64,
    /// The time of the last sign-in, in microseconds since the Unix epoch.
    pub(super) last_sign_in: Option<i64>,
}

/// A token of a program.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) digest: Digest,
    /// In microseconds since the Unix epoch.
    pub(super) created: i64,
    /// In microseconds since the Unix epoch; `None`: never.
    pub(super) expires: Option<i64>,
    /// In microseconds since the Unix epoch; 0: never.
    pub(super) used: AtomicI64,
    /// Becomes true when it is revoked.
    pub(super) ended: watch::Sender<bool>,
}

/// One session of a user.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: String,
    pub(super) began: Moment,
    used: AtomicI64,
    /// The digest of the key that changes require besides the cookie.
    pub(super) act: Digest,
    /// Becomes true when it has ended.
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

/// The content of the file. Tokens and sessions are stored as hashes, so that a reader of the file cannot use them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, TokenRow>,
    sessions: Vec<SessionRow>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRow {
    role: Role,
    digest: Digest,
    created: i64,
    expires: Option<i64>,
    used: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionRow {
    digest: Digest,
    user: String,
    act: Digest,
    times: Use,
}

impl Register {
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let token = |token: &Token| TokenRow {
            role: token.role,
            digest: token.digest.clone(),
            created: token.created,
            expires: token.expires,
            used: token.used.load(Ordering::Relaxed),
        };
        let session = |(digest, session): (&Digest, &Arc<Session>)| SessionRow {
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

    /// Expired sessions are omitted.
    pub(super) fn from_json(text: &[u8], now: Moment) -> serde_json::Result<Self> {
        let file: File = serde_json::from_slice(text)?;
        let token = |(name, row): (String, TokenRow)| {
            let TokenRow { role, digest, created, expires, used } = row;
            let (used, ended) = (AtomicI64::new(used), watch::Sender::new(false));
            (name.clone(), Arc::new(Token { name, role, digest, created, expires, used, ended }))
        };
        let session = |row: SessionRow| (row.digest, Arc::new(Session::new(row.user, row.times, row.act)));
        let sessions = file.sessions.into_iter().filter(|row| !row.times.is_over(now)).map(session);
        Ok(Self {
            sessions: sessions.filter(|(_, session)| file.users.contains_key(&session.user)).collect(),
            tokens: file.tokens.into_iter().map(token).collect(),
            users: file.users,
        })
    }

    /// Ends the sessions of a user, and notifies their connections.
    pub(super) fn end_sessions(&mut self, user: &str) {
        self.sessions.retain(|_, session| {
            let stays = session.user != user;
            if !stays {
                session.ended.send_replace(true);
            }
            stays
        });
    }

    /// The number of users who may manage users.
    pub(super) fn admins(&self) -> usize {
        self.users.values().filter(|user| user.role == Role::Admin).count()
    }
}
