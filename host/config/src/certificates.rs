//! The certificate of a listener: the operator's, or the daemon's self-signed one.
//!
//! ```text
//!   given:  in use ──▶ the files have changed ──▶ read ──▶ in use, for new connections
//!                                                  └──▶ bad: a problem; what was in use stays
//!   own:    in use ──▶ near its end ──▶ made anew ──▶ in use
//! ```

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::certificate::{Own, Pair, PairError, PairFiles};
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_os::file::Stamp;

/// The interval at which the files are checked.
const LOOK: Duration = Duration::from_secs(1);
/// The interval at which a self-signed certificate is checked.
const RENEW_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// A warning is given when the operator's certificate is valid for fewer days.
const WARN_DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// The listener that a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The console, over HTTP/1.1.
    Console,
    /// The health endpoint, over HTTP/2 as well.
    Health,
}

impl Purpose {
    /// The name in problems and records.
    fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Health => "health endpoint",
        }
    }

    /// The offered protocols (RFC 7301), the preferred one first.
    fn protocols(self) -> Vec<Vec<u8>> {
        let all: &[&[u8]] = match self {
            Self::Console => &[b"http/1.1"],
            Self::Health => &[b"h2", b"http/1.1"],
        };
        all.iter().map(|name| name.to_vec()).collect()
    }
}

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum NotUsable {
    /// One of the operator's files cannot be used.
    #[error("{} {why}", .file.display())]
    File {
        /// The path of the file.
        file: PathBuf,
        /// The error, which follows the file's name in a sentence.
        why: String,
    },
    /// There is no file, and none can be created.
    #[error("{0}")]
    NotMade(String),
    /// TLS cannot be used at all.
    #[error(transparent)]
    NoTls(#[from] rustls::Error),
    /// The daemon is shutting down.
    #[error(transparent)]
    Ending(#[from] tokio::task::JoinError),
}

/// The active certificate, and its source. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Certificates {
    inner: Arc<Inner>,
    acceptor: Acceptor,
}

#[derive(Debug)]
struct Inner {
    purpose: Purpose,
    /// The operator's files, if there are any.
    files: Option<PairFiles>,
    /// How they were when they were read first.
    seen: [Option<Stamp>; 2],
    /// Where an own one is kept.
    folder: PathBuf,
    /// The names in a self-signed certificate.
    names: Vec<String>,
    in_use: ArcSwap<Pair>,
}

#[derive(Clone)]
struct Acceptor(TlsAcceptor);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}

impl ResolvesServerCert for Inner {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.in_use.load().certified))
    }
}

impl Certificates {
    /// Reads the operator's files, for load balancers. Waits for the disk.
    pub fn for_health(files: PairFiles) -> Result<Self, NotUsable> {
        Self::open(Purpose::Health, Some(files), PathBuf::new(), Vec::new())
    }

