//! What the operator allows a component to do, and the decision about each use.
//!
//! ```text
//!   grant = { … } ──notation──▶ Grants ──▶ may it? ──▶ yes
//!   describe() ──▶ GrantRequest ──▶ missing, wider    └▶ Refusal, which says what would allow it
//! ```
//! One file for each kind: its notation, and its decision. Nothing is looked up, opened or sent here.

pub mod address;
pub mod commands;
pub mod connect;
pub mod env;
pub mod http;
pub mod ping;
pub mod processes;
pub mod proxy;
pub mod reach;
pub mod read;
#[cfg(test)]
mod reference;
pub mod request;
pub mod resolve;
pub mod secrets;
pub mod unix;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::CommandName;

pub use self::address::{GrantHost, normal_name};
pub use self::connect::{ConnectGrant, Protocol};
pub use self::env::EnvName;
pub use self::http::HttpGrant;
pub use self::ping::PingGrant;
pub use self::proxy::{DirectHost, ProxyAddress, ProxyRules};
pub use self::read::ReadGrant;
pub use self::request::{GrantRequest, missing, wider};
pub use self::resolve::NameGrant;
pub use self::secrets::SecretName;
pub use self::unix::UnixGrant;

/// `grant = { … }`. Nothing is allowed without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// TCP connections to these targets, and UDP to those that say so.
    pub connect: Vec<ConnectGrant>,
    /// Unix sockets of this machine that may be connected to. In files they are part of `connect`.
    pub unix: Vec<UnixGrant>,
    /// Names that may be resolved, besides those of the other grants.
    pub resolve: Vec<NameGrant>,
    /// HTTP requests, which the host makes.
    pub http: Vec<HttpGrant>,
    /// Directories that may be read.
    pub read: Vec<ReadGrant>,
    /// Variables of the daemon's environment.
    pub env: BTreeSet<EnvName>,
    /// Secrets: the name that the component asks for, and the file of each.
    pub secrets: BTreeMap<SecretName, PathBuf>,
    /// Commands of the module.
    pub commands: BTreeSet<CommandName>,
    /// Facts about the processes of the module.
    pub processes: bool,
    /// Hosts that the host may send echo requests to.
    pub ping: Vec<PingGrant>,
}

/// The kinds of grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are the fields of Grants")]
pub enum GrantKind {
    Connect,
    Resolve,
    Http,
    Read,
    Env,
    Secrets,
    Commands,
    Processes,
    Ping,
}

impl GrantKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Resolve,
        Self::Http,
        Self::Read,
        Self::Env,
        Self::Secrets,
        Self::Commands,
        Self::Processes,
        Self::Ping,
    ];

    /// Its key in a module's file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Resolve => "resolve",
            Self::Http => "http",
            Self::Read => "read",
            Self::Env => "env",
            Self::Secrets => "secrets",
            Self::Commands => "commands",
            Self::Processes => "processes",
            Self::Ping => "ping",
        }
    }

    /// The form of its values.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Connect => "expected HOST:PORT such as \"127.0.0.1:8080\"",
            Self::Resolve => "expected a host name such as \"db.internal\", or \"*.internal\"",
            Self::Http => {
                "expected an origin such as \"https://api.internal\" or \"GET,POST http://127.0.0.1:8080\""
            }
            Self::Read => "expected a directory such as \"/etc/app\"",
            Self::Env => "expected the name of a variable such as \"LANG\"",
            Self::Secrets => "expected a name and a file such as db-password = \"/etc/app/db.secret\"",
            Self::Commands => "expected the name of a command of this module",
            Self::Processes => "expected true or false",
            Self::Ping => "expected a host such as \"10.0.0.1\"",
        }
    }
}

impl fmt::Display for GrantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for GrantKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or(())
    }
}

