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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_core::access::{Role, Rule, Throttle};
use bellwether_core::moment::Moment;
use tokio::sync::{Notify, mpsc, watch};

use bellwether_bus::Message;
use bellwether_bus::recorder::Recorder;
use bellwether_os::atomic_file::{self, SetAside};
use bellwether_os::clock::Clock;

mod expiry;
mod hasher;
mod neighbourhood;
mod notes;
mod one_time;
mod refusal;
mod register;
mod secret;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;
mod users;

use self::hasher::Hasher;
pub(crate) use self::neighbourhood::neighbourhood;
use self::notes::Notes;
pub use self::refusal::{AccountKind, Refusal};
use self::register::Register;
pub use self::secret::Digest;

/// The maximum number of users, and of tokens.
const ACCOUNTS: usize = 1_000;

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

/// Who a sign-in or a token belongs to.
#[derive(Debug, Clone)]
pub struct Identity {
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