    /// Reads the given files, or finds or creates a self-signed certificate in `folder`. Waits for the disk.
    pub fn open(
        purpose: Purpose,
        files: Option<PairFiles>,
        folder: PathBuf,
        names: Vec<String>,
    ) -> Result<Self, NotUsable> {
        // Before they are read, so that later changes count as another version.
        let seen = files.as_ref().map(stamps).unwrap_or_default();
        let own = || {
            let own = Own::keep_in(&folder, &names, Timestamp::now());
            own.map(|own| own.pair).map_err(|error| NotUsable::NotMade(error.to_string()))
        };
        let pair = match &files {
            Some(files) => Pair::read(files).map_err(|error| not_usable(files, error))?,
            None => own()?,
        };
        let inner =
            Arc::new(Inner { purpose, files, seen, folder, names, in_use: ArcSwap::from_pointee(pair) });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&inner) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = purpose.protocols();
        Ok(Self { inner, acceptor: Acceptor(TlsAcceptor::from(Arc::new(config))) })
    }

    pub fn pair(&self) -> Arc<Pair> {
        self.inner.in_use.load_full()
    }

    /// Performs the TLS handshake with the active certificate.
    pub fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor.0
    }

    /// Applies changes of the files, until it is dropped. `say`: for the journal.
    pub async fn look_after(self, problems: Diagnostics, say: impl Fn(String) + Send) {
        match self.inner.files.clone() {
            Some(files) => self.follow(&files, &problems, say).await,
            None => self.renew(&problems, say).await,
        }
    }

    async fn follow(&self, files: &PairFiles, problems: &Diagnostics, say: impl Fn(String) + Send) {
        let mut tried = self.inner.seen;
        let mut before = tried;
        let mut bad = None;
        let who = self.inner.purpose.name();
        loop {
            let ending = ending(who, &self.pair(), Timestamp::now());
            problems.set(who, &[bad.clone(), ending].into_iter().flatten().collect::<Vec<_>>());
            tokio::time::sleep(LOOK).await;
            let now = stamps(files);
            // Two files are replaced one after the other: the second may follow in a moment.
            let settled = std::mem::replace(&mut before, now) == now;
            if !settled || now == tried {
                continue;
            }
            tried = now;
            bad = match read(files.clone()).await {
                Ok(pair) => {
                    self.take(pair, &say);
                    None
                }
                Err(why) => Some(format!("{who}: {why}; the certificate before it stays in use")),
            };
        }
    }

    async fn renew(&self, problems: &Diagnostics, say: impl Fn(String) + Send) {
        let who = self.inner.purpose.name();
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let (folder, names) = (self.inner.folder.clone(), self.inner.names.clone());
            let kept = tokio::task::spawn_blocking(move || Own::keep_in(&folder, &names, Timestamp::now()));
            let why = match kept.await {
                Ok(Ok(own)) => {
                    self.take(own.pair, &say);
                    None
                }
                Ok(Err(error)) => Some(format!("{who}: its certificate cannot be renewed: {error}")),
                Err(error) => Some(format!("{who}: its certificate cannot be renewed: {error}")),
            };
            problems.set(who, why.as_slice());
        }
    }

    fn take(&self, pair: Pair, say: &impl Fn(String)) {
        if pair.fingerprint != self.pair().fingerprint {
            let until = pair.ends.map_or_else(String::new, |ends| format!(", which ends {ends}"));
            let who = self.inner.purpose.name();
            say(format!("the {who} has a new certificate{until}; SHA-256 {}", pair.fingerprint));
        }
        // Even if the certificate is the same, its key or the intermediate certificates may differ.
        self.inner.in_use.store(Arc::new(pair));
    }
}

async fn read(files: PairFiles) -> Result<Pair, NotUsable> {
    let read =
        tokio::task::spawn_blocking(move || Pair::read(&files).map_err(|error| not_usable(&files, error)));
    read.await?
}

fn not_usable(files: &PairFiles, error: PairError) -> NotUsable {
    let (file, why) = match error {
        PairError::Certificate(why) => (&files.certificate, why),
        PairError::Key(why) => (&files.key, why),
    };
    NotUsable::File { file: file.clone(), why }
}

/// What differs when a file has changed.
fn stamps(files: &PairFiles) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key].map(|file| Stamp::of(file).ok())
}

/// One sentence, if it expires soon or has expired.
fn ending(who: &str, pair: &Pair, now: Timestamp) -> Option<String> {
    let ends = pair.ends?;
    let left = ends.as_second() - now.as_second();
    if left > WARN_DAYS * DAY {
        return None;
    }
    let verb = if left < 0 { "has ended at" } else { "ends at" };
    Some(format!("{who}: its certificate {verb} {ends}: replace it; the new one takes effect automatically"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_two_weeks_before_the_end_and_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let made: Timestamp = "2026-11-22T21:30:00Z".parse().unwrap();
        let pair = Own::keep_in(folder.path(), &["node-1".to_owned()], made).unwrap().pair;
        let said = |now: &str| ending("console", &pair, now.parse().unwrap()).unwrap_or_default();
        assert_eq!(said("2029-02-09T00:00:00Z"), "");
        assert!(said("2029-02-11T00:00:00Z").contains("certificate ends at 2029-02-24T00:00:00Z"));
        assert!(said("2029-02-24T00:00:01Z").contains("certificate has ended at 2029-02-24"));
    }
}