/// One of the grants. Displayed as its value in the notation of a module's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the kinds of grant")]
pub enum Grant<'g> {
    Connect(&'g ConnectGrant),
    Unix(&'g UnixGrant),
    Resolve(&'g NameGrant),
    Http(&'g HttpGrant),
    Read(&'g ReadGrant),
    Env(&'g EnvName),
    Secret(&'g SecretName, &'g Path),
    Command(&'g CommandName),
    Processes,
    Ping(&'g PingGrant),
}

impl Grant<'_> {
    /// The kind of the grant.
    pub fn kind(self) -> GrantKind {
        match self {
            Self::Connect(_) | Self::Unix(_) => GrantKind::Connect,
            Self::Resolve(_) => GrantKind::Resolve,
            Self::Http(_) => GrantKind::Http,
            Self::Read(_) => GrantKind::Read,
            Self::Env(_) => GrantKind::Env,
            Self::Secret(..) => GrantKind::Secrets,
            Self::Command(_) => GrantKind::Commands,
            Self::Processes => GrantKind::Processes,
            Self::Ping(_) => GrantKind::Ping,
        }
    }
}

impl fmt::Display for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(grant) => grant.fmt(f),
            Self::Unix(grant) => grant.fmt(f),
            Self::Resolve(grant) => grant.fmt(f),
            Self::Http(grant) => grant.fmt(f),
            Self::Read(grant) => grant.fmt(f),
            Self::Env(name) => name.fmt(f),
            // Never the content of the file.
            Self::Secret(name, file) => write!(f, "{name}={}", file.display()),
            Self::Command(name) => name.fmt(f),
            Self::Processes => f.write_str("true"),
            Self::Ping(grant) => grant.fmt(f),
        }
    }
}

/// A text that is not a grant of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotationError {
    /// Why not, in half a sentence.
    pub why: String,
    /// How to correct it, if that is not obvious.
    pub help: Option<String>,
}

impl NotationError {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Something that a component asked for and is not granted. Says how to allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("refused: {wanted}; {way}")]
pub struct Refusal {
    /// The missing grant; `None` if no grant could ever allow it.
    pub kind: Option<GrantKind>,
    /// What the component asked for.
    pub wanted: String,
    /// How to allow it, or why it cannot be allowed.
    pub way: String,
}

impl Refusal {
    /// A grant of this kind is missing; `value` would be its value.
    fn missing(kind: GrantKind, wanted: String, value: &str) -> Self {
        let grant = match kind {
            GrantKind::Processes => "processes = true".to_owned(),
            GrantKind::Secrets => format!("secrets = {{ {value} = \"FILE\" }}"),
            _ => format!("{kind} = [{value:?}]"),
        };
        Self { kind: Some(kind), wanted, way: format!("to allow it add grant = {{ {grant} }}") }
    }

    /// A grant covers it, but not explicitly enough.
    fn special(kind: GrantKind, wanted: &str, value: &str) -> Self {
        Self {
            kind: Some(kind),
            wanted: format!("{wanted}, a link-local or metadata address"),
            way: format!("to allow it name it exactly: grant = {{ {kind} = [{value:?}] }}"),
        }
    }

    /// Whether a text says already which grant is missing, in the notation of a module's file.
    pub fn is_told_in(&self, text: &str) -> bool {
        let between =
            |begin: &str, end: &str| self.way.split_once(begin)?.1.split_once(end).map(|(way, _)| way);
        let own = between("grant = { ", " }").map(str::to_owned);
        // A name may be looked up also if some connection to it is granted.
        let with_port = between("or connect = [\"", ":PORT").map(|name| format!("connect = [\"{name}:"));
        let mut ways = own.into_iter().chain(with_port).filter(|_| self.kind.is_some());
        text.contains(&self.to_string()) || ways.any(|way| text.contains(&way))
    }

    /// No grant allows this.
    pub fn never(wanted: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind: None, wanted: wanted.into(), way: why.into() }
    }

    /// It is granted, but not available for a reason of this host.
    pub fn unavailable(kind: GrantKind, wanted: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind: Some(kind), wanted: wanted.into(), way: why.into() }
    }
}

impl Grants {
    /// Adds one in the notation of a module's file; for a secret, `NAME=FILE`.
    pub fn add(&mut self, kind: GrantKind, text: &str) -> Result<(), NotationError> {
        match kind {
            GrantKind::Connect if unix::is_meant(text) => self.unix.push(text.parse()?),
            GrantKind::Connect => self.connect.push(text.parse()?),
            GrantKind::Resolve => self.resolve.push(text.parse()?),
            GrantKind::Http => self.http.push(text.parse()?),
            GrantKind::Read => self.read.push(text.parse()?),
            GrantKind::Env => drop(self.env.insert(text.parse()?)),
            GrantKind::Secrets => {
                let (name, file) = secrets::parse(text)?;
                self.secrets.insert(name, file);
            }
            GrantKind::Commands => drop(self.commands.insert(commands::parse(text)?)),
            GrantKind::Processes => self.processes = processes::parse(text)?,
            GrantKind::Ping => self.ping.push(text.parse()?),
        }
        Ok(())
    }

