//! What people have let in, kept in `state/approvals.json`.
//!
//! ```text
//!   new version ──asks for more than──▶ the version before it, and than modules grant?
//!        │ no                                      │ yes
//!        ▼                                         ▼
//!     in force ◀──approved, or granted────── waits, the old version runs on
//! ```
//! What the version in force asks for outlives the daemon, too: else a restart
//! would let in whatever lies there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::grant::GrantRequest;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::folders::FileKey;
use crate::registry::Waiting;
pub use bellwether_core::approval::{Approved, NotApproved};
use bellwether_os::durable;

/// A person lets in a version that waits.
#[derive(Debug)]
pub struct Approve {
    /// `checkers/http`, or only `http`.
    pub name: String,
    /// The digest of the version that the person looked at, if that is said.
    pub seen: Option<String>,
    /// Who, and from where.
    pub by: String,
    /// Gets the outcome, once it is on disk.
    pub answer: oneshot::Sender<Result<Approved, NotApproved>>,
}

/// The file that a person means, of those that wait.
pub(super) fn meant(name: &str, waiting: &BTreeMap<FileKey, Waiting>) -> Result<FileKey, NotApproved> {
    let bare = name.strip_suffix(".wasm").unwrap_or(name);
    let (folder, stem) = bare.split_once('/').map_or((None, bare), |(folder, stem)| (Some(folder), stem));
    let wanted =
        |file: &&FileKey| file.stem == stem && folder.is_none_or(|folder| file.folder.name() == folder);
    let mut found = waiting.keys().filter(wanted);
    match (found.next(), found.next()) {
        (None, _) => Err(NotApproved::NothingWaits(bare.to_owned())),
        (Some(file), None) => Ok(file.clone()),
        (Some(_), Some(_)) => Err(NotApproved::Ambiguous(stem.to_owned())),
    }
}

/// In the notation of a module's file, as far as there is one.
pub(super) fn shown(request: &GrantRequest) -> String {
    format!("{} {}", request.kind, request.value).trim_end().to_owned()
}

/// By file: `checkers/http.wasm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    /// What the version that was in force last asks for.
    #[serde(default)]
    asked: BTreeMap<String, Vec<GrantRequest>>,
    /// The digest of the version that a person has let in.
    #[serde(default)]
    approved: BTreeMap<String, String>,
}

/// Remembers.
#[derive(Debug)]
pub(super) struct Approvals {
    path: PathBuf,
    contents: Contents,
}

impl Approvals {
    /// What earlier daemons knew. A damaged file is set aside, and reported in the second value.
    pub(super) fn open(root: &Path) -> (Self, Option<String>) {
        let path = root.join("state/approvals.json");
        let (contents, problem) = match read(&path) {
            Ok(contents) => (contents, None),
            Err(error) => {
                let aside = durable::set_aside(&path);
                let problem =
                    format!("state/approvals.json {aside}: {error}; the active versions count as approved");
                (Contents::default(), Some(problem))
            }
        };
        (Self { path, contents }, problem)
    }

    /// What the last version in force of this file asked for.
    pub(super) fn asked(&self, what: &str) -> Option<&[GrantRequest]> {
        self.contents.asked.get(what).map(Vec::as_slice)
    }

    /// Whether a person has let in this very version.
    pub(super) fn is_approved(&self, what: &str, digest: &str) -> bool {
        self.contents.approved.get(what).is_some_and(|approved| approved == digest)
    }

    /// A person lets in a version. On disk when this returns.
    pub(super) fn approve(&mut self, what: &str, digest: &str) -> io::Result<()> {
        self.contents.approved.insert(what.to_owned(), digest.to_owned());
        self.write()
    }

    /// A version has come into force.
    pub(super) fn in_force(&mut self, what: &str, asks: &[GrantRequest]) {
        if self.asked(what) == Some(asks) {
            return;
        }
        self.contents.asked.insert(what.to_owned(), asks.to_vec());
        if let Err(error) = self.write() {
            tracing::error!(%error, "what components ask for could not be written to state/approvals.json");
        }
    }

    fn write(&self) -> io::Result<()> {
        durable::replace(&self.path, &serde_json::to_vec_pretty(&self.contents)?)
    }
}

fn read(path: &Path) -> io::Result<Contents> {
    match fs::read(path) {
        Ok(bytes) => {
            let contents = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
            durable::remember(path);
            Ok(contents)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_approved_and_asked_for_outlives_the_daemon() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        let (mut approvals, problem) = Approvals::open(root.path());
        assert_eq!((approvals.asked("checkers/x.wasm"), problem), (None, None));
        let asks = vec![GrantRequest {
            kind: "connect".to_owned(),
            value: "127.0.0.1:80".to_owned(),
            reason: "to ask".to_owned(),
        }];
        approvals.in_force("checkers/x.wasm", &asks);
        approvals.approve("checkers/x.wasm", "d1").unwrap();
        let (next, _) = Approvals::open(root.path());
        assert_eq!(next.asked("checkers/x.wasm"), Some(asks.as_slice()));
        let approved = |what, digest| next.is_approved(what, digest);
        assert!(approved("checkers/x.wasm", "d1"));
        assert!(!approved("checkers/x.wasm", "d2") && !approved("checkers/y.wasm", "d1"));
    }

    #[test]
    fn a_name_means_the_one_that_waits_under_it() {
        use super::super::folders::Folder;
        let version = Waiting { digest: "d".to_owned(), version: "1".to_owned(), asks: Vec::new() };
        let key = |folder, stem: &str| FileKey { folder, stem: stem.to_owned() };
        let (tcp, script) = (key(Folder::Checkers, "tcp"), key(Folder::RestartScripts, "tcp"));
        let both = BTreeMap::from([(tcp.clone(), version.clone()), (script.clone(), version.clone())]);
        for (name, file) in
            [("checkers/tcp", &tcp), ("checkers/tcp.wasm", &tcp), ("restart-scripts/tcp", &script)]
        {
            assert_eq!(meant(name, &both).as_ref(), Ok(file));
        }
        assert_eq!(meant("tcp", &both), Err(NotApproved::Ambiguous("tcp".to_owned())));
        assert_eq!(meant("http", &both), Err(NotApproved::NothingWaits("http".to_owned())));
        let one = BTreeMap::from([(tcp.clone(), version)]);
        assert_eq!(meant("tcp", &one), Ok(tcp));
        assert!(meant("restart-scripts/tcp", &one).is_err());
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_reported() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        fs::write(root.path().join("state/approvals.json"), "{").unwrap();
        let (_, problem) = Approvals::open(root.path());
        assert!(problem.unwrap().contains("was moved aside"));
        assert!(root.path().join("state/approvals.json.damaged").exists());
    }
}