    /// All of them, kind by kind.
    pub fn all(&self) -> impl Iterator<Item = Grant<'_>> {
        let Self { connect, unix, resolve, http, read, env, secrets, commands, processes, ping } = self;
        let connect = connect.iter().map(Grant::Connect);
        connect
            .chain(unix.iter().map(Grant::Unix))
            .chain(resolve.iter().map(Grant::Resolve))
            .chain(http.iter().map(Grant::Http))
            .chain(read.iter().map(Grant::Read))
            .chain(env.iter().map(Grant::Env))
            .chain(secrets.iter().map(|(name, file)| Grant::Secret(name, file)))
            .chain(commands.iter().map(Grant::Command))
            .chain(processes.then_some(Grant::Processes))
            .chain(ping.iter().map(Grant::Ping))
    }

    /// All of them in the notation that [`add`](Self::add) reads.
    pub fn list(&self) -> Vec<(GrantKind, String)> {
        self.all().map(|grant| (grant.kind(), grant.to_string())).collect()
    }

    /// Whether there is any of this kind.
    pub fn has(&self, kind: GrantKind) -> bool {
        self.all().any(|grant| grant.kind() == kind)
    }

    /// Resolves relative files and directories against the root.
    pub fn place_under(&mut self, root: &Path) {
        for read in &mut self.read {
            read.directory = root.join(&read.directory);
        }
        for file in self.secrets.values_mut() {
            *file = root.join(&*file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_reads_back_the_same() {
        let mut grants = Grants::default();
        for (kind, text) in [
            (GrantKind::Connect, "10.0.0.0/8:443"),
            (GrantKind::Connect, "udp:[::1]:53"),
            (GrantKind::Connect, "unix:/run/app.sock"),
            (GrantKind::Resolve, "*.internal"),
            (GrantKind::Http, "GET,POST https://api.internal:8443"),
            (GrantKind::Http, "http://127.0.0.1"),
            (GrantKind::Read, "/etc/app"),
            (GrantKind::Env, "LANG"),
            (GrantKind::Secrets, "db-password=/etc/app/db.secret"),
            (GrantKind::Commands, "probe"),
            (GrantKind::Processes, "true"),
            (GrantKind::Ping, "192.168.0.0/16"),
        ] {
            grants.add(kind, text).unwrap();
        }
        let mut again = Grants::default();
        for (kind, text) in grants.list() {
            again.add(kind, &text).unwrap();
        }
        assert_eq!(again, grants);
        for kind in GrantKind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert!(grants.has(kind) && !Grants::default().has(kind), "{kind}");
        }
    }

    #[test]
    fn relative_paths_are_of_the_root() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Read, "data").unwrap();
        grants.add(GrantKind::Read, "/etc/app").unwrap();
        grants.add(GrantKind::Secrets, "a=secrets/a").unwrap();
        grants.place_under(Path::new("/root/of"));
        let directories: Vec<_> = grants.read.iter().map(|read| read.directory.as_path()).collect();
        assert_eq!(directories, [Path::new("/root/of/data"), Path::new("/etc/app")]);
        assert_eq!(grants.secret("a").unwrap().1, Path::new("/root/of/secrets/a"));
    }

    #[test]
    fn a_missing_grant_is_not_told_twice() {
        let address = Refusal::missing(GrantKind::Connect, "connect to 1.2.3.4:80".into(), "1.2.3.4:80");
        assert!(address.is_told_in("not granted: add `connect = [\"1.2.3.4:80\"]` to the checker's `grant`"));
        assert!(address.is_told_in(&format!("it failed ({address})")));
        assert!(!address.is_told_in("connecting to 1.2.3.4:80 failed"));
        let name = Grants::default().may_look_up("db.internal").unwrap_err();
        assert!(name.is_told_in("add `connect = [\"db.internal:5432\"]` to the checker's `grant`"));
        assert!(!name.is_told_in("add `connect = [\"db.other:5432\"]` to the checker's `grant`"));
        assert!(!Refusal::never("listen", "it may not").is_told_in("it may"));
    }
}
